"""How outcomes read: every outcome of a record is a row here with its class, label and advice.

Called by queries, pages and figures. Invariant: each outcome belongs to exactly one class, so the
classes of a chart add up to all requests.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from billing import Outcome


class OutcomeClass(StrEnum):
    """What the caller got."""

    ANSWERED = "answered"
    CUT = "cut"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OutcomeWords:
    """One outcome as the console shows it."""

    label: str
    outcome_class: OutcomeClass
    meaning: str


CLASS_LABELS: Final = {
    OutcomeClass.ANSWERED: "Answered",
    OutcomeClass.CUT: "Broken off",
    OutcomeClass.REFUSED: "Refused",
    OutcomeClass.FAILED: "Failed",
}

OUTCOMES: Final = {
    Outcome.OK: OutcomeWords("ok", OutcomeClass.ANSWERED, "Answered in full."),
    Outcome.INTERRUPTED: OutcomeWords("interrupted", OutcomeClass.CUT, "Answered in part: the stream broke off."),
    Outcome.CANCELLED: OutcomeWords("cancelled", OutcomeClass.CUT, "The caller hung up before any answer."),
    Outcome.INVALID: OutcomeWords("invalid", OutcomeClass.REFUSED, "The request itself was not valid."),
    Outcome.NOT_ALLOWED: OutcomeWords("not allowed", OutcomeClass.REFUSED, "Plan, policy or scope forbids it."),
    Outcome.BUDGET: OutcomeWords("budget", OutcomeClass.REFUSED, "A budget left no room for it."),
    Outcome.RATE_LIMITED: OutcomeWords("rate limited", OutcomeClass.REFUSED, "The plan's request rate was used."),
    Outcome.UNROUTABLE: OutcomeWords("unroutable", OutcomeClass.REFUSED, "No candidate was left to try."),
    Outcome.UPSTREAM_ERROR: OutcomeWords("upstream error", OutcomeClass.FAILED, "Every provider tried failed."),
    Outcome.UPSTREAM_TIMEOUT: OutcomeWords("timeout", OutcomeClass.FAILED, "Providers did not answer in time."),
    Outcome.GATEWAY_FAULT: OutcomeWords("gateway fault", OutcomeClass.FAILED, "Our own fault, not yours."),
}


def words_of(outcome: str) -> OutcomeWords:
    """The row of an outcome; one that this release does not know yet counts as failed."""
    known = OUTCOMES.get(outcome)  # type: ignore[call-overload]  # a StrEnum key equals its string
    return known or OutcomeWords(outcome.replace("_", " "), OutcomeClass.FAILED, "")


def outcomes_of(wanted: str) -> tuple[str, ...]:
    """The outcomes behind a filter's value: one outcome, or a class; nothing for a word that is neither."""
    return tuple(
        outcome.value for outcome, words in OUTCOMES.items() if wanted in (outcome.value, words.outcome_class.value)
    )
