"""A guess and its adjustment together say what the truth says, whatever the truth is."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from billing import AttemptRecord, Outcome, RequestRecord, Usage
from billing.interruption import LostAttempt, adjustment_of, interrupted_record
from billing.ledger import POSTED_SUMS, PostingRow, postings_of
from billing.rollups import RollupRow, rollups_of

AT = datetime(2026, 11, 24, 10, 59, tzinfo=UTC)
TENANT, REQUEST, WRITER = UUID(int=1), UUID(int=2), uuid4()
POSTING_IDS = {(TENANT, "USD"): UUID(int=8), (TENANT, "XTS"): UUID(int=9)}

amounts = st.integers(0, 10**12)
owners = st.sampled_from(("platform", "tenant"))
lost_attempts = st.builds(
    LostAttempt,
    tenant_id=st.just(TENANT),
    project_id=st.just(UUID(int=3)),
    api_key_id=st.just(UUID(int=4)),
    request_id=st.just(REQUEST),
    attempt_id=st.integers(10, 13).map(lambda number: UUID(int=number)),
    provider_name=st.sampled_from(("openai", "groq")),
    model=st.sampled_from(("small", "large")),
    credential_owner=owners,
    is_simulated=st.booleans(),
    amount_nano_usd=amounts,
    created_at=st.just(AT),
)
attempts = st.builds(
    AttemptRecord,
    attempt_id=st.integers(10, 13).map(lambda number: UUID(int=number)),
    attempt_number=st.just(1),
    provider_name=st.sampled_from(("openai", "groq")),
    model=st.sampled_from(("small", "large")),
    credential_id=st.none(),
    credential_owner=owners,
    started_at=st.just(AT),
    outcome=st.just(Outcome.OK),
    latency_ms=st.integers(0, 10**6),
    reserved_nano_usd=amounts,
    usage=st.builds(Usage, input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**6)),
    billed_nano_usd=amounts,
    provider_cost_nano_usd=st.none() | amounts,
    absorbed_nano_usd=amounts,
    is_simulated=st.booleans(),
)
lost_requests = st.lists(lost_attempts, min_size=1, max_size=3, unique_by=lambda attempt: attempt.attempt_id)
tried = st.lists(attempts, max_size=3, unique_by=lambda attempt: attempt.attempt_id)


def the_truth(attempted: list[AttemptRecord], outcome: Outcome) -> RequestRecord:
    return RequestRecord(
        tenant_id=TENANT,
        request_id=REQUEST,
        project_id=UUID(int=3),
        api_key_id=UUID(int=4),
        operation_name="chat",
        surface="openai",
        is_streamed=False,
        started_at=AT,
        request_model="auto",
        outcome=outcome,
        http_status=200,
        latency_ms=40,
        attempts=tuple(attempted),
    )


def posted(rows: Iterable[PostingRow]) -> Counter[tuple[str, str]]:
    """The sums by currency; what is zero does not count."""
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for name in POSTED_SUMS:
            sums[row.currency, name] += getattr(row, name)
    return Counter({key: value for key, value in sums.items() if value})


def counted(rows: Iterable[RollupRow]) -> Counter[tuple[object, ...]]:
    """Every count by its dimensions, buckets too; what is zero does not count."""
    counts: Counter[tuple[object, ...]] = Counter()
    for row in rows:
        key = (row.provider_name, row.model, row.task, row.outcome)
        for name, value in msgspec.structs.asdict(row).items():
            if isinstance(value, list):
                counts.update({(*key, name, bucket): count for bucket, count in enumerate(value)})
            elif isinstance(value, int):
                counts[(*key, name)] += value
    return Counter({key: value for key, value in counts.items() if value})


@given(lost_requests, tried, st.sampled_from((Outcome.OK, Outcome.INTERRUPTED)))
def test_a_guess_and_its_adjustment_are_the_truth(
    lost: list[LostAttempt], attempted: list[AttemptRecord], outcome: Outcome
) -> None:
    guess, truth = interrupted_record(lost), the_truth(attempted, outcome)
    adjustment = adjustment_of(truth, lost, WRITER, POSTING_IDS)
    assert posted([*postings_of([guess], POSTING_IDS), *adjustment.postings]) == posted(
        postings_of([truth], POSTING_IDS)
    )
    keys = [(row.provider_name, row.model, row.task, row.outcome) for row in adjustment.rollups]
    assert len(keys) == len(set(keys))  # one statement merges a row once
    assert counted([*rollups_of([guess], WRITER), *adjustment.rollups]) == counted(rollups_of([truth], WRITER))
    billed = sum(attempt.billed_nano_usd for attempt in attempted)
    assert sum(attempt.amount_nano_usd for attempt in lost) + adjustment.billed_nano_usd == billed
    assert sum(adjustment.charges.values()) == billed
    assert set(adjustment.charges) >= {attempt.attempt_id for attempt in lost}


@given(lost_requests)
def test_a_lost_request_is_billed_what_was_held_and_counts_its_attempts_in_order(lost: list[LostAttempt]) -> None:
    record = interrupted_record(lost)
    assert sum(attempt.billed_nano_usd for attempt in record.attempts) == sum(one.amount_nano_usd for one in lost)
    assert [attempt.attempt_number for attempt in record.attempts] == list(range(1, len(lost) + 1))
    assert {attempt.provider_cost_nano_usd for attempt in record.attempts} == {None}
    assert all(attempt.usage.is_estimated for attempt in record.attempts)
