"""Every route × everybody who should not get through: one named table, held against the application's own routes.

A route that is not in the table fails the first test, whoever added it. Invariant: a refusal is 401, 403
or 404 (a console leads to its sign-in page), and holds nothing of the tenant whose ids were asked for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from litestar.routes import HTTPRoute

from app.http.api.access import SCOPE_BY_ROUTE
from app.http.public import PUBLIC_ROUTES
from app.main import create_app
from tenants import (
    SYSTEM,
    KeyPrefix,
    Scope,
    TenantKind,
    add_credential,
    create_key,
    publish_policy,
    revoke_key,
    rotate_key,
    sign_in,
)
from tests.integration.app.http.api import API
from tests.integration.isolation.routes import SIGN_IN, Door, doors
from tests.world import Prepared, TestTenant, World, allow_any_address

UNKNOWN_ID = "01a20cb8-c0db-75a4-ad9c-065acc3a62a6"
POLICY = b'{"name":"canary-acme-policy","default":{"candidates":["sandbox/swift-mini"]}}'


class Needs(StrEnum):
    """Who gets through a door, besides those with a scope."""

    NOBODY = "nobody"  # public by design
    MODEL_KEY = "a model key"
    ANY_KEY = "any key"
    TENANT_SESSION = "a session of the console"
    STAFF_SESSION = "a session of the operator's console"
    FORM = "a form of the sign-in page"
    METRICS_TOKEN = "the token of the operator's scraper"


V1, API_V1 = "/v1", "/api/v1"
MATRIX: Mapping[Door, Needs | Scope] = {
    Door("GET", "/"): Needs.NOBODY,
    Door("GET", "/livez"): Needs.NOBODY,
    Door("GET", "/readyz"): Needs.NOBODY,
    Door("GET", "/metrics"): Needs.METRICS_TOKEN,
    Door("GET", "/api/openapi.json"): Needs.NOBODY,
    Door("POST", f"{V1}/chat/completions"): Needs.MODEL_KEY,
    Door("POST", f"{V1}/messages"): Needs.MODEL_KEY,
    Door("POST", f"{V1}/messages/count_tokens"): Needs.MODEL_KEY,
    Door("POST", f"{V1}/route"): Needs.MODEL_KEY,
    Door("GET", f"{V1}/models"): Needs.MODEL_KEY,
    Door("GET", f"{V1}/requests/{{wanted_id}}"): Needs.MODEL_KEY,
    Door("POST", f"{V1}/feedback"): Needs.MODEL_KEY,
    Door("GET", f"{API_V1}/whoami"): Needs.ANY_KEY,
    Door("GET", f"{API_V1}/usage"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/requests"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/requests/{{request_id}}"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/projects"): Scope.USAGE_READ,
    Door("POST", f"{API_V1}/projects"): Scope.KEYS_WRITE,
    Door("GET", f"{API_V1}/keys"): Scope.KEYS_WRITE,
    Door("POST", f"{API_V1}/keys"): Scope.KEYS_WRITE,
    Door("POST", f"{API_V1}/keys/{{api_key_id}}/rotate"): Scope.KEYS_WRITE,
    Door("DELETE", f"{API_V1}/keys/{{api_key_id}}"): Scope.KEYS_WRITE,
    Door("GET", f"{API_V1}/credentials"): Scope.CREDENTIALS_WRITE,
    Door("POST", f"{API_V1}/credentials"): Scope.CREDENTIALS_WRITE,
    Door("DELETE", f"{API_V1}/credentials/{{credential_id}}"): Scope.CREDENTIALS_WRITE,
    Door("PUT", f"{API_V1}/credentials/{{credential_id}}/contract"): Scope.CREDENTIALS_WRITE,
    Door("DELETE", f"{API_V1}/credentials/{{credential_id}}/contract"): Scope.CREDENTIALS_WRITE,
    Door("GET", f"{API_V1}/policies"): Scope.POLICIES_WRITE,
    Door("GET", f"{API_V1}/policies/{{policy_name}}"): Scope.POLICIES_WRITE,
    Door("PUT", f"{API_V1}/policies/{{policy_name}}"): Scope.POLICIES_WRITE,
    Door("GET", f"{API_V1}/examples"): Scope.POLICIES_WRITE,
    Door("POST", f"{API_V1}/examples"): Scope.POLICIES_WRITE,
    Door("DELETE", f"{API_V1}/examples/{{example_id}}"): Scope.POLICIES_WRITE,
    Door("POST", f"{API_V1}/policies/{{policy_name}}/draft"): Scope.POLICIES_WRITE,
    Door("GET", f"{API_V1}/budgets"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/credit"): Scope.USAGE_READ,
    Door("POST", f"{API_V1}/budgets"): Scope.BUDGETS_WRITE,
    Door("GET", f"{API_V1}/budgets/events"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/budgets/{{budget_id}}/end-users"): Scope.BUDGETS_WRITE,
    Door("DELETE", f"{API_V1}/budgets/{{budget_id}}"): Scope.BUDGETS_WRITE,
    Door("GET", f"{API_V1}/limits"): Scope.USAGE_READ,
    Door("POST", f"{API_V1}/limits"): Scope.BUDGETS_WRITE,
    Door("DELETE", f"{API_V1}/limits/{{limit_id}}"): Scope.BUDGETS_WRITE,
    Door("GET", f"{API_V1}/quality"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/evaluations"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/evaluations/{{evaluation_id}}"): Scope.USAGE_READ,
    Door("POST", f"{API_V1}/evaluations"): Scope.POLICIES_WRITE,
    Door("DELETE", f"{API_V1}/evaluations/{{evaluation_id}}"): Scope.POLICIES_WRITE,
    Door("GET", f"{API_V1}/feedback"): Scope.USAGE_READ,
    Door("GET", f"{API_V1}/audit/export"): Scope.AUDIT_READ,
    Door("GET", "/console/assets/{file_name}"): Needs.NOBODY,
    Door("GET", "/console/{path}"): Needs.NOBODY,
    Door("GET", "/operator/{path}"): Needs.NOBODY,
    Door("GET", "/console/sign-in"): Needs.NOBODY,
    Door("POST", "/console/sign-in"): Needs.FORM,
    Door("POST", "/console/sign-out"): Needs.TENANT_SESSION,
    Door("GET", "/console"): Needs.TENANT_SESSION,
    **{
        Door(verb, f"/console/{path}"): Needs.TENANT_SESSION
        for verb, paths in (
            ("GET", "audit audit/export keys limits models plan plan/statement.csv"),
            ("GET", "cost policies policies/edit quality reliability requests usage"),
            ("GET", "requests/export/{file_name} usage/export/{file_name}"),
            ("POST", "models/credentials models/credentials/{credential_id}/disable"),
            ("POST", "limits/budgets limits/budgets/remove limits/traffic limits/traffic/remove"),
            ("POST", "keys keys/{api_key_id}/revoke keys/{api_key_id}/rotate policies/edit policies/roll-back"),
        )
        for path in paths.split()
    },
    Door("GET", "/console/requests/{request_id}"): Needs.TENANT_SESSION,
    Door("GET", "/operator/sign-in"): Needs.NOBODY,
    Door("POST", "/operator/sign-in"): Needs.FORM,
    Door("POST", "/operator/sign-out"): Needs.STAFF_SESSION,
    Door("GET", "/operator"): Needs.STAFF_SESSION,
    Door("GET", "/operator/pulse"): Needs.STAFF_SESSION,
    Door("GET", "/operator/prices"): Needs.STAFF_SESSION,
    Door("POST", "/operator/prices/import"): Needs.STAFF_SESSION,
    Door("GET", "/operator/providers"): Needs.STAFF_SESSION,
    Door("GET", "/operator/jobs"): Needs.STAFF_SESSION,
    Door("GET", "/operator/audit"): Needs.STAFF_SESSION,
    Door("GET", "/operator/tenants/{tenant_id}"): Needs.STAFF_SESSION,
    Door("POST", "/operator/tenants/{tenant_id}/plan"): Needs.STAFF_SESSION,
    Door("POST", "/operator/tenants/{tenant_id}/status"): Needs.STAFF_SESSION,
    Door("POST", "/operator/tenants/{tenant_id}/credit"): Needs.STAFF_SESSION,
}
# What a door must be sent to come as far as its ids.
BODIES: Mapping[str, Any] = {
    f"{API_V1}/projects": {"name": "fresh"},
    f"{API_V1}/keys": {"name": "fresh"},
    f"{API_V1}/credentials": {"provider_name": "groq", "secret": "gsk-0123456789abcdef"},
    f"{API_V1}/credentials/{{credential_id}}/contract": {"baa": True, "reference": "agreed"},
    f"{API_V1}/budgets": {"limit_nano_usd": 1, "period": "day"},
    f"{API_V1}/limits": {"kind": "tokens_per_day", "limit_count": 1_000_000_000},
    f"{API_V1}/policies/{{policy_name}}": {"name": "fresh", "default": {"candidates": ["sandbox/swift-mini"]}},
    f"{API_V1}/examples": {"examples": [{"prompt": "Where is my parcel?", "task": "order_status"}]},
    f"{API_V1}/policies/{{policy_name}}/draft": {"text": "summaries to swift-mini"},
    f"{V1}/chat/completions": {"model": "auto", "messages": [{"role": "user", "content": "hi"}]},
    f"{V1}/messages": {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    f"{V1}/messages/count_tokens": {"model": "auto", "messages": [{"role": "user", "content": "hi"}]},
    f"{API_V1}/evaluations": {
        "name": "fresh",
        "prompts_sha256": "a" * 64,
        "prompt_count": 1,
        "started_at": "2026-11-24T00:00:00Z",
        "results": [
            {"subject": "m", "subject_kind": "model", "model": "m", "task": "", "prompt_count": 1, "reached": 1}
        ],
    },
    f"{V1}/feedback": {"request_id": UNKNOWN_ID, "thumb": "up"},
    f"{V1}/route": {"model": "auto", "messages": [{"role": "user", "content": "hi"}]},
}
# A policy's name is no id: another tenant of the same name publishes its own.
OWN_NAMESPACE = {
    Door("PUT", f"{API_V1}/policies/{{policy_name}}"),
    Door("POST", f"{API_V1}/policies/{{policy_name}}/draft"),
}


ACCOUNT = (
    "/projects", "/keys", "/credentials", "/policies", "/budgets", "/limits", "/evaluations", "/feedback", "/examples",
)  # fmt: skip
PARAMETERS = sorted({name for door in MATRIX for name in re.findall(r"\{(\w+)\}", door.path)})

# Headers that say who is calling.
Credentials = dict[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer."""

    status: int
    location: str
    text: str

    @property
    def is_led_to_sign_in(self) -> bool:
        """How a console refuses a page."""
        return self.status in {302, 303} and bool(SIGN_IN.search(self.location))


async def knock(world: World, door: Door, ids: Mapping[str, str], headers: Credentials) -> Told:
    """Send what the door takes."""
    async with world.client.request(
        door.verb,
        world.base_url + door.at(ids),
        json=BODIES.get(door.path) if door.verb in {"POST", "PUT"} else None,
        headers=headers,
        allow_redirects=False,
    ) as answer:
        return Told(answer.status, answer.headers.get("location", ""), await answer.text())


def bearer(key: str) -> Credentials:
    """How a key is presented."""
    return {"authorization": f"Bearer {key}"}


def taken(app: Any) -> set[Door]:
    """The doors of the route table; of a plain ASGI route, which takes any verb, the one in our table."""
    framework = {route.path_format for route in app.routes if isinstance(route, HTTPRoute)}
    return {door for door in doors(app) if door.path in framework or door in MATRIX}


async def test_every_route_of_the_application_stands_in_the_table_and_no_other(world: World) -> None:
    app = create_app(world.gateway)
    assert taken(app) == set(MATRIX)
    # An ASGI route has no verbs of its own: those that are not in the table are refused by it.
    for door in set(doors(app)) - set(MATRIX):
        assert (await knock(world, door, {}, bearer(world.acme.key))).status == 405, door


def test_the_application_agrees_on_what_is_public_and_which_scope_is_needed() -> None:
    assert {Door(*route) for route in PUBLIC_ROUTES} == {d for d, needs in MATRIX.items() if needs is Needs.NOBODY}
    expected = {
        door: None if needs is Needs.ANY_KEY else needs for door, needs in MATRIX.items() if API_V1 in door.path
    }
    assert {Door(*route): scope for route, scope in SCOPE_BY_ROUTE.items()} == expected


async def test_nobody_gets_through_without_what_the_table_says(world: World, prepared: Prepared) -> None:
    unknown = await _unknown(world, world.acme)
    lesser = await _lesser(world, prepared)
    ids = dict.fromkeys(PARAMETERS, UNKNOWN_ID)
    let_in = []
    for door, needs in MATRIX.items():
        if needs is Needs.NOBODY:
            continue
        for name, headers in {**unknown, **lesser[needs]}.items():
            told = await knock(world, door, ids, headers)
            # By key it is plain who is unknown and who is known but may not.
            statuses = {401 if name in unknown else 403} if door.path.startswith((V1, API_V1)) else {401, 403, 404}
            if told.status not in statuses and not told.is_led_to_sign_in:
                let_in.append((door, name, told.status, told.text[:200]))
    assert not let_in


async def test_another_tenants_ids_lead_nowhere_and_tell_nothing(world: World) -> None:
    ids, canaries = await _canaries(world)
    ours = await API.of(world, world.acme)
    before = await _account(ours)
    theirs = await API.of(world, world.umbrella)
    strangers = {
        "a management key": bearer(theirs.key),
        "a model key": bearer(world.umbrella.key),
        "a session": await _session(world, world.umbrella),
    }
    leaks, let_in = [], []
    for door in MATRIX:
        for name, headers in strangers.items():
            told = await knock(world, door, ids, headers)
            is_refused = told.status in {401, 403, 404} or told.is_led_to_sign_in
            if "{" in door.path and not is_refused and not (door in OWN_NAMESPACE and name == "a management key"):
                let_in.append((door, name, told.status, told.text[:200]))
            leaks += [(door, name, canary) for canary in _told(told.text, canaries, ids, door)]
    for verb, path, body in _ids_in_bodies(world, ids):
        answered = await theirs(verb, path, body)
        assert answered.status in {404, 422} or answered.body["data"] == [], (verb, path, answered.text)
        leaks += [((verb, path), "in the body", canary) for canary in _told(answered.text, canaries, ids, None)]
    assert not let_in
    assert not leaks
    assert await _account(ours) == before


async def _unknown(world: World, tenant: TestTenant) -> dict[str, Credentials]:
    """Who is nobody here, whichever the route."""
    found: dict[str, Credentials] = {
        "nobody": {},
        "half a header": {"authorization": "Bearer "},
        "another scheme": {"authorization": "Basic c2JtXzE6"},
        "nonsense": bearer("sbm_nonsense"),
        "no ASCII": bearer("sbm_\xff\xfe"),
        "an unknown key": bearer("sbx_live_0000000000000000000000000000000000000000000000000"),
        "an unknown session": {"cookie": "signalbox_session=0000; signalbox_staff=0000"},
    }
    vault = world.gateway.vault
    for prefix in (KeyPrefix.LIVE, KeyPrefix.MANAGEMENT):
        revoked, expired = [
            await create_key(world.database, vault, SYSTEM, tenant.tenant_id, name=name, prefix=prefix)
            for name in ("revoked", "expired")
        ]
        await revoke_key(world.database, SYSTEM, tenant.tenant_id, revoked.key.api_key_id)
        await rotate_key(world.database, vault, SYSTEM, tenant.tenant_id, expired.key.api_key_id, overlap_s=0)
        found[f"a revoked key {prefix}"] = bearer(revoked.secret)
        found[f"an expired key {prefix}"] = bearer(expired.secret)
    return found


async def _lesser(world: World, prepared: Prepared) -> dict[Needs | Scope, dict[str, Credentials]]:
    """Who is somebody, but not who a door needs."""
    model_key = bearer(world.acme.key)
    management_key = bearer((await API.of(world, world.acme)).key)
    member, operator = await _session(world, world.acme), await _staff_session(world, prepared)
    found: dict[Needs | Scope, dict[str, Credentials]] = {
        Needs.ANY_KEY: {},
        Needs.FORM: {"a model key": model_key, "a member without the form": member},
        Needs.MODEL_KEY: {"a management key": management_key},
        Needs.TENANT_SESSION: {"a model key": model_key, "a management key": management_key, "the operator": operator},
        Needs.METRICS_TOKEN: {"a model key": model_key, "a management key": management_key, "the operator": operator},
        Needs.STAFF_SESSION: {"a model key": model_key, "a management key": management_key, "a member": member},
    }
    for scope in set(Scope) - {Scope.MODELS_CALL}:
        without = await API.of(world, world.acme, *(set(Scope) - {scope, Scope.MODELS_CALL}))
        found[scope] = {"a key without the scope": bearer(without.key)}
        if scope is not Scope.USAGE_READ:
            found[scope]["a model key"] = model_key
    return found


async def _canaries(world: World) -> tuple[dict[str, str], set[str]]:
    """Acme's ids by the name of the parameter that takes them, and words that only Acme may read."""
    api = await API.of(world, world.acme)
    project = (await api("POST", "/projects", {"name": "canary-acme-project"})).body
    key = (await api("POST", "/keys", {"name": "canary-acme-key", "project_id": project["project_id"]})).body
    budget = (await api("POST", "/budgets", {"limit_nano_usd": 77_770_000_000, "period": "day"})).body
    limit = (await api("POST", "/limits", {"kind": "tokens_per_day", "limit_count": 77_770_001})).body
    await api("POST", "/examples", {"examples": [{"prompt": "canary-acme-example", "task": "canary-acme-task"}]})
    example = (await api("GET", "/examples")).body["data"][0]
    credential = await add_credential(
        world.database, world.gateway.vault, SYSTEM, world.acme.tenant_id, provider_name="openai",
        name="canary-acme-credential", secret="sk-canary-acme-secret-0001", base_url="https://canary-acme.example/v1",
        check_address=allow_any_address,
    )  # fmt: skip
    await publish_policy(world.database, SYSTEM, world.acme.tenant_id, "canary-acme-policy", POLICY)
    evaluation = (await api("POST", "/evaluations", {**BODIES[f"{API_V1}/evaluations"], "name": "canary-acme"})).body
    answered = await world.chat("canary-acme-prompt", headers={"x-signalbox-metadata": '{"about": "canary-acme-tag"}'})
    await world.gateway.settlement.drain()
    request_id = answered.headers["x-signalbox-request-id"]
    ids = {
        "wanted_id": request_id, "request_id": request_id, "path": request_id, "file_name": request_id,
        "api_key_id": key["api_key_id"], "credential_id": str(credential.credential_id),
        "budget_id": budget["budget_id"], "evaluation_id": evaluation["evaluation_id"],
        "limit_id": limit["limit_id"], "example_id": example["example_id"],
        "policy_name": "canary-acme-policy", "tenant_id": str(world.acme.tenant_id),
    }  # fmt: skip
    words = {"canary-acme", "Acme", world.acme.owner_email, key["api_key"], "77.77", str(world.acme.project_id)}
    return ids, words | set(ids.values()) | {project["project_id"]}


def _ids_in_bodies(world: World, ids: Mapping[str, str]) -> list[tuple[str, str, object]]:
    project_id, api_key_id = str(world.acme.project_id), ids["api_key_id"]
    budget = {"limit_nano_usd": 1, "period": "week"}
    return [
        ("POST", "/keys", {"name": "x", "project_id": project_id}),
        ("POST", "/budgets", {**budget, "project_id": project_id}),
        ("POST", "/budgets", {**budget, "api_key_id": api_key_id}),
        ("POST", "/limits", {"kind": "tokens_per_day", "limit_count": 1, "project_id": project_id}),
        ("POST", "/limits", {"kind": "tokens_per_day", "limit_count": 1, "api_key_id": api_key_id}),
        ("GET", f"/requests?project_id={project_id}", None),
        ("GET", f"/requests?api_key_id={api_key_id}", None),
        ("GET", f"/requests?after={ids['request_id']}", None),
        ("GET", f"/projects?after={project_id}", None),
        ("GET", f"/budgets?after={ids['budget_id']}", None),
        ("GET", f"/limits?after={ids['limit_id']}", None),
        ("GET", "/policies?after=canary-acme-policy", None),
        ("GET", f"/evaluations?after={ids['evaluation_id']}", None),
        ("GET", f"/examples?after={ids['example_id']}", None),
        ("GET", f"/feedback?after={ids['request_id']}", None),
        ("GET", f"/feedback?project_id={project_id}", None),
    ]


def _told(text: str, canaries: set[str], ids: Mapping[str, str], door: Door | None) -> list[str]:
    """The canaries that an answer holds. An id that the caller sent itself may be said back to it."""
    sent = (
        [ids[name] for name in re.findall(r"\{(\w+)\}", door.path)] if door else [*ids.values(), "canary-acme-policy"]
    )
    for each in sent:
        text = text.replace(each, "")
    found = [canary for canary in canaries if canary in text]
    # Refused with an id of ours in its body, a caller reads that id again and no other word.
    return found if door else [canary for canary in found if not re.fullmatch(r"[0-9a-f-]{36}", canary)]


async def _account(api: API) -> list[object]:
    """What a tenant's own key reads of its account."""
    return [(await api("GET", path)).body for path in ACCOUNT]


async def _session(world: World, tenant: TestTenant) -> Credentials:
    session = await sign_in(world.database, tenant.owner_email, tenant.owner_password, within=TenantKind.CUSTOMER)
    return {"cookie": f"signalbox_session={session.cookie_value}"}


async def _staff_session(world: World, prepared: Prepared) -> Credentials:
    session = await sign_in(
        world.database, prepared.operator_email, prepared.operator_password, within=TenantKind.PLATFORM
    )
    return {"cookie": f"signalbox_staff={session.cookie_value}"}
