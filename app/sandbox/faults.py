"""Faults on demand: asked for by the prompt, the request, or a plan that the operator of a test sets.

The gateway forwards no header of a caller, so a prompt may hold `[[fault:429]]`, and to hit some candidates
only `[[fault:hang@swift-mini]]`, `…@sandbox-anthropic` or `…@sandbox-anthropic/swift-mini`. Invariant: a plan
with a seed gives the same faults in the same order of calls.
"""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

DELAY_MS_DEFAULT: Final = 200
DELAY_MS_MAX: Final = 600_000
_IN_PROMPT: Final = re.compile(r"\[\[fault:([a-z0-9_]+)(?:=(\d{1,6}))?(?:@([\w./-]+))?\]\]")
_IN_MODEL: Final = re.compile(r"(.+)\+([a-z0-9_]+)(?:=(\d{1,6}))?")


class FaultKind(StrEnum):
    """What can go wrong. The first group ends a call before any content; each wire plays it in its own words."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    REQUEST_TIMEOUT = "408"
    CONTEXT = "context"  # 400, context length exceeded
    CONTENT = "content"  # content policy; OpenAI: 400, Anthropic: an answer that is a refusal
    RATE_LIMITED = "429"
    OUT_OF_CREDIT = "quota"  # OpenAI: 429 insufficient_quota, Anthropic: 402 billing_error
    SERVER = "500"
    OVERLOADED = "503"  # Anthropic: 529
    GATEWAY_TIMEOUT = "504"
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


class FaultRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A part of the plan. Its kinds are taken in turn; `count` None never runs out.

    Of each `every` calls that it is meant for, the first `burst` fail, each with the `probability`.
    """

    kinds: Annotated[list[FaultKind], msgspec.Meta(min_length=1)]
    provider_name: Literal["sandbox", "sandbox-anthropic"] | None = None
    model: str | None = None
    value: Annotated[int, msgspec.Meta(ge=0, le=DELAY_MS_MAX)] | None = None
    count: Annotated[int, msgspec.Meta(ge=0)] | None = None
    every: Annotated[int, msgspec.Meta(ge=1)] = 1
    burst: Annotated[int, msgspec.Meta(ge=1)] = 1
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: int = 0


class FaultPlan:
    """The rules set by a test, a file or over the admin address; the first rule that fires decides."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self._running: list[_Running] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: FaultRule) -> None:
        """Add a rule behind the others."""
        self._running.append(_Running(rule, random.Random(rule.seed)))  # noqa: S311 - repeatable, not secret

    def clear(self) -> None:
        """Take every rule away."""
        self._running.clear()

    def rules(self) -> tuple[FaultRule, ...]:
        """The rules as they were added."""
        return tuple(running.rule for running in self._running)

    def next_fault(self, *, provider_name: str, model: str) -> Fault | None:
        """Decide for the next call of a model; counts and dice move on."""
        for running in self._running:
            if fault := running.next_fault(provider_name, model):
                return fault
        return None


@dataclass(slots=True)
class _Running:
    """A rule with its place: how many calls it was asked about, and how often it fired."""

    rule: FaultRule
    dice: random.Random
    asked: int = 0
    fired: int = 0

    def next_fault(self, provider_name: str, model: str) -> Fault | None:
        rule = self.rule
        if rule.provider_name not in (None, provider_name) or rule.model not in (None, model):
            return None
        if rule.count is not None and self.fired >= rule.count:
            return None
        self.asked += 1
        if (self.asked - 1) % rule.every >= rule.burst or self.dice.random() >= rule.probability:
            return None
        self.fired += 1
        return Fault(rule.kinds[(self.fired - 1) % len(rule.kinds)], rule.value)


def read_plan(raw: bytes) -> tuple[FaultRule, ...]:
    """Read a plan's file: a JSON list of rules. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(raw, type=tuple[FaultRule, ...])


def split_model(name: str) -> tuple[str, Fault | None]:
    """Read `swift-mini+429` as a model and a fault."""
    found = _IN_MODEL.fullmatch(name)
    fault = _fault(found[2], found[3]) if found else None
    return (found[1], fault) if found and fault else (name, None)


def fault_in_text(texts: Iterable[str], *, provider_name: str, model: str) -> Fault | None:
    """Find the first `[[fault:…]]` that is meant for this candidate."""
    meant = ("", model, provider_name, f"{provider_name}/{model}")
    for text in texts:
        for kind, value, target in _IN_PROMPT.findall(text):
            fault = _fault(kind, value)
            if fault and target in meant:
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
