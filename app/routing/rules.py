"""What the rules alone say of a request: the task with the most weight, and the domain with the most words.

Called by `classify` where the route does not depend on the task, because the caller names the model: rules cost a
quarter of the learned classifier and are right less often. Invariant: a confidence never reaches a sure one's.
"""

from typing import Final

from app.routing.decision import DecidedBy, Evidence
from app.routing.scoring import Heard, Vote
from app.routing.taxonomy import DOMAIN_OF_TASK, Domain, Task

DEFAULT_CONFIDENCE: Final = 0.2
# How a lead in weight over the next task reads as confidence, on prompts that the rules were not written beside.
CONFIDENCE_LEAST: Final = 0.3
CONFIDENCE_PER_WEIGHT: Final = 0.1
CONFIDENCE_MOST: Final = 0.9
DOMAIN_CONFIDENCE_LEAST: Final = 0.35
DOMAIN_CONFIDENCE_PER_WORD: Final = 0.15
DOMAIN_CONFIDENCE_MOST: Final = 0.8
SURE: Final = 0.5  # from here on a task's own domain goes before the words of another
WORDS_SHOWN: Final = 3


def task_by_rules(heard: Heard) -> Evidence:
    """The task that most weight speaks for; open questions where nothing speaks."""
    weights: dict[Task, float] = {}
    grounds: dict[Task, list[Vote]] = {}
    for vote in heard.votes:
        weights[vote.task] = weights.get(vote.task, 0.0) + vote.weight
        grounds.setdefault(vote.task, []).append(vote)
    if not weights:
        return _evidence(Task.OPEN_QA, DEFAULT_CONFIDENCE, "default", "no built-in word or structure tells the task")
    first, *rest = sorted(weights, key=lambda task: -weights[task])
    lead = weights[first] - (weights[rest[0]] if rest else 0.0)
    votes = sorted(grounds[first], key=lambda vote: -vote.weight)[:WORDS_SHOWN]
    said = ", ".join(f"the word '{vote.because}'" if vote.is_word else vote.because for vote in votes)
    confidence = min(CONFIDENCE_MOST, CONFIDENCE_LEAST + CONFIDENCE_PER_WEIGHT * lead)
    return _evidence(first, confidence, "keyword" if votes[0].is_word else "structure", said)


def domain_by_rules(heard: Heard, task: Evidence) -> Evidence:
    """The domain of a sure task, else the one that most words speak for."""
    of_task = DOMAIN_OF_TASK.get(task.value)
    if of_task is not None and (task.confidence >= SURE or not heard.domains):
        return _evidence(of_task, task.confidence, "structure", f"the domain of {task.value}")
    if not heard.domains:
        return _evidence(Domain.GENERAL, DEFAULT_CONFIDENCE, "default", "no built-in word tells the domain")
    domain = max(heard.domains, key=lambda domain: len(heard.domains[domain]))
    words = heard.domains[domain]
    confidence = min(DOMAIN_CONFIDENCE_MOST, DOMAIN_CONFIDENCE_LEAST + DOMAIN_CONFIDENCE_PER_WORD * len(words))
    return _evidence(domain, confidence, "keyword", ", ".join(f"the word '{word}'" for word in words[:WORDS_SHOWN]))


def _evidence(value: str, confidence: float, decided_by: DecidedBy, because: str) -> Evidence:
    return Evidence(value=str(value), confidence=round(confidence, 3), decided_by=decided_by, because=because)
