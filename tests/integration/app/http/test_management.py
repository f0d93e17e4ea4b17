"""What a tenant's programs change over the management API: it holds at once, and is one event of the trail."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from billing import change_plan
from tenants import SYSTEM, Scope, verify_audit
from tests.integration.app.http.api import API
from tests.world import World

POLICY = {"name": "frugal", "rules": [], "default": {"candidates": ["sandbox/swift-mini"], "strategy": "ordered"}}


async def test_each_change_is_one_event_named_by_its_key(world: World, tmp_path: Path) -> None:
    api = await API.of(world, world.acme)
    before = len(await api.audited())
    project = await api("POST", "/projects", {"name": "search"})
    assert project.status == 201, project.text
    key = await api("POST", "/keys", {"name": "ci", "project_id": project.body["project_id"], "is_test": True})
    assert key.status == 201, key.text
    rotated = await api("POST", f"/keys/{key.body['api_key_id']}/rotate", {"overlap_s": 0})
    assert rotated.status == 201, rotated.text
    assert (await api("DELETE", f"/keys/{rotated.body['api_key_id']}")).status == 204
    credential = await api("POST", "/credentials", {"provider_name": "openai", "secret": "sk-0123456789abcdef"})
    assert credential.status == 201, credential.text
    assert (await api("DELETE", f"/credentials/{credential.body['credential_id']}")).status == 204
    assert (await api("PUT", "/policies/frugal", POLICY)).status == 200
    budget = await api("POST", "/budgets", {"limit_nano_usd": 5_000_000_000, "period": "month"})
    assert budget.status == 200, budget.text
    assert (await api("DELETE", f"/budgets/{budget.body['budget_id']}")).status == 204
    refused = await api("DELETE", f"/budgets/{budget.body['budget_id']}")
    assert refused.code == "not_found"
    # Refusals and repeats change nothing, and so they are no events.
    assert (await api("POST", "/projects", {"name": "search"})).code == "name_taken"
    assert (await api("DELETE", f"/keys/{rotated.body['api_key_id']}")).status == 204

    exported = await api("GET", "/audit/export")
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    path = tmp_path / "trail.jsonl"
    path.write_text(exported.text)
    assert (await asyncio.to_thread(verify_audit, path)).is_intact
    actions = (await api.audited())[before:]
    assert [action for action in actions if action != "audit.exported"] == [
        "project.created", "api_key.created", "api_key.rotated", "api_key.revoked", "provider_credential.added",
        "provider_credential.disabled", "policy.published", "budget.set", "budget.removed",
    ]  # fmt: skip
    listed = await api("GET", "/keys")
    assert {each["created_by"] for each in listed.body["data"] if each["name"] == "ci"} == {"management"}


async def test_a_key_is_seen_once_works_at_once_and_stops_when_revoked(world: World) -> None:
    api = await API.of(world, world.acme)
    made = await api("POST", "/keys", {"name": "ci"})
    secret = made.body["api_key"]
    assert secret.startswith("sbx_live_")
    assert made.body["scopes"] == ["models:call", "usage:read"]
    assert made.headers["cache-control"] == "no-store"
    assert (await world.chat(key=secret)).status == 200
    for path in ("/keys", "/audit/export", "/whoami"):
        assert secret not in (await api("GET", path)).text
    assert (await api("DELETE", f"/keys/{made.body['api_key_id']}")).status == 204
    for _ in range(100):
        if (await world.chat(key=secret)).status == 401:
            break
        await asyncio.sleep(0.01)
    refused = await API(world, secret)("GET", "/whoami")
    assert refused.code == "api_key_revoked"
    assert refused.headers["www-authenticate"] == "Bearer"
    states = {each["name"]: each["state"] for each in (await api("GET", "/keys")).body["data"]}
    assert states["ci"] == "revoked"
    assert (await api("POST", f"/keys/{made.body['api_key_id']}/rotate")).code == "field_invalid"


async def test_nobody_hands_out_a_scope_that_its_own_key_does_not_hold(world: World) -> None:
    full = await API.of(world, world.acme)
    narrow = await API.of(world, world.acme, Scope.KEYS_WRITE)
    management = {"name": "more", "kind": "management"}
    assert (await narrow("POST", "/keys", {**management, "scopes": ["audit:read"]})).code == "scope_missing"
    made = await narrow("POST", "/keys", management)
    assert made.body["scopes"] == ["keys:write"]
    assert (await narrow("POST", "/keys", {"name": "model"})).body["scopes"] == ["models:call"]
    for each in (await full("GET", "/keys")).body["data"]:
        if set(each["scopes"]) - {"keys:write", "models:call"}:
            assert (await narrow("POST", f"/keys/{each['api_key_id']}/rotate")).code == "scope_missing"
    assert (await narrow("POST", f"/keys/{made.body['api_key_id']}/rotate")).body["scopes"] == ["keys:write"]
    mixed = await full("POST", "/keys", {**management, "scopes": ["models:call"]})
    assert mixed.code == "field_invalid"


async def test_lists_of_keys_and_credentials_are_read_page_by_page(world: World) -> None:
    api = await API.of(world, world.acme)
    for number in range(3):
        await api("POST", "/keys", {"name": f"key {number}"})
        await api("POST", "/credentials", {"provider_name": "groq", "name": f"own {number}", "secret": "gsk-" * 8})
    for path, id_name in (("/keys", "api_key_id"), ("/credentials", "credential_id"), ("/projects", "project_id")):
        whole = (await api("GET", path)).body
        ids = [each[id_name] for each in whole["data"]]
        assert whole["has_more"] is False
        assert whole["last_id"] == ids[-1]
        paged: list[str] = []
        while len(paged) <= len(ids):
            query = [("limit", "1"), *([("after", paged[-1])] if paged else [])]
            page = (await api("GET", path, query=query)).body
            paged += [each[id_name] for each in page["data"]]
            if not page["has_more"]:
                break
        assert paged == ids
    names = [each["name"] for each in (await api("GET", "/keys")).body["data"]][:3]
    assert names == ["key 2", "key 1", "key 0"]


async def test_a_credential_leads_to_a_public_address_of_a_real_provider_or_nowhere(world: World) -> None:
    api = await API.of(world, world.acme)
    secret = "sk-canary-0123456789abcdef"
    rows = {
        "address_not_allowed": [
            {"provider_name": "openai", "base_url": address}
            for address in ("http://openai.com", "https://127.0.0.1/v1", "https://10.1.2.3/", world.sandbox.base_url)
        ],
        "field_invalid": [
            {"provider_name": "openai", "base_url": "https://no-such-host.invalid/v1"},
            {"provider_name": "openai", "base_url": "ftp://example.com"},
            {"provider_name": "openai", "name": "two\nlines"},
        ],
        "provider_not_found": [{"provider_name": "nobody"}, {"provider_name": "sandbox"}],
    }  # fmt: skip
    for code, bodies in rows.items():
        for body in bodies:
            answered = await api("POST", "/credentials", {"secret": secret, **body})
            assert answered.code == code, (body, answered.text)
            assert secret not in answered.text
    assert (await api("GET", "/credentials")).body["data"] == []
    added = await api("POST", "/credentials", {"provider_name": "openai", "secret": secret})
    assert secret not in added.text
    assert added.body["last_four"] == "cdef"
    assert (await api("POST", "/credentials", {"provider_name": "openai", "secret": secret})).code == "name_taken"


async def test_a_policy_is_checked_first_and_replaced_by_whoever_read_it(world: World) -> None:
    api = await API.of(world, world.acme)
    created = await api("PUT", "/policies/frugal", POLICY, headers={"if-none-match": "*"})
    assert (created.status, created.headers["etag"]) == (200, '"1"')
    assert (await api("PUT", "/policies/frugal", POLICY, headers={"if-none-match": "*"})).status == 412
    first, second = await asyncio.gather(
        *(api("PUT", "/policies/frugal", POLICY, headers={"if-match": '"1"'}) for _ in range(2))
    )
    assert sorted((first.status, second.status)) == [200, 412]
    late = max(first, second, key=lambda answered: answered.status)
    assert late.code == "version_outdated"
    assert "version 2" in late.body["detail"]
    shown = await api("GET", "/policies/frugal")
    assert shown.headers["etag"] == '"2"'
    assert shown.body["document"] == POLICY
    assert [each["name"] for each in (await api("GET", "/policies")).body["data"]] == ["frugal"]
    assert (await api("PUT", "/policies/frugal", POLICY, headers={"if-match": "2"})).code == "invalid_header"
    assert (await api("PUT", "/policies/new", POLICY, headers={"if-match": '"1"'})).status == 412

    bad = {**POLICY, "aliases": {"fast": "openai/gpt-9"}, "default": {"candidates": ["sandbox/none"], "strategy": "x"}}
    refused = await api("PUT", "/policies/frugal", bad)
    assert refused.code == "policy_invalid"
    assert len(refused.body["errors"]) >= 1
    unknown = await api(
        "PUT", "/policies/frugal", {**POLICY, "default": {"candidates": ["a/b"], "strategy": "ordered"}}
    )
    assert "'a/b' does not exist" in unknown.body["errors"][0]["detail"]
    assert (await api("GET", "/policies/frugal")).headers["etag"] == '"2"'
    assert (await api("GET", "/policies/none")).code == "not_found"
    for _ in range(200):
        routed = await world.chat(model="auto/frugal")
        if routed.status == 200:
            break
        await asyncio.sleep(0.01)
    assert routed.headers["x-signalbox-model"].endswith("swift-mini")


async def test_a_budget_set_here_holds_on_the_request_path(world: World) -> None:
    api = await API.of(world, world.acme)
    limit = {"limit_nano_usd": 1_000, "period": "month", "api_key_id": str(world.acme.api_key_id)}
    budget = await api("POST", "/budgets", limit)
    assert budget.body["limit_usd"] == "0.000001"
    assert budget.body["scope"] == "api_key"
    assert (await world.chat(max_tokens=1_000)).status == 402
    moved = await api("POST", "/budgets", {**limit, "limit_nano_usd": 10**12})
    assert moved.body["budget_id"] == budget.body["budget_id"]
    assert (await world.chat(max_tokens=1_000)).status == 200
    await world.gateway.settlement.drain()
    [listed] = (await api("GET", "/budgets")).body["data"]
    assert listed["spent_nano_usd"] > 0
    for body in ({"project_id": str(world.acme.project_id)}, {"api_key_id": str(world.umbrella.api_key_id)}):
        refused = await api("POST", "/budgets", {**limit, **body})
        assert refused.code == "budget_invalid"


NOW = datetime.now(UTC)
DEEP = b'{"name":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
BAD = [
    ("GET", "/usage?since=2026-01-01T00:00:00", None, 422, "field_invalid"),
    ("GET", "/usage?since=0001-01-01T00:00:00Z", None, 422, "field_invalid"),
    ("GET", "/usage?until=9999-12-31T23:59:59Z", None, 422, "field_invalid"),
    ("GET", "/usage?since=2020-01-01T00:00:00Z", None, 422, "field_invalid"),
    ("GET", "/usage?since=yesterday", None, 400, "invalid_request"),
    ("GET", "/usage?group_by=colour", None, 400, "invalid_request"),
    ("GET", "/usage?group_by=model&group_by=task&group_by=hour&group_by=day", None, 400, "invalid_request"),
    ("GET", "/usage?colour=red", None, 422, "field_invalid"),
    ("GET", "/whoami?caller=me", None, 422, "field_invalid"),
    ("GET", "/requests?limit=0", None, 400, "invalid_request"),
    ("GET", "/requests?limit=201", None, 400, "invalid_request"),
    ("GET", "/requests?limit=99999999999999999999999", None, 400, "invalid_request"),
    ("GET", "/requests?http_status=7", None, 400, "invalid_request"),
    ("GET", "/requests?after=x", None, 400, "invalid_request"),
    ("GET", "/requests?task=%00", None, 400, "invalid_request"),
    ("GET", "/requests?model=" + "m" * 201, None, 400, "invalid_request"),
    ("GET", "/requests/nonsense", None, 404, "route_not_found"),
    ("GET", "/requests/01a20cb8-c0db-75a4-ad9c-065acc3a62a6", None, 404, "request_not_found"),
    ("GET", "/projects?after=01a20cb8-c0db-75a4-ad9c-065acc3a62a6", None, 422, "field_invalid"),
    ("GET", "/policies/%00", None, 422, "field_invalid"),
    ("GET", "/nothing/here", None, 404, "route_not_found"),
    ("PATCH", "/keys", None, 405, "method_not_allowed"),
    ("POST", "/whoami", None, 405, "method_not_allowed"),
    ("POST", "/projects", b"", 400, "invalid_request"),
    ("POST", "/projects", b"{", 400, "invalid_request"),
    ("POST", "/projects", b"[]", 400, "invalid_request"),
    ("POST", "/projects", b"\xff\xfe", 400, "invalid_request"),
    ("POST", "/projects", DEEP, 400, "invalid_request"),
    ("POST", "/projects", b'{"name":""}', 400, "invalid_request"),
    ("POST", "/projects", b'{"name":"  "}', 422, "field_invalid"),
    ("POST", "/projects", b'{"name":"a\\u0000b"}', 422, "field_invalid"),
    ("POST", "/projects", b'{"name":"x","tenant_id":"01a20cb8-c0db-75a4-ad9c-065acc3a62a6"}', 400, "invalid_request"),
    ("POST", "/projects", b'{"name":"' + b"x" * 600_000 + b'"}', 413, "request_too_large"),
    ("POST", "/keys", b'{"name":"k","scopes":[]}', 400, "invalid_request"),
    ("POST", "/keys", b'{"name":"k","scopes":["root"]}', 400, "invalid_request"),
    ("POST", "/keys", b'{"name":"k","scopes":["keys:write"]}', 422, "field_invalid"),
    ("POST", "/keys", b'{"name":"k","kind":"management","is_test":true}', 422, "field_invalid"),
    ("POST", "/keys", b'{"name":"k","expires_at":"2020-01-01T00:00:00Z"}', 422, "field_invalid"),
    ("POST", "/keys", b'{"name":"k","expires_at":"2090-01-01T00:00:00"}', 422, "field_invalid"),
    ("POST", "/keys", b'{"name":"k","expires_at":"9999-12-31T23:59:59-12:00"}', 422, "field_invalid"),
    ("POST", "/keys", b'{"name":"k","project_id":"01a20cb8-c0db-75a4-ad9c-065acc3a62a6"}', 404, "not_found"),
    ("POST", "/keys/01a20cb8-c0db-75a4-ad9c-065acc3a62a6/rotate", b"{}", 404, "not_found"),
    ("POST", "/keys/01a20cb8-c0db-75a4-ad9c-065acc3a62a6/rotate", b'{"overlap_s":-1}', 400, "invalid_request"),
    ("DELETE", "/keys/01a20cb8-c0db-75a4-ad9c-065acc3a62a6", None, 404, "not_found"),
    ("DELETE", "/credentials/01a20cb8-c0db-75a4-ad9c-065acc3a62a6", None, 404, "not_found"),
    ("POST", "/budgets", b'{"limit_nano_usd":-1,"period":"month"}', 400, "invalid_request"),
    ("POST", "/budgets", b'{"limit_nano_usd":1e30,"period":"month"}', 400, "invalid_request"),
    ("POST", "/budgets", b'{"limit_nano_usd":' + b"9" * 5_000 + b',"period":"month"}', 400, "invalid_request"),
    ("POST", "/budgets", b'{"limit_nano_usd":1.5,"period":"month"}', 400, "invalid_request"),
    ("POST", "/budgets", b'{"limit_nano_usd":1,"period":"hour"}', 400, "invalid_request"),
    ("PUT", "/policies/Bad%20Name", json.dumps(POLICY).encode(), 422, "field_invalid"),
    ("PUT", "/policies/x", b"[]", 400, "invalid_request"),
    ("PUT", "/policies/x", b"{}", 422, "policy_invalid"),
    ("PUT", "/policies/x", b'{"name":"x","rules":' + b"[" * 5_000 + b"]" * 5_000 + b"}", 400, "invalid_request"),
]  # fmt: skip


async def test_bad_input_is_a_problem_that_names_the_place_and_changes_nothing(world: World) -> None:
    api = await API.of(world, world.acme)
    before = len(await api.audited())
    wrong = []
    for verb, path, body, status, code in BAD:
        answered = await api(verb, path, raw=body)
        if (answered.status, answered.body and answered.code) != (status, code):
            wrong.append((verb, path, (body or b"")[:60], answered.text[:400]))
        assert "sqlalchemy" not in answered.text.lower()
        assert "msgspec" not in answered.text.lower()
    assert not wrong
    assert len(await api.audited()) == before + 1
    both = {"limit_nano_usd": 1, "period": "day", "project_id": str(world.acme.project_id)}
    assert (await api("POST", "/budgets", {**both, "api_key_id": str(world.acme.api_key_id)})).code == "budget_invalid"
    soon = (NOW + timedelta(days=30)).isoformat()
    assert (await api("POST", "/keys", {"name": "k", "expires_at": soon})).status == 201
    allowed = await api("POST", "/whoami")
    assert "GET" in allowed.headers["allow"]


async def test_the_description_is_openapi_and_lists_every_route_and_no_other(world: World) -> None:
    async with world.client.get(f"{world.base_url}/api/openapi.json") as response:
        assert response.status == 200
        text = await response.text()
    schema = json.loads(text)
    assert schema["openapi"].startswith("3.1")
    assert all(path.startswith("/api/v1/") for path in schema["paths"])
    assert "http://" not in text
    assert "https://" not in text
    assert "app.http" not in text
    described = set(schema["components"]["schemas"])
    assert {each.rpartition("/")[2] for each in _references(schema)} <= described
    keys = schema["paths"]["/api/v1/keys"]["post"]
    assert "application/problem+json" in keys["responses"]["default"]["content"]
    async with world.client.get(f"{world.base_url}/api/docs") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"
    async with world.client.get(f"{world.base_url}/v1/nothing") as response:
        assert response.content_type == "application/json"


def _references(node: object) -> list[str]:
    match node:
        case {"$ref": str(reference)}:
            return [reference]
        case dict():
            return [found for each in node.values() for found in _references(each)]
        case list():
            return [found for each in node for found in _references(each)]
        case _:
            return []


async def test_what_the_plan_does_not_unlock_is_refused_with_the_plans_that_do(world: World) -> None:
    api = await API.of(world, world.acme)
    await change_plan(world.database, SYSTEM, world.acme.tenant_id, "free")
    for _ in range(100):
        refused = await api("PUT", "/policies/frugal", POLICY)
        if refused.status == 403:
            break
        await asyncio.sleep(0.02)
    assert refused.code == "feature_not_in_plan"
    assert "'custom_policies'" in refused.body["detail"]
    assert "Move to Pro or Enterprise" in refused.body["detail"]
    assert (await api("GET", "/audit/export")).code == "feature_not_in_plan"
    # What is there can be read and taken away under any plan.
    assert (await api("GET", "/policies")).status == 200
    assert (
        await api("POST", "/credentials", {"provider_name": "openai", "secret": "sk-0123456789abcdef"})
    ).status == 201


async def test_a_policy_is_drafted_from_plain_words_and_changes_nothing(world: World) -> None:
    api = await API.of(world, world.acme)
    drafted = await api("POST", "/policies/default/draft", {"text": "poems to deep-large, urgent mails to swift-mini"})
    assert drafted.status == 200, drafted.text
    (rule,) = drafted.body["understood"]
    assert (rule["when"], rule["candidates"]) == ({"task": "creative_writing"}, ["sandbox/deep-large"])
    assert any("'urgent'" in problem for problem in drafted.body["not_understood"])
    assert (await api("GET", "/policies")).body["data"] == []
    published = await api("PUT", "/policies/default", drafted.body["document"])
    assert published.status == 200, published.text
    assert published.body["document"]["rules"][0]["name"] == "poems to deep large"
