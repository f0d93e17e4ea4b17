"""A routing policy as a tenant writes it, typed. `policy_reader` makes it of JSON or YAML, `policy` compiles it."""

from enum import StrEnum

import msgspec

from app.routing.assurance import NOTHING_REQUIRED, Requirements
from app.routing.conditions import ALWAYS, Condition


class Strategy(StrEnum):
    """How a choice ranks its candidates."""

    ORDERED = "ordered"  # as listed; a glob expands cheapest first
    WEIGHTED = "weighted"  # drawn by weight, the same again for the same session or request
    CHEAPEST = "cheapest"
    BEST = "best"
    FASTEST = "fastest"  # by what was measured lately
    BALANCED = "balanced"  # by utility: quality less what cost and latency are worth


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule chooses from, and how: names or globs of `provider/model`."""

    candidates: tuple[str, ...]
    strategy: Strategy = Strategy.ORDERED
    require: Requirements = NOTHING_REQUIRED  # of each candidate, on top of what guards require
    weights: dict[str, int] = {}  # of `weighted`, by entry of `candidates`; what has none stands behind
    quality_at_least: float | None = None
    cost_nano_usd_max: int | None = None  # written as `cost_usd_max`
    latency_ms_max: int | None = None  # a candidate that lately was slower falls
    quality_per_usd: float = 0.0  # of `balanced`: the quality that one dollar more must bring
    quality_per_second: float = 0.0  # of `balanced`: the quality that one second more must bring
    may_change_owner: bool = False  # fallback may go from the tenant's credential to the platform's, or back
    first_token_ms_max: int | None = None  # a candidate slower than this is left for the next one
    moves_on_refusal: bool = False  # a content refusal of one candidate is taken to the next


class RuleDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: a name that decisions show, a condition and a choice."""

    name: str
    then: Choice
    when: Condition = ALWAYS


class AnswerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of an answer table."""

    name: str
    say: str
    when: Condition = ALWAYS


class GuardDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A guard: where its condition holds, only these may be taken, whichever rule decides and whatever is named."""

    name: str
    when: Condition = ALWAYS
    candidates: tuple[str, ...] = ()  # the approved list; empty: any
    require: Requirements = NOTHING_REQUIRED


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A whole policy, after every check that needs no list of models."""

    default: Choice
    name: str = ""
    description: str = ""
    keywords: dict[str, tuple[str, ...]] = {}
    aliases: dict[str, str] = {}
    answers: dict[str, tuple[AnswerDocument, ...]] = {}  # tables, which candidates name as `answers/<table>`
    guards: tuple[GuardDocument, ...] = ()
    rules: tuple[RuleDocument, ...] = ()
