"""After a mixed run no log, error, table or export holds a secret, a prompt, or a word of another tenant.

A canary is a word that occurs nowhere else. Content storage is off, so a prompt may be found nowhere.
"""

import base64
import itertools
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from structlog.processors import format_exc_info
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.embedded.postgres import SUPERUSER
from app.sandbox import FaultKind
from app.telemetry import redact
from tests.integration.app.http.api import API
from tests.migration.catalog import connected
from tests.world import TestTenant, World

# The first fails in the API's own statement, the second where a credential is opened for a call.
FAULTS = (
    ("ALTER TABLE project ADD CONSTRAINT none CHECK (false) NOT VALID", "ALTER TABLE project DROP CONSTRAINT none"),
    ("UPDATE provider_credential SET secret = secret || '\\x00'", "SELECT 1"),
)
ROWS = """
SELECT c.relname AS name, EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'
) AS has_tenant
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""


@dataclass(slots=True)
class Canaries:
    """The words of one tenant: `public` are its own to read, `secret` nobody's, `prompt` not even stored."""

    tenant: TestTenant
    prompt: str
    public: str
    secret: list[str]
    errors: list[str] = field(default_factory=list)


async def test_nothing_leaks_in_a_mixed_run(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as events:
        tenants = [await _canaries(world, tenant) for tenant in (world.acme, world.umbrella)]
        for each in tenants:
            await _run(world, each)
        await world.gateway.settlement.drain()
        stored = await _tables(world)
        for each in tenants:
            await _break_and_call(world, each)
    logged = "\n".join([caplog.text, *map(_as_logged, events)])

    secret = [word for each in tenants for word in each.secret]
    prompts = [each.prompt for each in tenants]
    # The search finds what is there, in binary columns too, and faults were logged.
    assert all(any(each.public in text for _, _, text in stored) for each in tenants)
    assert any("api_key.created" in text for name, _, text in stored if name.startswith("audit"))
    assert logged.count("request_failed") >= 2 * len(FAULTS)
    for each, other in (tenants, tenants[::-1]):
        exported = _decoded((await API(world, each.secret[1])("GET", "/audit/export")).text)
        assert each.public in exported
        assert not _found(exported, [*secret, *prompts, other.public])
        assert len(each.errors) > 12
        assert not [(text, word) for text in each.errors for word in _found(text, [*secret, *prompts, other.public])]
        foreign = [row for row in stored if row[1] == str(other.tenant.tenant_id) and each.public in row[2]]
        assert not foreign
    assert not [(name, word) for name, _, text in stored for word in _found(text, [*secret, *prompts])]
    assert not _found(logged, [*secret, *prompts, *(each.public for each in tenants)])


async def _canaries(world: World, tenant: TestTenant) -> Canaries:
    mark = f"canary{secrets.token_hex(8)}"
    management = await API.of(world, tenant)
    public = f"{mark}-public"
    made = (await management("POST", "/keys", {"name": f"{public} key"})).body
    credential = f"sk-{mark}-credential"
    added = await management("POST", "/credentials", {"provider_name": "openai", "name": public, "secret": credential})
    assert added.status == 201
    return Canaries(tenant, f"{mark}-prompt", public, [made["api_key"], management.key, credential, f"{mark}-pasted"])


async def _run(world: World, canaries: Canaries) -> None:
    """Successes, refusals and failures of every kind, on every surface; error bodies are kept."""
    key, management_key, _, pasted = canaries.secret
    headers = {"x-signalbox-metadata": json.dumps({"about": canaries.public}), "x-signalbox-tags": canaries.public}
    text = f"Write a Python function about {canaries.prompt}"

    async def chat(prompt: str = text, *, more: dict[str, str] | None = None, **body: object) -> None:
        response = await world.chat(prompt, key=key, headers={**headers, **(more or {})}, **body)
        if response.status != 200 or "stream" in body:
            told = await response.text()
            canaries.errors += [line for line in told.splitlines() if '"error"' in line]

    await chat()
    await chat(stream=True)
    await chat(tools=[{"type": "function", "function": {"name": "f", "description": canaries.prompt}}])
    await chat(model=f"openai/{canaries.public}")
    await chat(model="sandbox/swift-mini", n="one")
    await chat(temperature="hot", messages=[{"role": "user", "content": text}])
    await chat(messages=[{"role": canaries.prompt, "content": 1}])
    await chat(max_tokens=10**7)
    await chat(more={"x-signalbox-max-cost": "0.000000001"})
    await chat(more={"x-signalbox-metadata": canaries.prompt})
    await chat(more={"x-signalbox-policy": "none"})
    for kind in (FaultKind.BAD_REQUEST, FaultKind.CONTENT, FaultKind.SERVER, FaultKind.MALFORMED, FaultKind.CUT):
        for body in ({}, {"stream": True}):
            await chat(f"[[fault:{kind}]] {text}", more={"x-signalbox-no-fallback": "true"}, **body)
    await _misuse(world, canaries, API(world, management_key), pasted)


async def _misuse(world: World, canaries: Canaries, api: API, pasted: str) -> None:
    """What people do with a secret by accident: paste it where it does not belong."""
    asked = [
        ("POST", "/credentials", {"provider_name": "openai", "name": "x", "secret": {"key": pasted}}),
        ("POST", "/credentials", {"provider_name": "openai", "name": "x", "secret": pasted + "\n" + pasted}),
        ("POST", "/credentials", {"provider_name": "openai", "secret": pasted, "base_url": "https://10.0.0.1"}),
        ("POST", "/credentials", {"provider_name": "nobody", "secret": pasted}),
        ("POST", "/credentials", {"provider_name": "openai", "name": canaries.public, "secret": pasted}),
        ("POST", "/credentials", {"provider_name": "openai", "secret": pasted, "unknown": 1}),
        (
            "POST",
            "/credentials",
            {"provider_name": "openai", "secret": "x", "base_url": f"https://user:{pasted}@example.com"},
        ),
        ("POST", "/budgets", {"limit_nano_usd": 1, "period": "hour"}),
        ("POST", "/keys", {"name": canaries.public, "scopes": ["none"]}),
        ("PUT", "/policies/x", {"default": {"candidates": ["openai/none"]}}),
        ("GET", f"/requests/{world.acme.api_key_id}", None),
    ]
    for verb, path, body in asked:
        answered = await api(verb, path, body)
        assert answered.status >= 400, (path, body)
        canaries.errors.append(answered.text)
    for nobody in (pasted, f"sbm_{pasted}", canaries.secret[0][:-1] + "x"):
        canaries.errors.append((await API(world, nobody)("GET", "/usage")).text)
        canaries.errors.append(await (await world.chat("hi", key=nobody)).text())


async def _break_and_call(world: World, canaries: Canaries) -> None:
    """Faults of our own, with words of the tenant in what fails."""
    api = API(world, canaries.secret[1])
    async with connected(world.database._url_of(SUPERUSER)) as superuser:  # type: ignore[arg-type]  # not one of ours
        for break_it, mend_it in FAULTS:
            await superuser.execute(break_it)
            told = await api("POST", "/projects", {"name": f"{canaries.public} project"})
            answered = await world.chat(canaries.prompt, key=canaries.secret[0])
            both = ((told.status, told.text), (answered.status, await answered.text()))
            failed = [body for status, body in both if status == 500]
            assert failed
            canaries.errors += failed
            await superuser.execute(mend_it)


def _as_logged(event: EventDict) -> str:
    """An event as a process writes it."""
    return str(redact(None, "", format_exc_info(None, "", event)))


async def _tables(world: World) -> list[tuple[str, str | None, str]]:
    """Every row of every table as table, tenant and text, binary columns decoded too."""
    found = []
    async with connected(world.database._url_of(SUPERUSER)) as superuser:  # type: ignore[arg-type]  # not one of ours
        for table in await superuser.fetch(ROWS):
            owner = "tenant_id::text" if table["has_tenant"] else "NULL"
            rows = await superuser.fetch(f"SELECT {owner} AS owner, t::text AS text FROM {table['name']} t")
            found += [(table["name"], row["owner"], _decoded(row["text"])) for row in rows]
    assert len({name for name, _, _ in found}) > 12
    return found


def _decoded(text: str) -> str:
    """The text with what stands in it as hexadecimal digits or in base 64 beside it."""
    return "\n".join([text, *_readable(text)])


def _readable(text: str) -> Iterator[str]:
    for word in itertools.chain(*(part.split(",") for part in text.split('"'))):
        digits = word.strip("()\\").removeprefix("x")
        for decode in (bytes.fromhex, base64.b64decode):
            try:
                yield decode(digits).decode(errors="replace")
            except ValueError:
                continue


def _found(text: str, words: list[str]) -> list[str]:
    return [word for word in words if word in text]
