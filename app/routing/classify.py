"""The task and the domain of a request, with who decided and why. Called once per request, before routing.

Order of trust: the caller's tag, the tenant's own keywords, the built-in words and structure, the
default. Nothing a prompt says is repeated in an answer: reasons quote our words or the tenant's.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from app.routing.decision import DecidedBy, Evidence, RequestFacts, Signals
from app.routing.keywords import Keyword
from app.routing.reading import Reading, read_prompt
from app.routing.scoring import Heard, Vote, hear
from app.routing.taxonomy import DOMAIN_OF_TASK, Domain, Task

TAG_CONFIDENCE: Final = 1.0
KEYWORD_CONFIDENCE: Final = 0.95
DEFAULT_CONFIDENCE: Final = 0.2
# How a lead in weight over the next task reads as confidence. Measured on known sources it is 5 to 25 points
# too low; rules lose about that much on sources they were not written beside.
CONFIDENCE_LEAST: Final = 0.3
CONFIDENCE_PER_WEIGHT: Final = 0.1
CONFIDENCE_MOST: Final = 0.9
DOMAIN_CONFIDENCE_LEAST: Final = 0.35
DOMAIN_CONFIDENCE_PER_WORD: Final = 0.15
DOMAIN_CONFIDENCE_MOST: Final = 0.8
SURE: Final = 0.5  # from here on a task's own domain goes before the words of another
TAG_CHARACTERS_SHOWN: Final = 40
WORDS_SHOWN: Final = 3

_TASKS: Final[frozenset[str]] = frozenset(Task)
_DOMAINS: Final[frozenset[str]] = frozenset(Domain)


def classify(facts: RequestFacts, *, keywords: tuple[Keyword, ...] = ()) -> Signals:
    """Tell what a request is. `keywords` are the policy's own; they may name tasks of the tenant."""
    reading = read_prompt(facts.instruction)
    heard = hear(reading)
    tasks = {*Task, *(keyword.task for keyword in keywords)} if keywords else _TASKS
    task = _tagged(facts, "task", tasks) or _told_unknown(facts, _keyworded(reading, keywords) or _voted(heard.votes))
    domain = _tagged(facts, "domain", _DOMAINS) or _domain_of(heard, task)
    return Signals(task=task, domain=domain, facts=facts)


def _tagged(facts: RequestFacts, kind: str, known: Collection[str]) -> Evidence | None:
    """Take the caller's word, if it names something that exists. Metadata goes before tags."""
    said = facts.metadata.get(kind, "")
    if said in known:
        return _evidence(said, TAG_CONFIDENCE, "tag", f"the caller's metadata says {kind} {said}")
    for tag in facts.tags:
        said = tag.removeprefix(f"{kind}:")
        if said in known and (said != tag or kind == "task"):
            return _evidence(said, TAG_CONFIDENCE, "tag", f"the caller's tag says {kind} {said}")
    return None


def _told_unknown(facts: RequestFacts, task: Evidence) -> Evidence:
    """Tell a caller whose metadata names no task that exists that it was not heard."""
    said = facts.metadata.get("task")
    if said is None:
        return task
    shown = said[:TAG_CHARACTERS_SHOWN]
    return msgspec.structs.replace(task, because=f"{task.because}; the metadata's task '{shown}' is not known here")


def _keyworded(reading: Reading, keywords: tuple[Keyword, ...]) -> Evidence | None:
    for keyword in keywords:
        if keyword.matches(reading):
            because = f"the policy's keyword '{keyword.text}'"
            return _evidence(keyword.task, KEYWORD_CONFIDENCE, "keyword", because)
    return None


def _voted(votes: list[Vote]) -> Evidence:
    if not votes:
        return _evidence(Task.OPEN_QA, DEFAULT_CONFIDENCE, "default", "no built-in word or structure tells the task")
    scores: dict[Task, float] = {}
    for vote in votes:
        scores[vote.task] = scores.get(vote.task, 0.0) + vote.weight
    first = max(scores, key=scores.__getitem__)
    margin = scores.pop(first) - max(scores.values(), default=0.0)
    grounds = sorted([vote for vote in votes if vote.task is first], key=_by_weight)[:WORDS_SHOWN]
    because = ", ".join([f"the word '{vote.because}'" if vote.is_word else vote.because for vote in grounds])
    return _evidence(first, _confidence(margin), "keyword" if grounds[0].is_word else "structure", because)


def _by_weight(vote: Vote) -> float:
    return -vote.weight


def _domain_of(heard: Heard, task: Evidence) -> Evidence:
    found = heard.domains
    of_task = DOMAIN_OF_TASK.get(task.value)
    if not found or (of_task is not None and task.confidence >= SURE):
        if of_task is None:
            return _evidence(Domain.GENERAL, DEFAULT_CONFIDENCE, "default", "no built-in word tells the domain")
        return _evidence(of_task, task.confidence, "structure", f"the domain of {task.value}")
    domain = max(found, key=lambda domain: len(found[domain]))
    words = found[domain]
    because = ", ".join(f"the word '{word}'" for word in words[:WORDS_SHOWN])
    return _evidence(
        domain,
        min(DOMAIN_CONFIDENCE_MOST, DOMAIN_CONFIDENCE_LEAST + DOMAIN_CONFIDENCE_PER_WORD * len(words)),
        "keyword",
        because,
    )


def _confidence(margin: float) -> float:
    return round(min(CONFIDENCE_MOST, CONFIDENCE_LEAST + CONFIDENCE_PER_WEIGHT * margin), 2)


def _evidence(value: str, confidence: float, decided_by: DecidedBy, because: str) -> Evidence:
    return Evidence(value=str(value), confidence=confidence, decided_by=decided_by, because=because)
