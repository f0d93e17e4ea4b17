"""The list of requests, refused ones too, and the page of one request.

Routed by `dashboard.routes`. Invariants: filters and place are in the URL; a page is found by the id
of the one before, however deep; another tenant's request looks like one that does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from dashboard import queries
from dashboard.decisions import candidate_views, needs_of, read_decision
from dashboard.formats import signal_words
from dashboard.outcomes import CLASS_LABELS, OUTCOMES
from dashboard.pages.shell import tenant_shell, uuid_or_none
from dashboard.queries import REQUEST_PAGE_ROWS, UsageFilter
from dashboard.render import AnyRequest, page
from dashboard.rows import Choices, Named
from dashboard.services import Services, Session
from dashboard.tiles import tiles
from dashboard.usage import by_slot, total

FILTER_CHARACTERS_MAX: Final = 200
FILTERS: Final = {
    "outcome": "Outcome", "model": "Model", "provider": "Provider", "task": "Task", "key": "API key",
    "project": "Project",
}  # fmt: skip
STRIP: Final = ("requests", "spend", "success_rate", "p95_latency")


@dataclass(frozen=True, slots=True)
class FilterChip:
    """A filter that is set, with how it reads."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class FilterOption:
    """One choice of a filter; a part is drawn under the choice that it belongs to."""

    value: str
    label: str
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class FilterSelect:
    """A filter with its choices."""

    name: str
    label: str
    options: tuple[FilterOption, ...]


@get("/console/requests")
async def requests(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """One page of requests, newest first."""
    tenant_id = session.tenant_id
    query = request.query_params
    state = {name: value[:FILTER_CHARACTERS_MAX] for name in FILTERS if (value := query.get(name, "").strip())}
    before = uuid_or_none(query.get("before"))
    async with services.database.tenant(tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session, filters=state)
        within, wanted = shell.within, _usage_filter(state)
        starts = within.buckets()
        usage = await queries.usage_rows(database_session, tenant_id, starts, within.until, wanted)
        rows = await queries.request_rows(database_session, tenant_id, within, wanted, before=before)
        has_more, rows = len(rows) > REQUEST_PAGE_ROWS, rows[:REQUEST_PAGE_ROWS]
        chips = await queries.attempt_chips(database_session, tenant_id, [row.request_id for row in rows])
        choices = await queries.choices(database_session, tenant_id, within)
        keys = await queries.api_keys(database_session, tenant_id)
    sums = total(usage)
    return page(
        request,
        "requests.html",
        shell=shell,
        state=shell.query,
        chosen=_filter_chips(state, shell.projects, keys),
        strip=[tile for tile in tiles(sums, sums, by_slot(usage, len(starts))) if tile.name in STRIP],
        rows=rows,
        attempts=chips,
        selects=_selects(state, choices, shell.projects, keys),
        key_names={key.id: key.name for key in keys},
        next_before=str(rows[-1].request_id) if has_more else None,
        is_first_page=before is None,
    )


@get("/console/requests/{request_id:str}")
async def one_request(
    request: AnyRequest, services: Services, session: Session, request_id: FromPath[str]
) -> Response[str]:
    """Everything that was kept of one request, and why it went where it went."""
    wanted = uuid_or_none(request_id)
    if wanted is None:
        raise NotFoundException
    tenant_id = session.tenant_id
    async with services.database.tenant(tenant_id) as database_session:
        facts = await queries.find_request(database_session, tenant_id, wanted)
        if facts is None:
            raise NotFoundException
        shell = await tenant_shell(request, services, session, database_session, title="Request")
        attempts = await queries.attempts_of(database_session, tenant_id, wanted)
        last = attempts[-1] if attempts else None
        price = await queries.price_of(database_session, last) if last else None
        names = {
            kind: await queries.name_of(database_session, tenant_id, kind, wanted_id)
            for kind, wanted_id in (("project", facts.project_id), ("api_key", facts.api_key_id))
        }
        credentials = await queries.credential_names(database_session, tenant_id)
    decision = read_decision(facts.decision)
    return page(
        request,
        "request.html",
        shell=shell,
        facts=facts,
        attempts=attempts,
        decision=decision,
        candidates=candidate_views(decision, attempts) if decision else (),
        needs=needs_of(decision.request) if decision and decision.request else (),
        price=price,
        names=names,
        credentials=credentials,
        zone=shell.within.zone,
    )


def _usage_filter(state: Mapping[str, str]) -> UsageFilter:
    return UsageFilter(
        project_id=_id_or_nothing(state.get("project")),
        api_key_id=_id_or_nothing(state.get("key")),
        provider_name=state.get("provider"),
        model=state.get("model"),
        task=state.get("task"),
        outcome=state.get("outcome"),
    )


def _id_or_nothing(text: str | None) -> UUID | None:
    """None without a filter; a filter that is no id matches nothing, rather than everything."""
    return None if text is None else uuid_or_none(text) or UUID(int=0)


def _filter_chips(
    state: Mapping[str, str], projects: tuple[Named, ...], keys: tuple[Named, ...]
) -> tuple[FilterChip, ...]:
    names = {str(named.id): named.name for named in (*projects, *keys)}
    return tuple(FilterChip(name, FILTERS[name], names.get(value, value)) for name, value in state.items())


def _selects(
    state: Mapping[str, str], choices: Choices, projects: tuple[Named, ...], keys: tuple[Named, ...]
) -> tuple[FilterSelect, ...]:
    offered = {
        "outcome": _outcome_options(),
        "model": tuple(FilterOption(model, model) for model in choices.models),
        "provider": tuple(FilterOption(provider, provider) for provider in choices.provider_names),
        "task": tuple(FilterOption(task, signal_words(task)) for task in choices.tasks),
        "key": tuple(FilterOption(str(key.id), key.name) for key in keys),
        "project": tuple(FilterOption(str(project.id), project.name) for project in projects),
    }
    return tuple(
        FilterSelect(name, FILTERS[name], _with_chosen(options, state.get(name)))
        for name, options in offered.items()
        if len(options) > 1 or name in state
    )


def _with_chosen(options: tuple[FilterOption, ...], chosen: str | None) -> tuple[FilterOption, ...]:
    """The options and what is chosen, which may not occur in this range."""
    if chosen is None or any(option.value == chosen for option in options):
        return options
    return (*options, FilterOption(chosen, chosen))


def _outcome_options() -> tuple[FilterOption, ...]:
    options = []
    for outcome_class, label in CLASS_LABELS.items():
        options.append(FilterOption(outcome_class.value, label))
        members = [(o.value, words.label) for o, words in OUTCOMES.items() if words.outcome_class is outcome_class]
        if len(members) > 1:
            options += [FilterOption(value, words, is_part=True) for value, words in members]
    return tuple(options)
