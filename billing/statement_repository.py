"""Lines of statements beside the attempts they are about, over the pool of `signalbox_meter`.

Called by reconciliation. Invariant: a call of a provider is one line, however often its statement is read.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from billing.connection import Connection
from billing.statement import StatementLine
from tenants import PLATFORM_TENANT_ID

# How far an attempt's request may have begun from what the provider calls the call's beginning.
CLOCKS_DIFFER: Final = timedelta(hours=26)


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that a line of a statement is about."""

    tenant_id: UUID
    request_id: UUID
    attempt_id: UUID


# The attempts of the statement's time are read once for all lines: no index on the request path pays for this.
MATCH: Final = """
WITH known AS MATERIALIZED (
    SELECT tenant_id, request_id, attempt_id, provider_name, response_id FROM attempt
    WHERE request_id >= uuid_floor($5) AND request_id < uuid_floor($6)
    UNION
    SELECT t.tenant_id, t.request_id, t.attempt_id, t.provider_name, t.response_id
    FROM adjustment a CROSS JOIN json_populate_recordset(NULL::attempt, a.attempts) t
    WHERE a.request_id >= uuid_floor($5) AND a.request_id < uuid_floor($6)
)
SELECT DISTINCT ON (s.place) s.place, k.tenant_id, k.request_id, k.attempt_id
FROM unnest($1::integer[], $2::uuid[], $3::text[], $4::text[]) AS s(place, attempt_id, provider_name, response_id)
JOIN known k ON k.attempt_id = s.attempt_id
    OR s.attempt_id IS NULL AND k.response_id = s.response_id AND k.provider_name = s.provider_name
ORDER BY s.place"""


async def match_lines(connection: Connection, lines: Sequence[StatementLine]) -> Mapping[int, Match]:
    """The attempts that lines are about, by the line's place; a line of a call that is not ours has none."""
    moments: list[datetime] = [line.started_at for line in lines]
    rows = await connection.fetch(
        MATCH,
        list(range(len(lines))),
        [line.attempt_id for line in lines],
        [line.provider_name for line in lines],
        [line.response_id for line in lines],
        min(moments) - CLOCKS_DIFFER,
        max(moments) + CLOCKS_DIFFER,
    )
    return {
        row["place"]: Match(tenant_id=row["tenant_id"], request_id=row["request_id"], attempt_id=row["attempt_id"])
        for row in rows
    }


async def keep_lines(connection: Connection, lines: Sequence[StatementLine], matches: Mapping[int, Match]) -> None:
    """Keep what a statement says of each call; a call that was nobody's may have become a tenant's since."""
    places = range(len(lines))
    found = [matches.get(place) for place in places]
    call_ids = [line.call_id for line in lines]
    await connection.execute(
        """DELETE FROM statement_line l USING unnest($2::text[], $3::text[]) AS s(provider_name, call_id)
           WHERE l.tenant_id = $1 AND l.provider_name = s.provider_name AND l.call_id = s.call_id""",
        PLATFORM_TENANT_ID,
        [lines[place].provider_name for place in matches],
        [call_ids[place] for place in matches],
    )
    await connection.execute(
        """INSERT INTO statement_line (tenant_id, provider_name, call_id, request_id, attempt_id, model, started_at,
                                       cost_nano_usd)
           SELECT DISTINCT ON (1, 2, 3) * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[],
                                                      $6::text[], $7::timestamptz[], $8::bigint[])
           ON CONFLICT (tenant_id, provider_name, call_id) DO UPDATE SET request_id = excluded.request_id,
               attempt_id = excluded.attempt_id, model = excluded.model, started_at = excluded.started_at,
               cost_nano_usd = excluded.cost_nano_usd, read_at = clock_timestamp()""",
        [match.tenant_id if match else PLATFORM_TENANT_ID for match in found],
        [line.provider_name for line in lines],
        call_ids,
        [match.request_id if match else None for match in found],
        [match.attempt_id if match else None for match in found],
        [line.model for line in lines],
        [line.started_at for line in lines],
        [line.cost_nano_usd for line in lines],
    )
