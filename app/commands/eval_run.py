"""Sends a labelled set through models and policies of a running gateway, and grades what comes back.

Called by `signalbox eval`. It is a client like any other. Invariants: at most so many requests at once; a judge is a
call through the same gateway under the same key, so what it may see is decided there, and its cost is counted apart.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.commands.eval_journal import Journal
from app.commands.eval_set import Labelled, LabelledSet
from app.commands.try_client import GatewayClient, Tried
from app.commands.try_prompts import Prompt
from app.evaluation.graders import GraderName, judge_prompt, score_in
from app.evaluation.scores import Graded, SubjectKind
from app.routing import AUTO

NO_VERDICT: Final = "judge_said_nothing"
TAG_HEADERS: Final = {"x-signalbox-tags": "evaluation"}
# A model is to be judged by its own answers.
MODEL_HEADERS: Final = {**TAG_HEADERS, "x-signalbox-no-fallback": "true"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated: `provider/model`, `auto`, or `auto/POLICY`."""

    name: str

    @property
    def kind(self) -> SubjectKind:
        """Whether it is one model, or a policy that chooses among several."""
        return "policy" if self.name == AUTO or self.name.startswith(f"{AUTO}/") else "model"


@dataclass(slots=True)
class JudgeCost:
    """What the judge was billed in this run."""

    calls: int = 0
    cost_nano_usd: int = 0


class Run:
    """One run: subjects, their clients, and a judge where there is one."""

    def __init__(self, client_of: Callable[[Subject], GatewayClient], judge: GatewayClient | None) -> None:
        self._client_of = client_of
        self._judge = judge
        self.judged = JudgeCost()

    async def grade(
        self,
        labelled_set: LabelledSet,
        subjects: Sequence[Subject],
        journal: Journal,
        *,
        concurrency: int,
        progressed: Callable[[Graded], None],
    ) -> None:
        """Send what the journal does not hold yet, and keep what came of it."""
        done = {(each.subject, each.line) for each in journal.graded}
        waiting = iter(
            [
                (subject, each)
                for each in labelled_set.labelled
                for subject in subjects
                if (subject.name, each.prompt.line) not in done
            ]
        )
        clients = {subject: self._client_of(subject) for subject in subjects}
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._work(waiting, clients, journal, progressed))

    async def _work(
        self,
        waiting: Iterator[tuple[Subject, Labelled]],
        clients: dict[Subject, GatewayClient],
        journal: Journal,
        progressed: Callable[[Graded], None],
    ) -> None:
        # One iterator for all: each worker takes the next prompt when it is free.
        for subject, labelled in waiting:
            graded = await self._one(subject, clients[subject], labelled)
            journal.add(graded)
            progressed(graded)

    async def _one(self, subject: Subject, client: GatewayClient, labelled: Labelled) -> Graded:
        tried = await client.send(labelled.prompt)
        last = tried.last
        score: float | None = None
        reason = last.reason
        if last.ending == "answered":
            score = await self._score(labelled, last.answer or "")
            reason = NO_VERDICT if score is None else None
        return Graded(
            line=labelled.prompt.line,
            subject=subject.name,
            task=labelled.task or last.route().get("task", ""),
            model=last.model or (subject.name if subject.kind == "model" else ""),
            score=score,
            reason=reason,
            cost_nano_usd=_cost(tried),
            latency_ms=last.latency_ms,
        )

    async def _score(self, labelled: Labelled, answer: str) -> float | None:
        if labelled.grader_name is not GraderName.JUDGE:
            return labelled.grade(answer)
        assert self._judge is not None
        question = judge_prompt(labelled.prompt.text, labelled.expected, answer)
        tried = await self._judge.send(Prompt(labelled.prompt.line, question))
        self.judged.calls += 1
        self.judged.cost_nano_usd += _cost(tried) or 0
        return score_in(tried.last.answer or "")


def _cost(tried: Tried) -> int | None:
    costs = [exchanged.cost_nano_usd for exchanged in tried.exchanges]
    return None if None in costs else sum(cost for cost in costs if cost is not None)
