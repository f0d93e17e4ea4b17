"""API keys: the list with last use and spend, and the forms that make, rotate and revoke them.

Routed by `dashboard.routes`. Invariants: a key's secret stands in the answer to the form that made it and
nowhere else; nobody hands out a scope that the own role does not hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from dashboard import access
from dashboard.access import checked_form
from dashboard.flash import leave_flash
from dashboard.key_repository import KEY_PAGE_ROWS, key_rows
from dashboard.pages.shell import tenant_shell, uuid_or_none
from dashboard.render import AnyRequest, go_to, page, url
from dashboard.services import ConsoleServices, Services, Session
from tenants import (
    ROLE_SCOPES,
    ConsoleSession,
    CreatedKey,
    FieldInvalid,
    KeyKind,
    KeyPrefix,
    LimitReached,
    NotFound,
    Scope,
    create_key,
    revoke_key,
    rotate_key,
)

SPENT_DAYS: Final = 30
EXPIRES_SOON: Final = timedelta(days=7)
KINDS: Final[Mapping[KeyPrefix, str]] = {
    KeyPrefix.LIVE: "Live: calls models",
    KeyPrefix.TEST: "Test: calls models, and people see that it is for tests",
    KeyPrefix.MANAGEMENT: "Management: changes this tenant, calls no model",
}
LIFETIMES_DAYS: Final = {"": "Never", "7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
OVERLAPS_S: Final = {
    "0": "At once", "3600": "In an hour", "86400": "In a day", "604800": "In 7 days", "2592000": "In 30 days",
}  # fmt: skip
SCOPE_WORDS: Final[Mapping[Scope, str]] = {
    Scope.MODELS_CALL: "call models",
    Scope.USAGE_READ: "read usage and requests",
    Scope.KEYS_WRITE: "make and revoke keys",
    Scope.CREDENTIALS_WRITE: "add and disable credentials",
    Scope.POLICIES_WRITE: "write policies",
    Scope.BUDGETS_WRITE: "set budgets and limits",
    Scope.AUDIT_READ: "read the audit log",
}
NO_CHOICE: Final = "Choose one of the list; this page may have changed since you opened it."


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyForm:
    """The form of a new key as it was typed, and what was wrong with it."""

    name: str = ""
    project: str = ""
    prefix: str = KeyPrefix.LIVE
    scopes: tuple[str, ...] = ()
    lifetime_days: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)


@get("/console/keys")
async def keys(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """One page of keys, newest first, with those that no longer work."""
    return await _keys(request, services, session)


@post("/console/keys")
async def make_key(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Make a key and show it, this once."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.KEYS_WRITE)
    typed = _typed(form)
    if typed.prefix not in set(KeyPrefix) or typed.lifetime_days not in LIFETIMES_DAYS:
        return await _keys(request, services, session, form=_with_problem(typed, "kind", NO_CHOICE), status=422)
    prefix = KeyPrefix(typed.prefix)
    scopes = [scope for scope in typed.scopes if scope in _offered(session, prefix.kind)]
    lifetime = timedelta(days=int(typed.lifetime_days)) if typed.lifetime_days else None
    try:
        created = await create_key(
            services.database,
            services.vault,
            session.actor,
            session.tenant_id,
            name=typed.name,
            project_id=uuid_or_none(typed.project),
            prefix=prefix,
            scopes=[Scope(scope) for scope in scopes] or None,
            held=ROLE_SCOPES[session.role],
            expires_at=services.now() + lifetime if lifetime else None,
        )
    except (FieldInvalid, LimitReached, NotFound) as error:
        where = {NotFound: "project", LimitReached: "kind"}.get(type(error), getattr(error, "field", ""))
        return await _keys(request, services, session, form=_with_problem(typed, where, str(error)), status=422)
    return await _keys(request, services, session, created=created, status=201)


@post("/console/keys/{api_key_id:str}/rotate")
async def replace_key(
    request: AnyRequest, services: Services, session: Session, api_key_id: FromPath[str]
) -> Response[Any]:
    """Make a key like this one and show it; this one stops after the overlap."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.KEYS_WRITE)
    overlap_s = access.field(form, "overlap_s")
    if overlap_s not in OVERLAPS_S:
        return await _keys(request, services, session, problem=NO_CHOICE, status=422)
    try:
        created = await rotate_key(
            services.database,
            services.vault,
            session.actor,
            session.tenant_id,
            _id_of(api_key_id),
            overlap_s=int(overlap_s),
            held=ROLE_SCOPES[session.role],
        )
    except NotFound as error:
        raise NotFoundException from error
    except (FieldInvalid, LimitReached) as error:
        return await _keys(request, services, session, problem=str(error), status=422)
    return await _keys(request, services, session, created=created, overlap=OVERLAPS_S[overlap_s].lower(), status=201)


@post("/console/keys/{api_key_id:str}/revoke")
async def end_key(
    request: AnyRequest, services: Services, session: Session, api_key_id: FromPath[str]
) -> Response[Any]:
    """Stop a key everywhere."""
    await checked_form(request, session.csrf_token)
    session.require(Scope.KEYS_WRITE)
    try:
        await revoke_key(services.database, session.actor, session.tenant_id, _id_of(api_key_id))
    except NotFound as error:
        raise NotFoundException from error
    response = go_to(request, url("/console/keys", {}, project=request.query_params.get("project")))
    leave_flash(response, services, session, "The key is revoked; it stops everywhere within a second.")
    return response


async def _keys(
    request: AnyRequest,
    services: ConsoleServices,
    session: ConsoleSession,
    *,
    form: KeyForm | None = None,
    created: CreatedKey | None = None,
    overlap: str = "",
    problem: str = "",
    status: int = 200,
) -> Response[str]:
    now, after = services.now(), uuid_or_none(request.query_params.get("after"))
    async with services.database.tenant(session.tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session)
        rows = await key_rows(
            database_session,
            session.tenant_id,
            since=now - timedelta(days=SPENT_DAYS),
            project_id=shell.project_id,
            after=after,
        )
    return page(
        request,
        "keys.html",
        status=status,
        shell=shell,
        form=form or KeyForm(project=str(shell.project_id or "")),
        created=created,
        overlap=overlap,
        problem=problem,
        rows=rows[:KEY_PAGE_ROWS],
        next_after=str(rows[KEY_PAGE_ROWS - 1].api_key_id) if len(rows) > KEY_PAGE_ROWS else None,
        is_first_page=after is None,
        kinds=KINDS,
        lifetimes=LIFETIMES_DAYS,
        overlaps=OVERLAPS_S,
        offered={kind: _offered(session, kind) for kind in KeyKind},
        scope_words=SCOPE_WORDS,
        spent_days=SPENT_DAYS,
        soon=now + EXPIRES_SOON,
        now=now,
    )


def _offered(session: ConsoleSession, kind: KeyKind) -> tuple[Scope, ...]:
    """The scopes that a member may give to a key of this kind."""
    held = ROLE_SCOPES[session.role]
    of_models = (Scope.MODELS_CALL, Scope.USAGE_READ)
    kept = of_models if kind is KeyKind.MODEL else [scope for scope in Scope if scope is not Scope.MODELS_CALL]
    return tuple(scope for scope in kept if scope in held or scope is Scope.MODELS_CALL)


def _typed(form: FormMultiDict) -> KeyForm:
    prefix = access.field(form, "prefix")
    kind = KeyPrefix(prefix).kind if prefix in set(KeyPrefix) else KeyKind.MODEL
    return KeyForm(
        name=access.field(form, "name").strip(),
        project=access.field(form, "project"),
        prefix=prefix,
        scopes=tuple(scope for scope in form.getall(f"{kind}_scopes", []) if isinstance(scope, str)),
        lifetime_days=access.field(form, "lifetime_days"),
    )


def _with_problem(form: KeyForm, where: str, problem: str) -> KeyForm:
    return KeyForm(
        name=form.name,
        project=form.project,
        prefix=form.prefix,
        scopes=form.scopes,
        lifetime_days=form.lifetime_days,
        problems={where: problem},
    )


def _id_of(text: str) -> UUID:
    found = uuid_or_none(text)
    if found is None:
        raise NotFoundException
    return found
