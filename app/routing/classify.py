"""The signals of a request, with who decided each and why. Called once per request, before routing.

Order of trust: the caller's tag, the tenant's own keywords, its nearest examples, the learned classifier, which hears
the built-in words and structure as well. A short message that follows another keeps its conversation's task. Nothing
a prompt says is repeated in an answer: reasons quote our words or the tenant's.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Final

import msgspec

from app.routing.classifier import Classifier, Guess, load_classifier
from app.routing.complexity import complexity_of
from app.routing.decision import DecidedBy, Evidence, RequestFacts, Signals
from app.routing.examples import Examples
from app.routing.follow_up import OWN_CONFIDENCE_LEAST_OPENED, own_confidence_least, request_followed
from app.routing.keywords import Keyword
from app.routing.rag import rag_of
from app.routing.reading import Reading, read_prompt
from app.routing.rules import domain_by_rules, task_by_rules
from app.routing.scoring import Heard, Vote, hear
from app.routing.sensitivity import sensitivity_of
from app.routing.taxonomy import DOMAIN_OF_TASK, Domain, Task

TAG_CONFIDENCE: Final = 1.0
KEYWORD_CONFIDENCE: Final = 0.99
EXAMPLE_CONFIDENCE_LEAST: Final = 0.5  # less is left to the classifier
EXAMPLE_SIMILARITY_SURE: Final = 0.5  # so near, examples go before the classifier whatever it says
TAG_CHARACTERS_SHOWN: Final = 40
FOLLOWED_CONFIDENCE: Final = 0.9  # of the confidence in the request that a message follows
WORDS_SHOWN: Final = 3

_DOMAINS: Final[frozenset[str]] = frozenset(Domain)


def classify(
    asked: RequestFacts | str,
    *,
    metadata: Mapping[str, str] | None = None,
    keywords: tuple[Keyword, ...] = (),
    examples: Examples | None = None,
    decides_route: bool = True,
) -> Signals:
    """Tell what a request or a text is. `keywords` are the policy's own and `examples` the tenant's; both may name
    tasks of the tenant.

    Where it does not decide the route, because the caller names the model, the rules alone are asked, and
    complexity, sensitivity and RAG's part are not looked at, but for a sensitivity that the caller may add.

    `.task` and `.domain` always have the likeliest of the named values, with a confidence that is calibrated on
    sources the classifier was not trained on: below a half, a caller does well to treat it as unknown.
    Raises SensitivityUnknown where the caller adds a sensitivity that does not exist.
    """
    facts = asked if isinstance(asked, RequestFacts) else _facts_of(asked, metadata or {})
    reading = read_prompt(facts.instruction)
    tell = _Teller(keywords, examples if decides_route else None, decides_route)
    task, domain = tell.told(reading)
    if facts.earlier and task.confidence < (least := own_confidence_least(reading)):
        task, domain = _followed(facts, tell, (task, domain), least)
    if facts.tags or facts.metadata:
        known = {*Task, *(keyword.task for keyword in keywords), *(examples.tasks if examples else ())}
        task, domain = _as_tagged(facts, known, task, domain)
    return Signals(
        task=task,
        domain=domain,
        facts=facts,
        sensitivity=sensitivity_of(facts, domain) if decides_route or facts.tags or facts.metadata else None,
        complexity=complexity_of(reading, facts, task=task, domain=domain) if decides_route else None,
        rag=rag_of(reading, facts, task) if decides_route else None,
    )


class _Teller(msgspec.Struct, frozen=True):
    """What tells one instruction by itself: the tenant's words and examples, and the classifier or the rules."""

    keywords: tuple[Keyword, ...]
    examples: Examples | None
    decides_route: bool

    def told(self, reading: Reading) -> tuple[Evidence, Evidence]:
        """Tell the task and the domain."""
        heard = hear(reading)
        own = _keyworded(reading, self.keywords)
        if not self.decides_route:
            task = own or task_by_rules(heard)
            return task, domain_by_rules(heard, task)
        guess = _shipped().guess(reading, heard)
        if own is None and self.examples is not None:
            own = _exampled(reading, self.examples, guess)
        task = own or _guessed(guess, heard)
        return task, _domain_of(guess, heard, task)


def _followed(
    facts: RequestFacts, tell: _Teller, own: tuple[Evidence, Evidence], least: float
) -> tuple[Evidence, Evidence]:
    """Take the task and the domain of the request that a message follows, where they are surer than its own."""
    followed = request_followed(facts)
    if followed is None:
        return own
    earlier = tell.told(followed)
    if earlier[0].confidence <= own[0].confidence and least < OWN_CONFIDENCE_LEAST_OPENED:
        return own
    task, domain = (_kept(evidence) for evidence in earlier)
    return task, domain


def _kept(evidence: Evidence) -> Evidence:
    """Say of an earlier request's signal that the conversation keeps it."""
    because = f"the request before, which this one follows: {evidence.because}"
    confidence = round(evidence.confidence * FOLLOWED_CONFIDENCE, 3)
    return msgspec.structs.replace(evidence, confidence=confidence, because=because)


def _as_tagged(
    facts: RequestFacts, tasks: Collection[str], task: Evidence, domain: Evidence
) -> tuple[Evidence, Evidence]:
    """Lay what the caller says over what was told; the domain of a task that was said goes before words."""
    said = _tagged(facts, "task", tasks)
    if said is not None and said.value in DOMAIN_OF_TASK and domain.decided_by == "classifier":
        domain = _domain_of_task(said)
    return said or _told_unknown(facts, task), _tagged(facts, "domain", _DOMAINS) or domain


@cache
def _shipped() -> Classifier:
    """Read the weights when they are first asked for, so that training, which replaces them, can be imported."""
    return load_classifier()


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


def _exampled(reading: Reading, examples: Examples, guess: Guess) -> Evidence | None:
    """Take the nearest examples' word, unless they share a few words with a prompt that is clearly something else."""
    near = examples.nearest(reading)
    if near is None or near.confidence < EXAMPLE_CONFIDENCE_LEAST:
        return None
    is_kin = guess.task in near.kin or guess.task == near.task
    if not (is_kin or near.similarity >= EXAMPLE_SIMILARITY_SURE or near.confidence > guess.task_confidence):
        return None
    because = (
        f"{near.examples} of the tenant's nearest examples" if near.examples > 1 else "the tenant's nearest example"
    )
    return _evidence(near.task, near.confidence, "example", because)


def _guessed(guess: Guess, heard: Heard) -> Evidence:
    """Take the classifier's word; what the rules heard for the same task is its ground."""
    grounds = sorted([vote for vote in heard.votes if vote.task == guess.task], key=_by_weight)[:WORDS_SHOWN]
    said = [f"the word '{vote.because}'" if vote.is_word else vote.because for vote in grounds]
    return _evidence(guess.task, guess.task_confidence, "classifier", ", ".join(["the classifier", *said]))


def _by_weight(vote: Vote) -> float:
    return -vote.weight


def _domain_of(guess: Guess, heard: Heard, task: Evidence) -> Evidence:
    """Take the classifier's word, but for a task that was told: that has its own domain."""
    if task.value in DOMAIN_OF_TASK and task.decided_by != "classifier":
        return _domain_of_task(task)
    said = [f"the word '{word}'" for word in heard.domains.get(Domain(guess.domain), ())[:WORDS_SHOWN]]
    return _evidence(guess.domain, guess.domain_confidence, "classifier", ", ".join(["the classifier", *said]))


def _domain_of_task(task: Evidence) -> Evidence:
    return _evidence(DOMAIN_OF_TASK[task.value], task.confidence, "structure", f"the domain of {task.value}")


def _facts_of(text: str, metadata: Mapping[str, str]) -> RequestFacts:
    """Make the facts of a text that no request carries: nothing is routed by its sizes."""
    return RequestFacts(
        request_model="", instruction=text, input_tokens_bound=0, input_tokens_estimate=0, metadata=dict(metadata)
    )


def _evidence(value: str, confidence: float, decided_by: DecidedBy, because: str) -> Evidence:
    return Evidence(value=str(value), confidence=round(confidence, 3), decided_by=decided_by, because=because)
