"""The filters in a page's URL: which there are, how they read, what they narrow queries to. Pure.

Called by the pages that show usage and requests. Invariant: a filter that makes no sense matches nothing,
rather than everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from billing import UsageDimension
from dashboard.formats import signal_words
from dashboard.outcomes import CLASS_LABELS, OUTCOMES
from dashboard.rows import Choices, Named

FILTER_CHARACTERS_MAX: Final = 200
FILTERS: Final = {
    "outcome": "Outcome", "model": "Model", "provider": "Provider", "task": "Task", "key": "API key",
    "project": "Project",
}  # fmt: skip


# What usage can be split by, in the API's words: heading, and the filter that leaves one group.
GROUPINGS: Final = {
    UsageDimension.MODEL: ("Model", "model"),
    UsageDimension.PROVIDER: ("Provider", "provider"),
    UsageDimension.PROJECT: ("Project", "project"),
    UsageDimension.API_KEY: ("API key", "key"),
    UsageDimension.TASK: ("Task", "task"),
    UsageDimension.OUTCOME: ("Outcome", "outcome"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """What a page is narrowed to; None is everything. `outcome` may name a class of outcomes."""

    project_id: UUID | None = None
    api_key_id: UUID | None = None
    provider_name: str | None = None
    model: str | None = None
    task: str | None = None
    outcome: str | None = None


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


@dataclass(frozen=True, slots=True)
class FilterBar:
    """The filters of a page: what is set, and what can be."""

    state: Mapping[str, str]
    chips: tuple[FilterChip, ...]
    selects: tuple[FilterSelect, ...]


def filter_state(query: Mapping[str, str]) -> dict[str, str]:
    """The filters that a URL sets."""
    return {name: value[:FILTER_CHARACTERS_MAX] for name in FILTERS if (value := query.get(name, "").strip())}


def usage_filter(state: Mapping[str, str]) -> UsageFilter:
    """What the filters narrow to."""
    return UsageFilter(
        project_id=_id_or_nothing(state.get("project")),
        api_key_id=_id_or_nothing(state.get("key")),
        provider_name=state.get("provider"),
        model=state.get("model"),
        task=state.get("task"),
        outcome=state.get("outcome"),
    )


def filter_bar(
    state: Mapping[str, str], choices: Choices, projects: tuple[Named, ...], keys: tuple[Named, ...]
) -> FilterBar:
    """The filters as they are drawn; one with a single choice is left out. The project is chosen in the scope."""
    offered = {
        "outcome": _outcome_options(),
        "model": tuple(FilterOption(model, model) for model in choices.models),
        "provider": tuple(FilterOption(provider, provider) for provider in choices.provider_names),
        "task": tuple(FilterOption(task, signal_words(task)) for task in choices.tasks),
        "key": tuple(FilterOption(str(key.id), key.name) for key in keys),
    }
    selects = tuple(
        FilterSelect(name, FILTERS[name], _with_chosen(options, state.get(name)))
        for name, options in offered.items()
        if len(options) > 1 or name in state
    )
    names = {str(key.id): key.name for key in keys}
    known = {str(project.id) for project in projects}
    chips = tuple(
        FilterChip(name, FILTERS[name], names.get(value, value))
        for name, value in state.items()
        if name != "project" or value not in known
    )
    return FilterBar(state, chips, selects)


def group_label(by: UsageDimension, group: str, names: Mapping[str, str]) -> str:
    """How a group reads."""
    if not group:
        return "reached no model" if by in (UsageDimension.MODEL, UsageDimension.PROVIDER) else "not known"
    if by in (UsageDimension.PROJECT, UsageDimension.API_KEY):
        return names.get(group, group)
    return signal_words(group) if by in (UsageDimension.TASK, UsageDimension.OUTCOME) else group


def group_filters(by: UsageDimension, group: str) -> dict[str, str]:
    """The filters that leave a group's requests; empty where none can."""
    if not group:
        return {}
    if by is UsageDimension.MODEL:
        provider_name, _, model = group.partition("/")
        return {"provider": provider_name, "model": model}
    return {GROUPINGS[by][1]: group}


def _id_or_nothing(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


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
