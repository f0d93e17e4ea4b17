"""The page "Policies" over a running gateway: what it publishes is what requests go by."""

import asyncio
import re
from dataclasses import dataclass
from typing import Final

import pytest

from billing import change_plan
from tenants import SYSTEM, MemberRole, TenantKind, create_member, find_policy, list_policies, publish_policy, sign_in
from tests.world import TestTenant, World

EDITOR: Final = "/console/policies/edit"
ROLL_BACK: Final = "/console/policies/roll-back"
YAML: Final = """name: mine
rules:
- name: code to the coder
  when: {task: {in: [code_generation]}}
  then: {candidates: [sandbox/coder-pro], strategy: ordered}
default: {candidates: [sandbox/swift-mini], strategy: ordered}
"""
CODE: Final = "Write a Python function that reverses a list"
HOSTILE: Final = "</textarea><script>document.title=1</script>"


@dataclass(slots=True)
class Person:
    """A member of a tenant at the console."""

    world: World
    cookie: str

    async def get(self, path: str) -> tuple[int, str]:
        """A page."""
        asked = self.world.client.get(self.world.base_url + path, headers={"cookie": self.cookie})
        async with asked as answer:
            return answer.status, await answer.text()

    async def send(self, path: str, **fields: str) -> tuple[int, str, str]:
        """A form with the token of the page; the answer's status, text and where it leads."""
        _, shown = await self.get(EDITOR)
        token = shown.partition('name="form_token" value="')[2].partition('"')[0]
        async with self.world.client.post(
            self.world.base_url + path,
            data={"form_token": token, **fields},
            headers={"cookie": self.cookie},
            allow_redirects=False,
        ) as answer:
            return answer.status, await answer.text(), answer.headers.get("location", "")

    async def edit(self, action: str, text: str = YAML, **fields: str) -> tuple[int, str, str]:
        """Press a button of the editor."""
        sent = {"name": "default", "replaces": "0", "text": text, **fields}
        return await self.send(EDITOR, action=action, **sent)


async def owner_of(world: World, tenant: TestTenant) -> Person:
    session = await sign_in(world.database, tenant.owner_email, tenant.owner_password, within=TenantKind.CUSTOMER)
    return Person(world, f"signalbox_session={session.cookie_value}")


@pytest.fixture
async def owner(world: World) -> Person:
    return await owner_of(world, world.acme)


async def versions(world: World, tenant: TestTenant) -> int:
    policies = await list_policies(world.database, tenant.tenant_id)
    return max((policy.version for policy in policies), default=0)


def rows(page: str, table: str) -> list[str]:
    body = page.partition(f'id="{table}"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in body.split("</tr>")[:-1]]


async def test_a_tenant_without_policies_sees_the_platform_s(owner: Person) -> None:
    status, page = await owner.get("/console/policies")
    assert status == 200
    assert rows(page, "policies")[0].startswith("default auto v1 the platform")
    _, page = await owner.get(EDITOR)
    assert "code to the coder" in page
    assert "No versions yet" in page
    assert "No difference." in page


async def test_what_is_published_decides_the_next_request(world: World, owner: Person) -> None:
    status, _, location = await owner.edit("publish", YAML.replace("sandbox/swift-mini", "sandbox/deep-large"))
    assert (status, location) == (303, f"{EDITOR}?name=default")
    for _ in range(100):
        answer = await world.chat("Hello, how are you?")
        if answer.headers["x-signalbox-model"] == "deep-large":
            break
    assert answer.headers["x-signalbox-model"] == "deep-large"
    _, page = await owner.get(EDITOR)
    assert rows(page, "versions")[0].startswith("v1 in force")
    _, listed = await owner.get("/console/policies")
    assert "the platform" not in rows(listed, "policies")[0]


async def test_json_is_published_as_it_was_typed(world: World, owner: Person) -> None:
    text = '{"name": "mine",\r\n "default": {"candidates": ["sandbox/swift-mini"], "strategy": "ordered"}}'
    assert (await owner.edit("publish", text))[0] == 303
    _, page = await owner.get(f"{EDITOR}?as=json")
    assert "&#34;default&#34;: {" in page


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (YAML.replace("coder-pro", "codr-pro"), "rules[0].then.candidates"),
        (YAML.replace("strategy: ordered", "strategy: guess"), "strategy"),
        ("rules: [", "not a policy in YAML"),
        ("{", "JSON"),
        ("", "the policy is empty"),
        ("a: &x 1\nb: *x\n", "aliases"),
        (HOSTILE, "nothing was published"),
    ],
)
async def test_what_does_not_hold_is_told_with_its_place_and_not_published(
    world: World, owner: Person, text: str, told: str
) -> None:
    for action in ("check", "draft", "try", "publish"):
        status, page, _ = await owner.edit(action, text, words="code to swift-mini", prompt=CODE)
        assert status == 422, action
        assert told in page.partition('id="problems"')[2].partition("</section>")[0]
        assert "<script>document" not in page
    assert await versions(world, world.acme) == 0


async def test_checking_shows_the_difference_and_changes_nothing(world: World, owner: Person) -> None:
    status, page, _ = await owner.edit("check")
    assert status == 200
    assert "The policy holds." in page
    assert '<span class="added">+name: mine</span>' in page
    assert '<span class="removed">-name: default</span>' in page
    assert await versions(world, world.acme) == 0


async def test_trying_tells_what_a_request_would_meet_and_sends_nothing(world: World, owner: Person) -> None:
    text = YAML.replace("[sandbox/coder-pro]", "[sandbox/coder-pro, sandbox/deep-large]")
    _, page, _ = await owner.edit("try", text, prompt=CODE, model="auto")
    decision = page.partition('id="decision"')[2]
    assert "It would go to sandbox/coder-pro" in decision
    assert "code generation" in decision
    first, second = rows(page, "candidates")
    assert "It would be tried first." in first
    assert "if those before it fail" in second
    _, page, _ = await owner.edit("try", text, prompt=CODE, model="sandbox/nothing")
    assert "sandbox/nothing" in page.partition('id="try-title"')[2]
    assert 'id="decision"' not in page
    _, page, _ = await owner.edit("try", text, prompt=" ")
    assert "Write a prompt" in page
    await world.gateway.settlement.drain()
    _, requests = await owner.get("/console/requests")
    assert "No request matches" in requests


async def test_a_tag_brings_a_guard_into_the_decision(owner: Person) -> None:
    guarded = YAML + "guards:\n- name: only the other\n  when: {tag: {in: [secret]}}\n  allow: [sandbox/deep-large]\n"
    _, page, _ = await owner.edit("try", guarded, prompt=CODE, tags="secret")
    assert "only the other" in page


async def test_a_draft_stands_in_the_editor_and_is_not_published(world: World, owner: Person) -> None:
    _, page, _ = await owner.edit("draft", words="Summaries to deep-large. Flummox the gronk.")
    assert "deep-large" in page.partition("<textarea")[2].partition("</textarea>")[0]
    assert '<span class="good">understood</span>' in page
    assert '<span class="bad">not understood</span>' in page
    _, page, _ = await owner.edit("draft", words="")
    assert "Say in plain words" in page
    assert await versions(world, world.acme) == 0


async def test_who_did_not_see_the_newest_version_does_not_replace_it(world: World, owner: Person) -> None:
    await owner.edit("publish")
    status, page, _ = await owner.edit("publish", YAML.replace("mine", "other"))
    assert status == 409
    assert "name: other" in page.partition("<textarea")[2].partition("</textarea>")[0]
    assert await versions(world, world.acme) == 1
    replaces = page.partition('name="replaces" value="')[2].partition('"')[0]
    assert (await owner.edit("publish", YAML.replace("mine", "other"), replaces=replaces))[0] == 303
    assert await versions(world, world.acme) == 2


async def test_rolling_back_publishes_the_old_version_anew(world: World, owner: Person) -> None:
    await owner.edit("publish")
    await owner.edit("publish", YAML.replace("mine", "other"), replaces="1")
    _, page = await owner.get(f"{EDITOR}?name=default&version=1")
    assert "name: mine" in page
    assert '<span class="added">+name: mine</span>' in page
    status, _, _ = await owner.send(ROLL_BACK, name="default", version="1", replaces="2")
    assert status == 303
    policy = await find_policy(world.database, world.acme.tenant_id, "default")
    assert policy.version == 3
    assert b'"mine"' in policy.document
    assert (await owner.send(ROLL_BACK, name="default", version="1", replaces="2"))[0] == 409
    for version in ("9", "-1", "x", "99999999999"):
        assert (await owner.send(ROLL_BACK, name="default", version=version, replaces="3"))[0] == 404


async def test_names_without_sense_are_refused_as_text(world: World, owner: Person) -> None:
    status, page, _ = await owner.edit("publish", name=HOSTILE)
    assert status == 422
    assert "<script>document" not in page
    assert await versions(world, world.acme) == 0


async def test_a_viewer_checks_and_tries_but_does_not_publish(world: World, owner: Person) -> None:
    made = await create_member(
        world.database, SYSTEM, world.acme.tenant_id, email="viewer@acme.example", role=MemberRole.VIEWER
    )
    session = await sign_in(world.database, "viewer@acme.example", made.password, within=TenantKind.CUSTOMER)
    viewer = Person(world, f"signalbox_session={session.cookie_value}")
    _, page = await viewer.get(EDITOR)
    assert 'value="publish"' not in page
    assert (await viewer.edit("try", prompt=CODE))[0] == 200
    assert (await viewer.edit("publish"))[0] == 403
    assert (await viewer.send(ROLL_BACK, name="default", version="1"))[0] == 403
    assert await versions(world, world.acme) == 0


async def test_a_plan_without_policies_of_ones_own_publishes_none_here_either(world: World, owner: Person) -> None:
    await change_plan(world.database, SYSTEM, world.acme.tenant_id, "free")
    while (await world.gateway.views.of(world.acme.tenant_id)).plan.plan_id != "free":
        await asyncio.sleep(0.01)
    status, page, _ = await owner.edit("publish")
    assert status == 403
    assert "Not in your plan" in page
    assert await versions(world, world.acme) == 0
    # Looking costs nothing.
    assert (await owner.edit("check"))[0] == 200


async def test_another_tenant_reads_and_brings_back_nothing_of_ours(world: World, owner: Person) -> None:
    document = b'{"name": "canary-acme", "default": {"candidates": ["sandbox/swift-mini"], "strategy": "ordered"}}'
    await publish_policy(world.database, SYSTEM, world.acme.tenant_id, "default", document)
    await publish_policy(world.database, SYSTEM, world.acme.tenant_id, "secret-plan", document)
    stranger = await owner_of(world, world.umbrella)
    for path in ("/console/policies", EDITOR, f"{EDITOR}?name=secret-plan"):
        _, page = await stranger.get(path)
        assert "canary-acme" not in page
    assert "secret-plan" not in (await stranger.get("/console/policies"))[1]
    assert (await stranger.get(f"{EDITOR}?name=default&version=1"))[0] == 404
    assert (await stranger.send(ROLL_BACK, name="secret-plan", version="1"))[0] == 404
    assert (await stranger.edit("publish", name="secret-plan"))[0] == 303
    ours = await find_policy(world.database, world.acme.tenant_id, "secret-plan")
    assert (ours.version, ours.document) == (1, ours.document)
    assert b"canary-acme" in ours.document


async def test_a_form_of_another_page_is_refused(world: World, owner: Person) -> None:
    async with world.client.post(
        world.base_url + EDITOR, data={"action": "publish", "text": YAML}, headers={"cookie": owner.cookie}
    ) as answer:
        assert answer.status == 403
    assert await versions(world, world.acme) == 0
