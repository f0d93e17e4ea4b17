"""Audit events as the operator reads them: who did what to what, and what changed.

Built by `dashboard.staff_repository` out of the bytes that the chain covers. Invariant: what an event does not
say is shown as unknown; the change is the event's own facts and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from dashboard.formats import exact_money

# Which events a list holds: all, looks across tenants, or changes.
Told = Literal["", "looks", "changes"]


class _Actor(msgspec.Struct, frozen=True):
    kind: str
    name: str


class _Event(msgspec.Struct, frozen=True):
    at: datetime
    actor: _Actor
    action: str
    target: str
    before: dict[str, object] | None = None
    after: dict[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One event of a trail; `changes` are lines such as 'plan_id: free → pro'."""

    event_id: UUID
    tenant_id: UUID
    tenant_name: str
    at: datetime
    actor_kind: str
    actor_name: str
    action: str
    target: str
    changes: tuple[str, ...]


def audit_row(tenant_id: UUID, tenant_name: str, event_id: UUID, payload: bytes) -> AuditRow:
    """An event out of its payload."""
    event = msgspec.json.decode(payload, type=_Event)
    return AuditRow(
        event_id=event_id,
        tenant_id=tenant_id,
        tenant_name=tenant_name,
        at=event.at,
        actor_kind=event.actor.kind,
        actor_name=event.actor.name,
        action=event.action,
        target=event.target,
        changes=_changes(event.before or {}, event.after or {}),
    )


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {_written(name, before[name])} → {_written(name, after.get(name))}"
        if name in before
        else f"{name}: {_written(name, after[name])}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    )


def _written(name: str, value: object) -> str:
    if name.endswith("_nano_usd") and isinstance(value, int):
        return exact_money(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
