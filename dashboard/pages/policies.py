"""The routing policies: their list, and the editor that checks, drafts, tries, publishes and rolls back.

Routed by `dashboard.routes`. Invariants: the text is the truth and is never changed but by a draft that was asked
for; what does not hold is not published; a version is replaced by who saw it, or not at all.
"""

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.exceptions import NotFoundException

from billing import Feature
from dashboard.access import checked_form, field
from dashboard.decisions import CandidateView, StoredDecision, planned_views, read_decision
from dashboard.flash import leave_flash
from dashboard.pages.shell import tenant_shell
from dashboard.policy_desk import Drafted, PolicyText, TrialRequest
from dashboard.policy_repository import PolicyVersion, policy_document, policy_versions
from dashboard.render import AnyRequest, go_to, page, url
from dashboard.services import ConsoleServices, Services, Session
from tenants import (
    PLATFORM_TENANT_ID,
    ROLE_SCOPES,
    ConsoleSession,
    FieldInvalid,
    LimitReached,
    NotFound,
    PublishedPolicy,
    Scope,
    VersionOutdated,
    find_policy,
    list_policies,
    publish_policy,
)

LIST_PATH: Final = "/console/policies"
EDITOR_PATH: Final = "/console/policies/edit"
# A policy of 256 KiB, each byte of it written as three in a form, and a prompt.
EDITOR_BYTES_MAX: Final = 1_000_000
TAGS_MAX: Final = 20
DIFF_LINES_MAX: Final = 2_000
DEFAULT_NAME: Final = "default"
FIRST_TRIAL: Final = TrialRequest(prompt="", model="auto", task="", tags=())

Tone = Literal["added", "removed", "place", "same"]
_TONES: Final[tuple[tuple[str, Tone], ...]] = (("+", "added"), ("-", "removed"), ("@", "place"))


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not hold, and where."""

    path: str
    words: str


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of the difference to what is in force."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What serves the tenant under a name. `version` is of its own policy, 0 where the platform's serves it."""

    version: int
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """The editor as it was sent, and what is to be told about it."""

    name: str
    replaces: int
    text: str
    words: str = ""
    request: TrialRequest = FIRST_TRIAL
    problems: tuple[Problem, ...] = ()
    is_checked: bool = False
    diff: tuple[DiffLine, ...] = ()
    drafted: Drafted | None = None
    decision: StoredDecision | None = None
    candidates: tuple[CandidateView, ...] = ()
    trial_problem: str = ""
    notice: str = ""


@get(LIST_PATH)
async def policies(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """The policies that requests may name, the tenant's own and the platform's behind them."""
    own = await list_policies(services.database, session.tenant_id)
    names = {policy.name for policy in own}
    shared = [each for each in await list_policies(services.database, PLATFORM_TENANT_ID) if each.name not in names]
    async with services.database.tenant(session.tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session)
    may_write = _may_write(session)
    return page(request, "policies.html", shell=shell, own=own, shared=shared, may_write=may_write)


@get(EDITOR_PATH)
async def policy_editor(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """One policy as text: the version in force, or an older one against it."""
    name = request.query_params.get("name", "").strip() or DEFAULT_NAME
    version = request.query_params.get("version", "")
    in_force = await _in_force(services, session.tenant_id, name)
    document = in_force.document
    if version:
        document = await _document_of(services, session.tenant_id, name, version)
    read = await services.policies.read(document.decode())
    text = document.decode() if request.query_params.get("as") == "json" else read.yaml
    editor = Editor(
        name=name, replaces=in_force.version, text=_laid_out(text), diff=await _diff(services, in_force, read)
    )
    return await _page(request, services, session, editor)


@post(EDITOR_PATH, request_max_body_size=EDITOR_BYTES_MAX)
async def edit_policy(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Check, draft, try or publish what was typed, by the button that was pressed."""
    form = await checked_form(request, session.csrf_token)
    editor = _typed(form)
    if field(form, "action") == "publish":
        session.require(Scope.POLICIES_WRITE)
        return await _publish(request, services, session, editor)
    in_force = await _in_force(services, session.tenant_id, editor.name)
    editor, read = await _checked(services, session.tenant_id, editor, in_force)
    if not editor.problems and field(form, "action") == "draft":
        editor = await _drafted(services, session.tenant_id, editor, read, in_force)
    elif not editor.problems and field(form, "action") == "try":
        editor = await _tried(services, session.tenant_id, editor, read)
    return await _page(request, services, session, editor, status=422 if editor.problems else 200)


@post("/console/policies/roll-back")
async def roll_back_policy(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Publish an older version again, as the newest."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.POLICIES_WRITE)
    name = field(form, "name")
    document = await _document_of(services, session.tenant_id, name, field(form, "version"))
    editor = replace(_typed(form), text=(await services.policies.read(document.decode())).yaml)
    return await _publish(request, services, session, editor, again=field(form, "version"))


async def _publish(
    request: AnyRequest, services: ConsoleServices, session: ConsoleSession, editor: Editor, *, again: str = ""
) -> Response[Any]:
    await services.require_feature(session.tenant_id, Feature.CUSTOM_POLICIES)
    in_force = await _in_force(services, session.tenant_id, editor.name)
    editor, read = await _checked(services, session.tenant_id, editor, in_force)
    if editor.problems:
        return await _page(request, services, session, editor, status=422)
    try:
        published = await publish_policy(
            services.database, session.actor, session.tenant_id, editor.name, read.document, replaces=editor.replaces
        )
    except VersionOutdated as error:
        told = f"{error} What you typed is still here, beside what is in force now; publish again to replace it."
        outdated = replace(editor, notice=told, replaces=in_force.version)
        return await _page(request, services, session, outdated, status=409)
    except (FieldInvalid, LimitReached) as error:
        return await _page(request, services, session, replace(editor, notice=str(error)), status=422)
    what = f"Version {again} is in force again, as version" if again else "In force now: version"
    response = go_to(request, url(EDITOR_PATH, {}, name=published.name))
    leave_flash(
        response, services, session, f"{what} {published.version} of '{published.name}'. Requests follow in a second."
    )
    return response


async def _page(
    request: AnyRequest, services: ConsoleServices, session: ConsoleSession, editor: Editor, *, status: int = 200
) -> Response[str]:
    async with services.database.tenant(session.tenant_id) as database_session:
        shell = await tenant_shell(
            request, services, session, database_session, title=editor.name, filters={"name": editor.name}
        )
        versions: Sequence[PolicyVersion] = await policy_versions(database_session, session.tenant_id, editor.name)
    return page(
        request,
        "policy.html",
        status=status,
        shell=shell,
        editor=editor,
        versions=versions,
        may_write=_may_write(session),
        zone=shell.within.zone,
    )


def _typed(form: FormMultiDict) -> Editor:
    replaces = field(form, "replaces")
    tags = [tag.strip() for tag in field(form, "tags").split(",") if tag.strip()]
    return Editor(
        name=field(form, "name").strip(),
        replaces=int(replaces) if replaces.isascii() and replaces.isdigit() else 0,
        text=field(form, "text").replace("\r\n", "\n"),
        words=field(form, "words").replace("\r\n", "\n"),
        request=TrialRequest(
            prompt=field(form, "prompt").replace("\r\n", "\n"),
            model=field(form, "model").strip(),
            task=field(form, "task").strip(),
            tags=tuple(tags[:TAGS_MAX]),
        ),
    )


async def _checked(
    services: ConsoleServices, tenant_id: UUID, editor: Editor, in_force: InForce
) -> tuple[Editor, PolicyText]:
    read = await services.policies.read(editor.text)
    found = (read.problem,) if read.problem else await services.policies.problems(tenant_id, read.document)
    problems = tuple(map(_problem, found))
    diff = () if read.problem else await _diff(services, in_force, read)
    return replace(editor, problems=problems, is_checked=True, diff=diff), read


async def _drafted(
    services: ConsoleServices, tenant_id: UUID, editor: Editor, read: PolicyText, in_force: InForce
) -> Editor:
    if not editor.words.strip():
        return replace(editor, notice="Say in plain words what should go where, then press Draft.")
    drafted = await services.policies.draft(tenant_id, editor.words, read.document)
    if not drafted.understood:
        return replace(editor, drafted=drafted)
    draft = await services.policies.read(drafted.document.decode())
    return replace(editor, drafted=drafted, text=draft.yaml, diff=await _diff(services, in_force, draft))


async def _tried(services: ConsoleServices, tenant_id: UUID, editor: Editor, read: PolicyText) -> Editor:
    trial = await services.policies.decide(tenant_id, editor.name, read.document, editor.request)
    if trial.problem:
        return replace(editor, trial_problem=trial.problem)
    decision = read_decision(msgspec.json.decode(trial.decision))
    assert decision is not None
    return replace(editor, decision=decision, candidates=planned_views(decision))


async def _in_force(services: ConsoleServices, tenant_id: UUID, name: str) -> InForce:
    """The tenant's own policy, else the platform's of this name, else the one to begin with."""
    own = await _find(services, tenant_id, name)
    shared = None if own else await _find(services, PLATFORM_TENANT_ID, name)
    found = own or shared
    return InForce(
        version=own.version if own else 0, document=found.document if found else services.policies.first_document()
    )


async def _find(services: ConsoleServices, tenant_id: UUID, name: str) -> PublishedPolicy | None:
    try:
        return await find_policy(services.database, tenant_id, name)
    except (FieldInvalid, NotFound):
        return None


async def _document_of(services: ConsoleServices, tenant_id: UUID, name: str, version: str) -> bytes:
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise NotFoundException
    async with services.database.tenant(tenant_id) as database_session:
        document = await policy_document(database_session, tenant_id, name, int(version))
    if document is None:
        raise NotFoundException
    return document


async def _diff(services: ConsoleServices, in_force: InForce, read: PolicyText) -> tuple[DiffLine, ...]:
    """How a policy differs from the one in force, both in YAML."""
    before = await services.policies.read(in_force.document.decode())
    return await asyncio.to_thread(_differences, before.yaml.splitlines(), read.yaml.splitlines())


def _differences(before: Sequence[str], after: Sequence[str]) -> tuple[DiffLine, ...]:
    lines = list(difflib.unified_diff(before, after, lineterm=""))[2:DIFF_LINES_MAX]  # without the two file names
    return tuple(
        DiffLine(next((tone for sign, tone in _TONES if line.startswith(sign)), "same"), line) for line in lines
    )


def _problem(text: str) -> Problem:
    path, is_parted, words = text.partition(": ")
    return Problem(path, words) if is_parted and " " not in path else Problem("", text)


def _laid_out(text: str) -> str:
    """JSON with its indents, as it is stored without; YAML as it is."""
    return msgspec.json.format(text, indent=2) if text.lstrip().startswith("{") else text


def _may_write(session: ConsoleSession) -> bool:
    return Scope.POLICIES_WRITE in ROLE_SCOPES[session.role]
