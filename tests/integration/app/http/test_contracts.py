"""Contracts over the API and on the request path: declared, audited, required, withdrawn."""

import asyncio

from tenants import PLATFORM_TENANT_ID, SYSTEM, Contract, declare_contract, list_credentials
from tests.integration.app.http.api import API
from tests.world import World

PATIENTS = {
    "guards": [{"name": "patients", "when": {"tags": "patient"}, "require": {"baa": True, "regions": ["local"]}}],
    "default": {"candidates": ["sandbox/*"], "strategy": "ordered"},
}
DECLARED = {"regions": ["eu"], "baa": True, "reference": "BAA of 2026-03-01"}


async def test_a_contract_is_declared_and_withdrawn_by_its_own_tenant(world: World) -> None:
    api, theirs = await API.of(world, world.acme), await API.of(world, world.umbrella)
    added = await api("POST", "/credentials", {"provider_name": "openai", "secret": "sk-0123456789abcdef"})
    path = f"/credentials/{added.body['credential_id']}/contract"
    before = len(await api.audited())
    assert (await theirs("PUT", path, DECLARED)).code == "not_found"
    for _ in range(2):  # saying it again changes nothing
        assert (await api("PUT", path, DECLARED)).status == 204
    (listed,) = (await api("GET", "/credentials")).body["data"]
    assert listed["contract"] == {"zero_retention": False, "certified_for": [], **DECLARED}
    assert (await api("DELETE", path)).status == 204
    assert [action for action in (await api.audited())[before:] if action != "audit.exported"] == [
        "provider_credential.contract_declared",
        "provider_credential.contract_withdrawn",
    ]


async def test_a_contract_that_says_nothing_that_exists_is_refused(world: World) -> None:
    api = await API.of(world, world.acme)
    added = await api("POST", "/credentials", {"provider_name": "openai", "secret": "sk-0123456789abcdef"})
    path = f"/credentials/{added.body['credential_id']}/contract"
    for wrong in ({"reference": "x", "regions": ["mars"]}, {"baa": True}, {"reference": "x", "certified_for": ["all"]}):
        assert (await api("PUT", path, wrong)).status in (400, 422)


async def test_what_a_guard_requires_is_refused_until_it_is_declared(world: World) -> None:
    api = await API.of(world, world.acme)
    assert (await api("PUT", "/policies/default", PATIENTS)).status == 200
    patient = {"x-signalbox-tags": "patient"}
    refused = await world.chat(headers=patient)
    for _ in range(200):
        if refused.status == 422:
            break
        await asyncio.sleep(0.01)
        refused = await world.chat(headers=patient)
    error = (await refused.json())["error"]
    assert (refused.status, error["code"]) == (422, "no_candidate_left")
    assert (
        "no business associate agreement (baa) is declared for it, as the guard 'patients' requires"
        in (error["message"])
    )
    assert (await world.chat()).status == 200
    named = await world.chat(headers=patient, model="sandbox/deep-large")
    assert named.status == 422
    for credential in await list_credentials(world.database, PLATFORM_TENANT_ID):
        await declare_contract(
            world.database, SYSTEM, PLATFORM_TENANT_ID, credential.credential_id, Contract(baa=True, reference="demo")
        )
    for _ in range(200):
        answered = await world.chat(headers=patient)
        if answered.status == 200:
            break
        await asyncio.sleep(0.01)
    assert answered.status == 200
