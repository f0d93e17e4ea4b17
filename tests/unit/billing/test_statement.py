"""Statements are read exactly, or refused with the line that does not hold."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.calls import CallEntry, CallOutcome
from app.sandbox.statement import statement_csv
from billing import StatementInvalid, Usage, read_statement

HEAD = "provider_name,started_at,model,cost_usd,attempt_id,response_id,input_tokens,output_tokens"
AT = datetime(2026, 11, 24, 10, tzinfo=UTC)


def test_a_line_is_read_to_the_nano_dollar() -> None:
    [line] = read_statement([HEAD, "openai,2026-11-24T11:00:00+01:00,gpt-4o,0.000000001,,resp_1,5,7"])
    assert (line.cost_nano_usd, line.started_at, line.call_id) == (1, AT, "resp_1")
    assert line.usage == Usage(input_tokens=5, output_tokens=7)


def test_tokens_that_are_not_told_stay_unknown() -> None:
    [line] = read_statement([HEAD, f"openai,2026-11-24T10:00:00Z,gpt-4o,1,{UUID(int=7)},,,"])
    assert line.usage is None
    assert line.call_id == str(UUID(int=7))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("openai,2026-11-24T10:00:00Z,gpt-4o,1,,,,", "neither attempt_id nor response_id"),
        ("openai,2026-11-24T10:00:00,gpt-4o,1,,r,,", "time zone"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,-1,,r,,", "cost_usd is '-1'"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,0.0000000001,,r,,", "at most nine decimals"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,1.0000000000000000000000000000000001,,r,,", "at most nine decimals"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,1e999999999,,r,,", "cost_usd"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,nan,,r,,", "cost_usd"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,,,r,,", "cost_usd"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,1,not-an-id,,,", "no id of an attempt"),
        ("openai,2026-11-24T10:00:00Z,gpt-4o,1,,r,-3,", "input_tokens is '-3'"),
        (",2026-11-24T10:00:00Z,gpt-4o,1,,r,,", "provider_name is empty"),
        ("openai,2026-11-24T10:00:00Z", "neither"),
    ],
)
def test_a_line_that_does_not_hold_is_named(line: str, reason: str) -> None:
    with pytest.raises(StatementInvalid, match=reason) as refused:
        list(read_statement([HEAD, line]))
    assert refused.value.line_number == 2


def test_a_statement_without_its_columns_is_refused() -> None:
    with pytest.raises(StatementInvalid, match="cost_usd"):
        list(read_statement(["provider_name,started_at,model,attempt_id"]))
    with pytest.raises(StatementInvalid, match="attempt_id or response_id"):
        list(read_statement(["provider_name,started_at,model,cost_usd"]))
    with pytest.raises(StatementInvalid):
        list(read_statement([]))


@given(st.lists(st.integers(1, 10**15), min_size=1, max_size=5))
def test_what_the_sandbox_charges_is_what_its_statement_says(costs: list[int]) -> None:
    entries = [
        CallEntry(
            sequence=number, call_id=f"c{number}", attempt_id=None, request_id=None, provider_name="sandbox",
            model="swift-mini", is_streamed=False, started_at=AT, outcome=CallOutcome.ANSWERED, cost_nano_usd=cost,
        )
        for number, cost in enumerate(costs)
    ]  # fmt: skip
    assert [line.cost_nano_usd for line in read_statement(statement_csv(entries).splitlines())] == costs
