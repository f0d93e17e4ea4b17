"""The part of a statement that counts and posts, for records and for adjustments alike.

Invariant: what is counted in rollups and posted in the ledger is written by the statement that writes its cause.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from uuid_utils.compat import uuid7

from billing.ledger import ACCOUNTS, PostingIds, PostingRow, currency_of
from billing.records import RequestRecord
from billing.rollup_repository import MERGE_ROLLUPS
from billing.rollups import RollupRow
from billing.settlement import column_defaults


def insertion(table: str, row: type[msgspec.Struct], parameter: int) -> str:
    """The statement that inserts rows of JSON, with what they leave out."""
    defaults, names = column_defaults(row), row.__struct_fields__
    values = (f"coalesce({name}, {defaults[name]})" if name in defaults else name for name in names)
    return f"""INSERT INTO {table} ({", ".join(names)}) SELECT {", ".join(values)}
               FROM json_populate_recordset(NULL::{table}, ${parameter}::json)"""  # noqa: S608 - constants


POSTED_COLUMNS: Final = ", ".join(
    f"{name} {'bigint' if name.endswith('_nano_usd') else 'uuid' if name.endswith('_id') else 'text'}"
    for name in PostingRow.__struct_fields__
)
# The first parameter holds rollups, the second postings.
COUNT: Final = f"""
     rollups AS ({insertion("usage_rollup", RollupRow, 1)} {MERGE_ROLLUPS}),
     posted AS MATERIALIZED (SELECT * FROM json_to_recordset($2::json) AS p({POSTED_COLUMNS})),
     postings AS (INSERT INTO ledger_posting (tenant_id, posting_id, currency, source)
                  SELECT tenant_id, posting_id, currency, source FROM posted),
     entries AS (INSERT INTO ledger_entry (tenant_id, posting_id, account, amount_nano_usd)
                 SELECT p.tenant_id, p.posting_id, e.account, e.amount FROM posted p CROSS JOIN LATERAL (VALUES
                     {", ".join(f"('{account}', {amount})" for account, amount in ACCOUNTS.items())}
                 ) AS e(account, amount) WHERE e.amount <> 0)"""  # noqa: S608 - constants


def posting_ids_of(records: Iterable[RequestRecord]) -> PostingIds:
    """A new posting for each tenant and currency."""
    keys = {(record.tenant_id, currency_of(attempt)) for record in records for attempt in record.attempts}
    return {key: uuid7() for key in keys}
