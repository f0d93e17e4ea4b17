"""The comparisons of the books, over the pool of `signalbox_meter`: each finds what two of them tell differently.

Called by `drift`. Invariant: each side of a comparison is read from its own tables, never from the other's.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, TypedDict
from uuid import UUID

from billing.adjustment_repository import LATEST
from billing.connection import Connection

DRIFTS_MAX: Final = 10_000


class DriftFacts(TypedDict):
    """One sum that differs."""

    tenant_id: UUID
    provider_name: str
    model: str
    day: date
    quantity: str
    expected: int
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two books and how each is summed: rows of tenant, provider, model, day, quantity and amount; $1 to $2."""

    books: str
    expected: str
    found: str


# An id holds its time; a day of slack covers clocks that differ.
IN_TIME: Final = """r.request_id >= uuid_floor($1::timestamptz - interval '1 day')
    AND r.request_id < uuid_floor($2::timestamptz + interval '1 day')
    AND r.started_at >= $1 AND r.started_at < $2"""
TRUE_RECORDS: Final = f"SELECT t.*, a.attempts AS newest FROM request_record r {LATEST} WHERE {IN_TIME}"  # noqa: S608 - constants
TRUE_ATTEMPTS: Final = f"""
    SELECT x.* FROM request_record r JOIN attempt x USING (tenant_id, request_id) WHERE {IN_TIME}
        AND NOT EXISTS (SELECT FROM adjustment a WHERE a.tenant_id = r.tenant_id AND a.request_id = r.request_id)
    UNION ALL
    SELECT x.* FROM ({TRUE_RECORDS}) r CROSS JOIN LATERAL json_populate_recordset(NULL::attempt, r.newest) x
        WHERE r.newest IS NOT NULL"""  # noqa: S608 - constants
DAY: Final = "(started_at AT TIME ZONE 'UTC')::date"

RECORDS_AND_ROLLUPS: Final = Comparison(
    books="records and rollups",
    expected=f"""
        SELECT r.tenant_id, coalesce(r.provider_name, l.provider_name, ''), coalesce(r.response_model, l.model, ''),
               (r.started_at AT TIME ZONE 'UTC')::date, q.quantity, sum(q.amount)
        FROM ({TRUE_RECORDS}) r
        LEFT JOIN LATERAL (
            SELECT x.provider_name, x.model FROM ({TRUE_ATTEMPTS}) x
            WHERE r.provider_name IS NULL AND x.tenant_id = r.tenant_id AND x.request_id = r.request_id
            ORDER BY x.attempt_number DESC LIMIT 1
        ) l ON true
        CROSS JOIN LATERAL (VALUES
            ('request_count', 1), ('attempt_count', r.attempt_count), ('input_tokens', r.input_tokens),
            ('output_tokens', r.output_tokens), ('billed_nano_usd', r.billed_nano_usd),
            ('absorbed_nano_usd', r.absorbed_nano_usd)) AS q(quantity, amount)
        GROUP BY 1, 2, 3, 4, 5""",  # noqa: S608 - constants
    found="""
        SELECT tenant_id, provider_name, model, (hour AT TIME ZONE 'UTC')::date, q.quantity, sum(q.amount)
        FROM usage_rollup u CROSS JOIN LATERAL (VALUES
            ('request_count', u.request_count), ('attempt_count', u.attempt_count), ('input_tokens', u.input_tokens),
            ('output_tokens', u.output_tokens), ('billed_nano_usd', u.billed_nano_usd),
            ('absorbed_nano_usd', u.absorbed_nano_usd)) AS q(quantity, amount)
        WHERE hour >= $1 AND hour < $2 GROUP BY 1, 2, 3, 4, 5""",
)
RECORDS_AND_ATTEMPTS: Final = Comparison(
    books="records and attempts",
    expected=f"""
        SELECT tenant_id, '', '', {DAY}, q.quantity, sum(q.amount) FROM ({TRUE_RECORDS}) r
        CROSS JOIN LATERAL (VALUES ('billed_nano_usd', r.billed_nano_usd), ('attempt_count', r.attempt_count),
            ('absorbed_nano_usd', r.absorbed_nano_usd)) AS q(quantity, amount) GROUP BY 1, 4, 5""",  # noqa: S608 - constants
    found=f"""
        SELECT tenant_id, '', '', {DAY}, q.quantity, sum(q.amount)
        FROM (SELECT r.started_at, x.tenant_id, x.billed_nano_usd, x.absorbed_nano_usd FROM ({TRUE_ATTEMPTS}) x
              JOIN request_record r USING (tenant_id, request_id)) x
        CROSS JOIN LATERAL (VALUES ('billed_nano_usd', x.billed_nano_usd), ('attempt_count', 1),
            ('absorbed_nano_usd', x.absorbed_nano_usd)) AS q(quantity, amount) GROUP BY 1, 4, 5""",  # noqa: S608 - constants
)
# Each posting against what points to it: records to those of their batch, adjustments to their own.
RECORDS_AND_LEDGER: Final = Comparison(
    books="records and ledger",
    expected="""
        SELECT p.tenant_id, '', '', (p.created_at AT TIME ZONE 'UTC')::date, 'billed_nano_usd', sum(p.billed)
        FROM (
            SELECT p.tenant_id, p.created_at, coalesce(
                (SELECT sum(r.billed_nano_usd) FROM pointing r
                 WHERE r.tenant_id = p.tenant_id AND r.posting_id = p.posting_id), 0) AS billed
            FROM ledger_posting p
            WHERE p.created_at >= $1 AND p.created_at < $2 AND p.source IN ('usage', 'adjustment')
        ) p GROUP BY 1, 4""",
    found="""
        SELECT p.tenant_id, '', '', (p.created_at AT TIME ZONE 'UTC')::date, 'billed_nano_usd', sum(e.amount_nano_usd)
        FROM ledger_posting p JOIN ledger_entry e USING (tenant_id, posting_id)
        WHERE p.created_at >= $1 AND p.created_at < $2 AND p.source IN ('usage', 'adjustment')
            AND e.account = 'accrued_usage' GROUP BY 1, 4""",
)
LEDGER: Final = Comparison(
    books="ledger entries and zero",
    expected="""
        SELECT p.tenant_id, '', '', (p.created_at AT TIME ZONE 'UTC')::date, 'unbalanced_postings', 0
        FROM ledger_posting p WHERE p.created_at >= $1 AND p.created_at < $2 GROUP BY 1, 4""",
    found="""
        SELECT p.tenant_id, '', '', (p.created_at AT TIME ZONE 'UTC')::date, 'unbalanced_postings',
               count(*) FILTER (WHERE p.total <> 0)
        FROM (SELECT p.tenant_id, p.posting_id, p.created_at, sum(e.amount_nano_usd) AS total
              FROM ledger_posting p JOIN ledger_entry e USING (tenant_id, posting_id)
              WHERE p.created_at >= $1 AND p.created_at < $2 GROUP BY 1, 2, 3) p GROUP BY 1, 4""",
)
# Where a provider sent a statement of a day, all of our calls of that day must be in it, and all of its calls ours.
STATEMENTS_AND_RECORDS: Final = Comparison(
    books="statements and records",
    expected="""
        SELECT tenant_id, provider_name, model, (started_at AT TIME ZONE 'UTC')::date, 'provider_cost_nano_usd',
               sum(cost_nano_usd)
        FROM statement_line WHERE started_at >= $1 AND started_at < $2 GROUP BY 1, 2, 3, 4""",
    found=f"""
        SELECT x.tenant_id, x.provider_name, coalesce(l.model, x.model),
               (coalesce(l.started_at, x.started_at) AT TIME ZONE 'UTC')::date, 'provider_cost_nano_usd',
               sum(x.provider_cost_nano_usd)
        FROM ({TRUE_ATTEMPTS}) x
        LEFT JOIN statement_line l ON l.tenant_id = x.tenant_id AND l.attempt_id = x.attempt_id
        WHERE x.provider_cost_nano_usd IS NOT NULL AND EXISTS (
            SELECT FROM statement_line s WHERE s.provider_name = x.provider_name
                AND s.started_at >= date_trunc('day', x.started_at, 'UTC')
                AND s.started_at < date_trunc('day', x.started_at, 'UTC') + interval '1 day')
        GROUP BY 1, 2, 3, 4""",  # noqa: S608 - constants
)
COMPARISONS: Final = (
    RECORDS_AND_ATTEMPTS, RECORDS_AND_ROLLUPS, RECORDS_AND_LEDGER, LEDGER, STATEMENTS_AND_RECORDS,
)  # fmt: skip
POINTING: Final = """pointing AS MATERIALIZED (
        SELECT tenant_id, posting_id, sum(billed_nano_usd) AS billed_nano_usd FROM (
            SELECT r.tenant_id, r.posting_id, r.billed_nano_usd FROM request_record r WHERE r.posting_id IS NOT NULL
                AND r.request_id >= uuid_floor($1::timestamptz - interval '2 days')
                AND r.request_id < uuid_floor($2::timestamptz + interval '1 day')
            UNION ALL
            SELECT a.tenant_id, (a.record ->> 'posting_id')::uuid, a.billed_nano_usd FROM adjustment a
                WHERE a.created_at >= $1::timestamptz - interval '1 day'
        ) p GROUP BY 1, 2)"""


async def compare(connection: Connection, comparison: Comparison, starts: datetime, ends: datetime) -> list[DriftFacts]:
    """The sums of two books from one day up to another that are not the same; a sum that is missing is zero."""
    rows = await connection.fetch(
        f"""
        WITH {POINTING},
             expected(tenant_id, provider_name, model, day, quantity, amount) AS ({comparison.expected}),
             found(tenant_id, provider_name, model, day, quantity, amount) AS ({comparison.found})
        SELECT tenant_id, provider_name, model, day, quantity, coalesce(e.amount, 0)::bigint AS expected,
               coalesce(f.amount, 0)::bigint AS found
        FROM expected e FULL JOIN found f USING (tenant_id, provider_name, model, day, quantity)
        WHERE coalesce(e.amount, 0) <> coalesce(f.amount, 0)
        ORDER BY day, tenant_id, provider_name, model, quantity LIMIT {DRIFTS_MAX}""",  # noqa: S608 - constants
        starts,
        ends,
    )
    return [
        DriftFacts(
            tenant_id=row["tenant_id"],
            provider_name=row["provider_name"],
            model=row["model"],
            day=row["day"],
            quantity=row["quantity"],
            expected=row["expected"],
            found=row["found"],
        )
        for row in rows
    ]
