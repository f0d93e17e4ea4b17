"""The policies of `app/routing/examples` in the running program: each request goes where its use case says.

What a caller reads is looked at: who answered, by which rule; and where nothing may answer, why each candidate fell.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import app.routing
from app.routing import check_policy, json_of_yaml
from tenants import (
    PLATFORM_TENANT_ID,
    SYSTEM,
    Contract,
    declare_contract,
    list_credentials,
    publish_policy,
)
from tests.world import World

EXAMPLES = Path(app.routing.__file__).with_name("examples")
PASSAGES = (
    "Answer from the passages only.\n\n[1] The lease began on 1 May 2019 and runs for ten years.\n"
    "[2] The rent is paid on the first working day of each quarter.\n[3] The tenant may end it after five years.\n\n"
    "Question: When could the tenant first end the lease?"
)
TRACE = (
    "Why does this raise? \n```python\ndef mean(xs):\n    return sum(xs) / len(xs)\nmean([])\n```\n"
    "ZeroDivisionError: division by zero"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and who is to answer it by which rule."""

    policy: str
    text: str
    rule: str
    served_by: str
    tags: str = ""
    body: Mapping[str, object] = field(default_factory=dict)


CASES = (
    Case("support", "Where can I download my invoice for May?", "billing from the table", "answers/billing"),
    Case("support", "I would like a refund, I was charged twice.", "billing from the table", "answers/billing"),
    Case("support", "Which VAT number stands on my invoices?", "billing from the table", "sandbox/swift-mini"),
    Case(
        "support",
        "The router shows error code 0x51 and won't connect after the firmware update.",
        "technical support to a capable model",
        "sandbox/deep-large",
    ),
    Case("support", "Do you also ship to Norway?", "default", "sandbox/swift-mini"),
    Case("content", "Write five headlines for our spring sale.", "headlines to the small", "sandbox/swift-mini"),
    Case(
        "content",
        "Write a white paper on zero-trust networks for hospital IT managers, eight sections.",
        "white papers to the best writer",
        "sandbox/deep-large",
    ),
    Case(
        "content", "Part two of our series", "white papers to the best writer", "sandbox/deep-large", tags="long-form"
    ),
    Case("rag", "leases that end early", "retrieval step to the small", "sandbox/swift-mini", tags="step:retrieve"),
    Case("rag", "Sum up what was found.", "answer step to the large", "sandbox/deep-large", tags="step:answer"),
    Case("rag", PASSAGES, "answer step to the large", "sandbox/deep-large"),
    Case(
        "code",
        "Sort the imports and fix the indentation:\n\nimport os, sys",
        "formatting to the light",
        "sandbox/swift-mini",
    ),
    Case("code", TRACE, "debugging and writing to the coder", "sandbox/coder-pro"),
    Case(
        "code",
        "Propose an architecture for a ticket shop that must scale to a million users on the day of a sale.",
        "architecture to the strong",
        "sandbox/deep-large",
    ),
    Case(
        "languages", "Proofread: he go to school every days.", "grammar in English to the small", "sandbox/swift-mini"
    ),
    Case(
        "languages",
        "Bitte korrigiere die Grammatik in diesem Satz: Ich habe gestern nach Hause gegangen.",
        "grammar in other languages to the steady",
        "sandbox/steady-base",
    ),
    Case(
        "languages",
        "Summarize the following text in two sentences:\n\nThe committee met on Tuesday to discuss the budget. After a "
        "long debate the members agreed to postpone the decision until the auditors have reported.",
        "summaries in English, German and French to the small",
        "sandbox/swift-mini",
    ),
    Case(
        "languages",
        "Resume el siguiente texto en dos frases:\n\nEl comité se reunió el martes para hablar del presupuesto. Tras "
        "un largo debate, los miembros acordaron aplazar la decisión hasta que los auditores informen.",
        "summaries in other languages to the steady",
        "sandbox/steady-base",
    ),
    Case(
        "health", "I need to reschedule my appointment to Friday.", "administration to the small", "sandbox/swift-mini"
    ),
    Case(
        "health",
        "I have had a fever and chest pain for three days and take blood thinners. What could it be?",
        "patient questions to the medical model",
        "sandbox/deep-large",
    ),
    Case("law", "How high is Mont Blanc?", "default", "sandbox/steady-base"),
    Case(
        "law",
        "Is a liquidated damages clause enforceable in a lease if the landlord breaches the contract?",
        "other legal work in order",
        "sandbox/deep-large",
    ),
)


def example(name: str) -> bytes:
    return json_of_yaml((EXAMPLES / f"{name}.yaml").read_bytes())


async def publish(world: World, name: str) -> None:
    await publish_policy(world.database, SYSTEM, world.acme.tenant_id, "default", example(name))
    for _ in range(200):
        view = await world.gateway.pipeline.view(world.acme.tenant_id)
        if view.policy("default").name == "default" and view.policy("default").rules[0].name in example(name).decode():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the policy did not come into force")


async def sign_for_health(world: World) -> None:
    """The operator has an agreement for the sandbox's credentials."""
    for credential in await list_credentials(world.database, PLATFORM_TENANT_ID):
        contract = Contract(baa=True, reference="agreed for the demonstration")
        await declare_contract(world.database, SYSTEM, PLATFORM_TENANT_ID, credential.credential_id, contract)


def test_every_example_has_cases_and_holds() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.yaml")}
    assert names == {case.policy for case in CASES}
    models = [f"sandbox/{model}" for model in ("swift-mini", "steady-base", "coder-pro", "deep-large")]
    for name in names:
        assert check_policy(example(name), models) == ()


@pytest.mark.parametrize("policy", sorted({case.policy for case in CASES}))
async def test_requests_go_where_the_use_case_says(world: World, policy: str) -> None:
    await publish(world, policy)
    if policy == "health":
        await sign_for_health(world)
    found = []
    for case in (case for case in CASES if case.policy == policy):
        response = await world.chat(case.text, headers={"x-signalbox-tags": case.tags}, **case.body)
        route = response.headers["x-signalbox-route"]
        fields = dict(part.split("=", 1) for part in route.split(";", 4))
        served = f"{response.headers.get('x-signalbox-provider')}/{response.headers.get('x-signalbox-model')}"
        found.append((case.text, fields["rule"], served, response.status))
    assert found == [(case.text, case.rule, case.served_by, 200) for case in CASES if case.policy == policy]


async def test_patients_are_refused_where_nobody_has_signed(world: World) -> None:
    await publish(world, "health")
    for model in ("auto", "sandbox/swift-mini", "sandbox/deep-large"):
        response = await world.chat(
            "I have chest pain, what could it be?", model=model, headers={"x-signalbox-tags": "patient"}
        )
        message = (await response.json())["error"]["message"]
        assert response.status == 422, message
        assert "the guard 'patients'" in message
    assert not world.sandbox.calls


async def test_law_is_held_to_strict_models_whatever_is_named(world: World) -> None:
    await publish(world, "law")
    for model in ("sandbox/swift-mini", "swift-mini", "sandbox/coder-pro"):
        response = await world.chat("Draft a plea.", model=model, headers={"x-signalbox-tags": "matter:4711"})
        assert response.status == 422
        assert "the guard 'law' does not approve it" in (await response.json())["error"]["message"]
    allowed = await world.chat("Draft a plea.", model="sandbox/deep-large", headers={"x-signalbox-tags": "matter:4711"})
    assert allowed.status == 200
