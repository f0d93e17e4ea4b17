"""What routing says: the signals with who decided them, the rule, every candidate and why.

A decision is a value: the live path, `POST /v1/route`, the console and a replay hold the same one.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Literal

import msgspec

from app.routing.candidate import Candidate, Feature
from app.routing.language import language_of
from app.routing.taxonomy import Rag

NO_ROWS: Final = msgspec.Raw(b"[]")
NO_CHOICE: Final = msgspec.Raw(b"{}")
LANGUAGE_CODE: Final = re.compile("[a-z]{2}")  # ISO 639-1

DecidedBy = Literal["tag", "keyword", "example", "classifier", "model", "structure", "default"]


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a surface reads off a request, in no provider's dialect. Token counts are for one choice."""

    request_model: str
    instruction: str  # the last user message's text, cut to what classification reads
    system: str = ""
    earlier: tuple[str, ...] = ()  # instructions before the last one, the newest first, cut likewise
    content: bytes = b""  # the JSON that goes to a model, whole; empty: instruction, system and earlier are all
    input_tokens_bound: int  # of all but the images: never less than the provider's count of what we see
    image_tokens_bound: int = 0  # of all images, by the table of the caller's dialect
    input_tokens_estimate: int
    output_tokens_wanted: int | None = None  # as the caller asked; None: not said
    choices: int = 1
    turns: int = 1
    has_tools: bool = False
    has_images: bool = False
    images: int = 0
    wants_json_schema: bool = False
    features: frozenset[Feature] = frozenset()  # beyond what every dialect can say
    is_streamed: bool = False
    is_unbounded: bool = False  # holds content that we do not see, which may fill a context
    is_output_unbounded: bool = False  # may be billed for output beyond its limit
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    policy_name: str | None = None  # from `auto/<policy>` or the header
    cost_nano_usd_max: int | None = None
    no_fallback: bool = False
    session: str | None = None  # the caller's name for a conversation


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One signal's value with its confidence, who decided it and on what ground."""

    value: str
    confidence: float
    decided_by: DecidedBy
    because: str


class Complexity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much a request asks of a model, from 0 to 1, and the named parts it is made of, each from 0 to 1."""

    value: float = 0.0
    length: float = 0.0
    constraints: float = 0.0
    reasoning: float = 0.0
    code: float = 0.0
    steps: float = 0.0
    depth: float = 0.0
    turns: float = 0.0


NO_RAG: Final = Evidence(value=Rag.NONE.value, confidence=0.5, decided_by="default", because="no passages stand in it")


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request when its route is decided. None was not looked at, since no route hung on it."""

    task: Evidence
    domain: Evidence
    facts: RequestFacts
    sensitivity: tuple[Evidence, ...] | None = ()  # each of `Sensitivity` at most once; what was found is never quoted
    complexity: Complexity | None = Complexity()
    rag: Evidence | None = NO_RAG

    @property
    def language(self) -> Evidence:
        """The language of the prompt, by ISO 639-1. Told when it is read: most routes do not hang on it."""
        said = self.facts.metadata.get("language", "")
        if LANGUAGE_CODE.fullmatch(said):
            because = f"the caller's metadata says language {said}"
            return Evidence(value=said, confidence=1.0, decided_by="tag", because=because)
        told = language_of(self.facts.instruction)
        return Evidence(
            value=told.code,
            confidence=round(told.confidence, 3),
            decided_by="structure" if told.is_by_script else "classifier",
            because="its script" if told.is_by_script else "its words and runs of letters",
        )


class Exclusion(StrEnum):
    """Why a candidate was not taken. The verdict's `detail` says it in words with the numbers."""

    NOT_IN_PLAN = "not_in_plan"
    UNKNOWN_PRICE = "unknown_price"
    NOT_CAPABLE = "not_capable"
    CONTEXT_TOO_SMALL = "context_too_small"
    OVER_BUDGET = "over_budget"
    OVER_MAX_COST = "over_max_cost"
    UNBOUNDED = "unbounded"
    BELOW_QUALITY = "below_quality"  # the rule asks for more
    NO_ANSWER = "no_answer"  # its table has none for this request
    NOT_APPROVED = "not_approved"  # a guard holds the request to a list that it is not on
    NOT_ASSURED = "not_assured"  # where content goes, what is kept or who signed is not what is required
    TOO_SLOW = "too_slow"  # lately, for what the rule asks
    OTHER_OWNER = "other_owner"  # falling back to it would change whose credential pays
    NOT_AVAILABLE = "not_available"  # the policy names it, but no credential reaches it


class Fall(msgspec.Struct, frozen=True):
    """Why a candidate may not be tried."""

    exclusion: Exclusion
    detail: str
    bound_nano_usd: int | None = None  # the least that a cap would have to leave


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate as the decision saw it."""

    name: str
    rank: int | None  # 1 is tried first; None: excluded
    place: int | None = None  # in the rule's list, from 0, where some request can take it
    excluded: Exclusion | None = None
    detail: str = ""
    score: float | None = None
    bound_nano_usd: int | None = None
    output_tokens_limit: int | None = None
    estimate_nano_usd: int | None = None
    latency_ms: int | None = None  # as it was lately, where the rule's strategy or limit looks at it
    utility: float | None = None  # of `balanced`: quality less what cost and latency are worth
    credential_owner: str | None = None
    is_simulated: bool = False


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that stands in a policy."""

    name: str
    text: str


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate to try, with the bound to reserve and the output limit to send."""

    candidate: Candidate
    bound_nano_usd: int
    output_tokens_limit: int | None  # None: send what the caller sent
    is_output_shrunk: bool = False  # the limit was cut to fit the headroom; a header says so
    answer: Said | None = None  # of a table: what to say in place of a call


class CandidateColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The verdicts once more, in columns: as cheap to make and to store as they can be.

    Rows have numbers. `names` and the other encoded columns are JSON that was written when the tenant's view was
    built; of the rows after those that have an estimate, no request can take any.
    """

    names: msgspec.Raw = NO_ROWS
    credential_owners: msgspec.Raw = NO_ROWS
    are_simulated: msgspec.Raw = NO_ROWS
    groups: msgspec.Raw = NO_ROWS  # place in the list and number of rows, of each group that a list sets in order
    scores: msgspec.Raw = NO_ROWS
    estimates_nano_usd: Sequence[int] = ()
    latencies_ms: Sequence[int | None] = ()  # empty where none was looked at
    order: Sequence[int] = ()  # rows by rank
    falls: Mapping[int, Fall] = {}  # by row
    barred: Mapping[Fall, Sequence[int]] = {}  # the rows that fall for every request
    unlisted_count: int = 0  # more that are barred, and have no row


class RouteDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The route of one request. `ranked` may be empty: then `refusal` says why.

    Verdicts and ranked candidates are made when they are read: most requests read one.
    """

    policy_name: str
    policy_version: int
    rule: str
    reason: str
    signals: Signals
    guards: tuple[str, ...] = ()  # those that held the request, by name
    verdicts: Sequence[Verdict]
    ranked: Sequence[Ranked]
    columns: CandidateColumns = CandidateColumns()
    baseline: Candidate | None = None  # the dearest eligible candidate: what savings are measured against
    refusal: str | None = None
    plan_id: str = ""
    headroom_nano_usd: int | None = None  # as it was seen; None: no budget covers the request
    is_saving: bool = False  # a budget is so far used that the cheapest comes first
    choice: msgspec.Raw = NO_CHOICE  # the strategy and its parameters
    draw: str | None = None  # of a strategy that draws; None: nothing was drawn
    first_token_ms_max: int | None = None  # the rule's patience with each candidate
    moves_on_refusal: bool = False


def rows_by_fall(falls: Mapping[int, Fall]) -> dict[Fall, list[int]]:
    """Turn rows with their falls into falls with their rows: many fall for one reason."""
    rows: dict[Fall, list[int]] = {}
    for row, fall in falls.items():
        rows.setdefault(fall, []).append(row)
    return rows
