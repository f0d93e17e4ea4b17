"""Builders with defaults: the platform, tenants with a key, and traffic settled by the real meter."""

import asyncio
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from httpx import ASGITransport, AsyncClient
from litestar import Litestar
from uuid_utils.compat import uuid7

from billing import AttemptRecord, CommitMeter, Outcome, RequestRecord, Usage, change_plan, seed_plans
from dashboard import ConsoleServices, console_routes
from tenants import Actor, Database, Vault, create_key, create_platform, create_tenant

OPERATOR = Actor(kind="operator", id="0190aaaa", name="ops@signalbox.test")
MASTER_KEY = bytes(range(32))
PASSWORD = "correct horse battery staple"
HOSTILE = '<img src=x onerror="document.title=1">{{7*7}}</script><script>document.title=2</script>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A tenant whose owner can sign in, with a project and a key."""

    name: str
    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID
    email: str

    def attempt(self, model: str = "openai/gpt-4o-mini", **fields: Any) -> AttemptRecord:
        """One answered attempt on the platform's credential."""
        provider_name, _, name = model.partition("/")
        defaults: dict[str, Any] = {
            "attempt_id": uuid7(),
            "attempt_number": 1,
            "provider_name": provider_name,
            "model": name,
            "credential_id": uuid4(),
            "credential_owner": "platform",
            "started_at": datetime.now(UTC),
            "outcome": Outcome.OK,
            "http_status": 200,
            "latency_ms": 800,
            "reserved_nano_usd": 3_000_000,
            "usage": Usage(input_tokens=900, output_tokens=240),
            "billed_nano_usd": 1_100_000,
            "provider_cost_nano_usd": 1_000_000,
        }
        return AttemptRecord(**(defaults | fields))

    def record(self, *attempts: AttemptRecord, at: datetime | None = None, **fields: Any) -> RequestRecord:
        """One request; answered by its last attempt unless told otherwise."""
        at = at or datetime.now(UTC)
        outcome = fields.pop("outcome", attempts[-1].outcome if attempts else Outcome.BUDGET)
        served = attempts[-1] if attempts and outcome in (Outcome.OK, Outcome.INTERRUPTED) else None
        defaults: dict[str, Any] = {
            "request_id": uuid7_at(at),
            "operation_name": "chat",
            "surface": "openai",
            "is_streamed": False,
            "started_at": at,
            "request_model": "auto",
            "outcome": outcome,
            "http_status": 200 if served else 402,
            "latency_ms": sum(attempt.latency_ms for attempt in attempts) or 3,
            "provider_name": served.provider_name if served else None,
            "response_model": served.model if served else None,
            "task": "code_generation",
            "domain": "software",
            "policy_name": "default",
            "policy_version": 3,
            "rule": "code to a strong model",
            "decision": msgspec.Raw(json.dumps(a_decision()).encode()),
            "baseline_nano_usd": 4_400_000 if served else None,
            "baseline_model": "openai/gpt-5" if served else None,
        }
        return RequestRecord(
            tenant_id=self.tenant_id,
            project_id=self.project_id,
            api_key_id=self.api_key_id,
            attempts=attempts,
            **(defaults | fields),
        )


def a_decision(**fields: object) -> dict[str, object]:
    """A decision as routing stores it."""
    decision: dict[str, object] = {
        "policy_name": "default",
        "policy_version": 3,
        "rule": "code to a strong model",
        "reason": "task code_generation by keyword → rule 1 → cheapest of 2: openai/gpt-4o-mini",
        "refusal": None,
        "task": {"value": "code_generation", "confidence": 0.83, "decided_by": "keyword", "because": "write, function"},
        "domain": {"value": "software", "confidence": 0.7, "decided_by": "keyword", "because": "python"},
        "request": {
            "request_model": "auto", "input_tokens_bound": 1400, "input_tokens_estimate": 900,
            "output_tokens_wanted": None, "choices": 1, "turns": 1, "has_tools": True, "has_images": False,
            "wants_json_schema": False, "is_streamed": False, "is_unbounded": False, "cost_nano_usd_max": None,
            "no_fallback": False,
        },
        "candidates": [
            {"name": "openai/gpt-4o-mini", "rank": 1, "excluded": None, "detail": "", "score": 0.912,
             "bound_nano_usd": 3_000_000, "output_tokens_limit": 4096, "estimate_nano_usd": 900_000,
             "credential_owner": "platform", "is_simulated": False},
            {"name": "openai/gpt-5", "rank": 2, "excluded": None, "detail": "", "score": 0.874,
             "bound_nano_usd": 21_000_000, "output_tokens_limit": 8192, "estimate_nano_usd": 4_100_000,
             "credential_owner": "platform", "is_simulated": False},
            {"name": "anthropic/claude-haiku", "rank": None, "excluded": "not_in_plan",
             "detail": "the plan Free does not allow it", "score": None, "bound_nano_usd": None,
             "output_tokens_limit": None, "estimate_nano_usd": None, "credential_owner": "platform",
             "is_simulated": False},
        ],
        "baseline_model": "openai/gpt-5",
    }  # fmt: skip
    return decision | fields


def uuid7_at(at: datetime) -> UUID:
    """A UUIDv7 of a moment."""
    millis = int(at.timestamp() * 1000)
    return UUID(int=millis << 80 | 0x7 << 76 | random.getrandbits(12) << 64 | 0x2 << 62 | random.getrandbits(62))


async def a_customer(database: Database, vault: Vault, name: str, *, plan_id: str = "pro") -> Customer:
    """A tenant on a plan."""
    email = f"owner@{name.lower().replace(' ', '-')}.test"
    made = await create_tenant(database, vault, OPERATOR, name=name, owner_email=email, owner_password=PASSWORD)
    created = await create_key(database, vault, OPERATOR, made.tenant_id, name="server")
    await change_plan(database, OPERATOR, made.tenant_id, plan_id)
    return Customer(
        name=name,
        tenant_id=made.tenant_id,
        project_id=made.project_id,
        api_key_id=created.key.api_key_id,
        email=email,
    )


async def a_platform(database: Database, vault: Vault) -> str:
    """The platform with its plans; the operator's email."""
    await seed_plans(database)
    made = await create_platform(database, vault, operator_email=OPERATOR.name, operator_password=PASSWORD)
    assert made is not None
    return made.owner_email


async def settle(database: Database, *records: RequestRecord) -> None:
    """Write records as the request path does."""
    meter = CommitMeter(database, process_id=uuid7())
    await asyncio.gather(*(meter.settle(record) for record in records))


def an_app(database: Database, *, is_https: bool = False, now: datetime | None = None) -> Litestar:
    """The console alone."""
    clock = {} if now is None else {"now": lambda: now}
    services = ConsoleServices(database=database, vault=Vault(MASTER_KEY), is_https=is_https, **clock)
    return Litestar(route_handlers=[*console_routes(services)], openapi_config=None)


def a_browser(app: Litestar, origin: str = "http://testserver.local") -> AsyncClient:
    """A client in the test's own event loop, where the database's connections live."""
    return AsyncClient(transport=ASGITransport(app), base_url=origin, follow_redirects=True)


async def signed_in(client: AsyncClient, email: str, *, door: str = "/console") -> None:
    """Sign the client in through the form."""
    response = await submit(client, f"{door}/sign-in", f"{door}/sign-in", email=email, password=PASSWORD)
    assert response.status_code == 303, response.text


async def submit(client: AsyncClient, page: str, action: str, **fields: str) -> Any:
    """Send a form with the token that stands on a page; the answer is not followed."""
    shown = await client.get(page)
    token = shown.text.partition('name="form_token" value="')[2].partition('"')[0]
    return await client.post(action, data={"form_token": token, **fields}, follow_redirects=False)


MODELS = (
    # name, weight, cost of a request in nano-USD, latency in ms
    ("openai/gpt-4o-mini", 34, 310_000, 620),
    ("anthropic/claude-haiku-4", 22, 1_250_000, 780),
    ("openai/gpt-5", 12, 9_800_000, 2300),
    ("anthropic/claude-sonnet-4", 11, 12_400_000, 2700),
    ("google/gemini-2.5-flash", 9, 420_000, 540),
    ("mistral/mistral-small", 5, 260_000, 700),
    ("deepseek/deepseek-chat", 3, 380_000, 1900),
    ("groq/llama-3.3-70b", 2, 590_000, 340),
    ("xai/grok-mini", 1, 460_000, 900),
    ("cohere/command-r7b", 1, 150_000, 880),
)
REFUSALS = (
    (Outcome.RATE_LIMITED, 429, "The plan allows 1000 requests per minute and they are used. Retry in 2 s."),
    (Outcome.BUDGET, 402, "Project 'search' monthly budget of $50.00 is used ($50.00); raise it or wait."),
)
TASKS = ("code_generation", "code_debugging", "summarization", "extraction", "open_qa", "translation", "small_talk")


def traffic(
    customer: Customer, now: datetime, count: int, *, hours: float = 24 * 30, seed: int = 7
) -> list[RequestRecord]:
    """Requests as they come: busy by day, quiet by night, with refusals, failures and fallbacks."""
    chance = random.Random(seed)
    records = []
    while len(records) < count:
        at = now - timedelta(hours=hours * chance.random() ** 1.15)
        if chance.random() < (1.0 if 7 <= at.hour <= 19 else 0.35) * (0.45 if at.weekday() > 4 else 1):
            records.append(_one(customer, at, chance))
    return records


def _one(customer: Customer, at: datetime, chance: random.Random) -> RequestRecord:
    name, _, cost, latency = chance.choices(MODELS, weights=[row[1] for row in MODELS])[0]
    size, latency_ms = chance.lognormvariate(0, 0.7), int(latency * chance.lognormvariate(0, 0.45))
    cost = int(cost * size)
    answered = customer.attempt(
        name, started_at=at, latency_ms=latency_ms, provider_cost_nano_usd=cost, billed_nano_usd=cost * 105 // 100,
        first_token_ms=latency_ms // 4,
        usage=Usage(
            input_tokens=int(900 * size), output_tokens=int(300 * size), cache_read_input_tokens=int(200 * size)
        ),
    )  # fmt: skip
    task = chance.choice(TASKS)
    served = {
        "at": at, "task": task, "is_streamed": chance.random() < 0.4, "first_token_ms": latency_ms // 4,
        "overhead_ms": 1.7, "finish_reason": "stop",
        "baseline_nano_usd": max(int(13_000_000 * size), answered.billed_nano_usd),
    }  # fmt: skip
    draw = chance.random()
    if draw < 0.035:
        outcome, status, message = REFUSALS[draw < 0.02]
        return customer.record(at=at, task=task, outcome=outcome, http_status=status, error_message=message)
    if draw < 0.06:
        message = "Every candidate failed; the last one answered 503."
        failed = _failed(customer, name, at, latency_ms)
        return customer.record(failed, at=at, task=task, http_status=502, error_message=message)
    if draw < 0.12:
        second = msgspec.structs.replace(answered, attempt_number=2, started_at=at + timedelta(milliseconds=420))
        return customer.record(_failed(customer, "openai/gpt-5", at, 400), second, **served)
    if draw < 0.13:
        return customer.record(answered, outcome=Outcome.INTERRUPTED, http_status=200, **served)
    return customer.record(answered, **served)


def _failed(customer: Customer, model: str, at: datetime, latency_ms: int) -> AttemptRecord:
    return customer.attempt(
        model, started_at=at, outcome=Outcome.UPSTREAM_ERROR, http_status=503, error_type="overloaded", usage=Usage(),
        error_message="The provider is overloaded.", billed_nano_usd=0, provider_cost_nano_usd=0, latency_ms=latency_ms,
    )  # fmt: skip
