"""Postings balance and rollups add up, whatever the records are."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from billing import AttemptRecord, Outcome, RequestRecord, Usage
from billing.ledger import ACCOUNTS, PostingRow, currency_of, postings_of
from billing.rollups import rollups_of
from billing.settlement import record_row

AT = datetime(2026, 11, 24, 10, 59, tzinfo=UTC)
TENANTS = (uuid7(), uuid7())

amounts = st.integers(0, 10**12)
attempts = st.builds(
    AttemptRecord,
    attempt_id=st.just(UUID(int=1)),
    attempt_number=st.just(1),
    provider_name=st.sampled_from(("openai", "groq")),
    model=st.sampled_from(("small", "large")),
    credential_id=st.none(),
    credential_owner=st.sampled_from(("platform", "tenant")),
    started_at=st.just(AT),
    outcome=st.sampled_from((Outcome.OK, Outcome.UPSTREAM_ERROR)),
    latency_ms=st.integers(0, 10**6),
    reserved_nano_usd=amounts,
    usage=st.builds(Usage, input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**6)),
    billed_nano_usd=amounts,
    provider_cost_nano_usd=st.none() | amounts,
    absorbed_nano_usd=amounts,
    is_simulated=st.booleans(),
)
records = st.lists(
    st.builds(
        lambda tenant_id, tried, latency_ms, baseline: a_record(
            tenant_id, tried, latency_ms=latency_ms, baseline_nano_usd=baseline
        ),
        st.sampled_from(TENANTS),
        st.lists(attempts, max_size=3),
        st.integers(0, 10**6),
        st.none() | amounts,
    ),
    max_size=12,
)


def a_record(tenant_id: UUID, tried: list[AttemptRecord], **fields: Any) -> RequestRecord:
    return RequestRecord(
        tenant_id=tenant_id,
        request_id=uuid7(),
        project_id=UUID(int=2),
        api_key_id=UUID(int=3),
        operation_name="chat",
        surface="openai",
        is_streamed=False,
        started_at=AT,
        request_model="auto",
        outcome=Outcome.OK,
        http_status=200,
        attempts=tuple(tried),
        **fields,
    )


def _entries(posting: PostingRow) -> dict[str, int]:
    """What the database computes of a posting's sums."""
    return {account: eval(amount, {}, msgspec.structs.asdict(posting)) for account, amount in ACCOUNTS.items()}


@given(records)
def test_every_posting_balances_and_holds_what_was_billed(batch: list[RequestRecord]) -> None:
    ids = {(record.tenant_id, currency_of(tried)): uuid4() for record in batch for tried in record.attempts}
    postings = postings_of(batch, ids)
    for posting in postings:
        assert sum(_entries(posting).values()) == 0
    entries = [_entries(posting) for posting in postings]
    billed = sum(tried.billed_nano_usd for record in batch for tried in record.attempts)
    assert sum(entry["accrued_usage"] for entry in entries) == billed
    assert -sum(entry["revenue"] for entry in entries) == billed
    owed = sum(
        tried.provider_cost_nano_usd or 0
        for record in batch
        for tried in record.attempts
        if tried.credential_owner == "platform"
    )
    assert -sum(entry["provider_payable"] for entry in entries) == owed
    assert all(0 <= entry["absorbed"] <= -entry["provider_payable"] for entry in entries)
    made = {posting.posting_id for posting in postings}
    for record in batch:
        posting_id = record_row(record, ids).posting_id
        assert posting_id is None or posting_id in made


@given(records)
def test_rollups_sum_to_the_records(batch: list[RequestRecord]) -> None:
    ids = {(record.tenant_id, currency_of(tried)): uuid4() for record in batch for tried in record.attempts}
    totals = [record_row(record, ids) for record in batch]
    rows = rollups_of(batch, uuid4())
    assert sum(row.request_count for row in rows) == len(batch)
    assert sum(row.billed_nano_usd for row in rows) == sum(total.billed_nano_usd for total in totals)
    assert sum(row.input_tokens for row in rows) == sum(total.input_tokens for total in totals)
    assert sum(row.absorbed_nano_usd for row in rows) == sum(total.absorbed_nano_usd for total in totals)
    assert sum(row.unpriced_count for row in rows) == sum(total.provider_cost_nano_usd is None for total in totals)
    assert sum(sum(row.latency_histogram) for row in rows) == len(batch)
    assert all(row.own_credential_cost_nano_usd <= row.provider_cost_nano_usd for row in rows)


def test_a_request_that_reached_nobody_has_empty_dimensions() -> None:
    [row] = rollups_of([a_record(TENANTS[0], [], latency_ms=1)], uuid4())
    assert (row.provider_name, row.model, row.task) == ("", "", "")
