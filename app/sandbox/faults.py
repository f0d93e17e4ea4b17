"""Faults on demand: asked for by the prompt, the request, or a plan that the operator of a test sets.

The gateway forwards no header of a caller, so a prompt may hold `[[fault:429]]`, and
`[[fault:hang@swift-mini]]` to hit one model only. Invariant: a plan with a seed gives the same faults in
the same order of calls.
"""

import random
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

DELAY_MS_DEFAULT: Final = 200
DELAY_MS_MAX: Final = 600_000
_IN_PROMPT: Final = re.compile(r"\[\[fault:([a-z0-9_]+)(?:=(\d{1,6}))?(?:@([\w.-]+))?\]\]")
_IN_MODEL: Final = re.compile(r"(.+)\+([a-z0-9_]+)(?:=(\d{1,6}))?")


class FaultKind(StrEnum):
    """What can go wrong. The first group ends a call before any content."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    CONTEXT = "context"  # 400, context length exceeded
    CONTENT = "content"  # 400, content policy
    RATE_LIMITED = "429"
    OUT_OF_CREDIT = "quota"  # 429, insufficient quota
    SERVER = "500"
    OVERLOADED = "503"
    HANG = "hang"  # no byte is ever sent

    DELAY = "delay"  # the whole answer comes late
    SLOW = "slow"  # the first token comes late, after the headers
    CUT = "cut"  # the connection closes half way
    STALL = "stall"  # half of the stream, then silence
    ERROR_EVENT = "error"  # an error event in a stream after 200, before content; whole: 500
    LATE_ERROR_EVENT = "late_error"  # the same after half of the content
    MALFORMED = "malformed"  # JSON that is none
    WRONG_USAGE = "wrong_usage"  # usage that is far too large
    NO_USAGE = "no_usage"


_KINDS: Final = {kind.value: kind for kind in FaultKind}


class Fault(msgspec.Struct, frozen=True):
    """One fault for one call; `value` is milliseconds, or seconds of retry-after."""

    kind: FaultKind
    value: int | None = None


class FaultRule(msgspec.Struct, kw_only=True):
    """A part of the plan. Its kinds are taken in turn; `count` None never runs out."""

    kinds: list[FaultKind]
    model: str | None = None
    value: int | None = None
    count: int | None = None
    probability: float = 1.0
    seed: int = 0


class FaultPlan:
    """The rules set by a test or over the admin address; the first rule that fires decides."""

    def __init__(self) -> None:
        self._rules: list[tuple[FaultRule, random.Random]] = []
        self._fired: list[int] = []

    def add(self, rule: FaultRule) -> None:
        """Add a rule behind the others."""
        self._rules.append((rule, random.Random(rule.seed)))  # noqa: S311 - repeatable, not secret
        self._fired.append(0)

    def clear(self) -> None:
        """Take every rule away."""
        self._rules.clear()
        self._fired.clear()

    def rules(self) -> tuple[FaultRule, ...]:
        """The rules as they were added."""
        return tuple(rule for rule, _ in self._rules)

    def next_fault(self, model: str) -> Fault | None:
        """Decide for the next call of a model; counts and dice move on."""
        for index, (rule, dice) in enumerate(self._rules):
            fired = self._fired[index]
            if rule.model not in (None, model) or (rule.count is not None and fired >= rule.count):
                continue
            if dice.random() < rule.probability:
                self._fired[index] += 1
                return Fault(rule.kinds[fired % len(rule.kinds)], rule.value)
        return None


def split_model(name: str) -> tuple[str, Fault | None]:
    """Read `swift-mini+429` as a model and a fault."""
    found = _IN_MODEL.fullmatch(name)
    fault = _fault(found[2], found[3]) if found else None
    return (found[1], fault) if found and fault else (name, None)


def fault_in_text(texts: Iterable[str], model: str) -> Fault | None:
    """Find the first `[[fault:…]]` that is meant for this model."""
    for text in texts:
        for kind, value, target in _IN_PROMPT.findall(text):
            fault = _fault(kind, value)
            if fault and target in ("", model):
                return fault
    return None


def fault_in_word(word: str | None) -> Fault | None:
    """Read a header's or a metadata entry's `429` or `delay=300`."""
    kind, _, value = (word or "").partition("=")
    return _fault(kind, value)


def _fault(kind: str, value: str | None) -> Fault | None:
    known = _KINDS.get(kind)
    if known is None:
        return None
    return Fault(known, min(int(value), DELAY_MS_MAX) if value and value.isdecimal() else None)
