"""The statements behind the page "Audit log": the events of a range, and the kinds that occur in it.

Called by the page inside a session of `tenants.Database`. Invariant: an event is shown as it was written; only
its place in the chain, which it gets within a second, may still be missing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from dashboard.queries import uuid_floor
from dashboard.ranges import TimeRange
from tenants import Actor, AuditFacts

AUDIT_PAGE_ROWS: Final = 50
KINDS_MAX: Final = 100


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it was written."""

    at: datetime
    actor: Actor
    action: str
    target: str
    before: AuditFacts | None = None
    after: AuditFacts | None = None

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """What changed, as (field, before, after); empty where nothing stood."""
        before, after = self.before or {}, self.after or {}
        names = dict.fromkeys((*before, *after))
        told = ((name, _words(before.get(name)), _words(after.get(name))) for name in names)
        return tuple(change for change in told if change[1] != change[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An event with its place in the chain, which is None until it is linked."""

    event_id: UUID
    event: AuditEvent
    sequence: int | None
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What is asked for; `kind` is what an action begins with, the others are parts of a name. Empty asks nothing."""

    kind: str = ""
    actor: str = ""
    target: str = ""


async def audit_rows(
    session: AsyncSession, tenant_id: UUID, within: TimeRange, wanted: AuditFilter, *, before: UUID | None
) -> tuple[AuditRow, ...]:
    """One page of events and one row more, newest first; `before` is the last id of the page above."""
    found = await session.execute(
        text("""
            SELECT e.audit_event_id, e.payload, l.sequence, l.hash
            FROM audit_event e
            LEFT JOIN audit_link l ON l.tenant_id = e.tenant_id AND l.audit_event_id = e.audit_event_id
            CROSS JOIN LATERAL (SELECT convert_from(e.payload, 'UTF8')::jsonb AS event) p
            WHERE e.tenant_id = :tenant_id AND e.audit_event_id >= :since AND e.audit_event_id < :until
              AND (CAST(:before AS uuid) IS NULL OR e.audit_event_id < :before)
              AND (:kind = '' OR split_part(p.event ->> 'action', '.', 1) = :kind)
              AND (:actor = '' OR strpos(lower(p.event -> 'actor' ->> 'name'), lower(:actor)) > 0)
              AND (:target = '' OR strpos(lower(p.event ->> 'target'), lower(:target)) > 0)
            ORDER BY e.audit_event_id DESC LIMIT :limit
        """),
        {
            "tenant_id": tenant_id,
            "since": uuid_floor(within.since),
            "until": uuid_floor(within.until),
            "before": before,
            "kind": wanted.kind,
            "actor": wanted.actor,
            "target": wanted.target,
            "limit": AUDIT_PAGE_ROWS + 1,
        },
    )
    return tuple(
        AuditRow(
            event_id=row.audit_event_id,
            event=msgspec.json.decode(row.payload, type=AuditEvent),
            sequence=row.sequence,
            hash=row.hash.hex() if row.hash else "",
        )
        for row in found
    )


async def audit_kinds(session: AsyncSession, tenant_id: UUID, within: TimeRange) -> tuple[str, ...]:
    """What the actions of a range begin with, as `api_key`."""
    found = await session.execute(
        text("""
            SELECT DISTINCT split_part(convert_from(payload, 'UTF8')::jsonb ->> 'action', '.', 1) AS kind
            FROM audit_event
            WHERE tenant_id = :tenant_id AND audit_event_id >= :since AND audit_event_id < :until
            ORDER BY kind LIMIT :limit
        """),
        {
            "tenant_id": tenant_id,
            "since": uuid_floor(within.since),
            "until": uuid_floor(within.until),
            "limit": KINDS_MAX,
        },
    )
    return tuple(found.scalars())


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
