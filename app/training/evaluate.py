"""How well tasks are told on sources never seen: `make eval-routing`. Prints; changes nothing.

Invariant: no figure comes from a prompt whose source or style was learnt or used to calibrate.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from app.routing import Task
from app.routing.reading import read_prompt
from app.routing.scoring import hear
from app.training.calibrate import calibrate, confidence_of, measures_for
from app.training.examples import Example, measured, read_examples, say
from app.training.leave_out import folds_of, predict_unseen, train_without
from app.training.linear import TASKS, Floats, Integers, Labels, Sparse, sparse_of
from app.training.noise import kept_shares
from app.training.train import labels_for

COVERAGES: Final = (0.25, 0.5, 0.75, 1.0)
BINS: Final = 10
GROUP_SIZE_MIN: Final = 20  # smaller groups say nothing


class Guesses(NamedTuple):
    """What was guessed of each prompt, how surely, and what is right."""

    tasks: Integers
    confidence: Floats
    right: Integers

    def of(self, places: Sequence[int]) -> "Guesses":
        """Give those of some prompts."""
        return Guesses(self.tasks[places], self.confidence[places], self.right[places])


def main() -> None:
    """Print the tables."""
    learnt = read_examples()
    prompts = sparse_of([example.text for example in learnt])
    labels = labels_for(learnt)
    sums = predict_unseen(learnt, prompts, labels)
    examples = measured(learnt)
    labels = labels.of(range(len(examples)))
    guesses = cross_calibrated(examples, labels, sums)
    rules = guesses_of_rules(examples, labels)
    majority = Guesses(np.full_like(labels.tasks, most_common(labels.tasks)), np.ones(len(examples)), labels.tasks)
    say(
        f"{'unseen sources and styles':38}{'n':>6}{'macro-F1':>10}{'@25%':>7}{'@50%':>7}{'@75%':>7}{'all':>7}{'ECE':>7}"
    )
    for name, places in groups_of(examples):
        say(row(name, guesses.of(places)))
        if name in {"development sources", "corpus styles", "not English"}:
            say(row("  rules alone", rules.of(places)))
            say(row("  majority", majority.of(places)))
    is_domain_right = sums[:, len(TASKS) :].argmax(axis=1)
    say(f"domain, macro-F1 over all left out: {macro_f1(is_domain_right, labels.domains):.3f}")
    say_noise(learnt, prompts)


def say_noise(examples: Sequence[Example], prompts: Sequence[Sparse]) -> None:
    """Print how often prompts of one fold keep their task when they are typed otherwise."""
    fold = folds_of(examples)[-1]
    weights = train_without(fold, examples, prompts, labels_for(examples))
    unseen = [each for each in measured(examples) if each.style in fold]
    kept = ", ".join(f"{name} {share:.3f}" for name, share in kept_shares(unseen, weights))
    say(f"same task though typed otherwise ({len(unseen):,} prompts, left out): {kept}")


def cross_calibrated(examples: Sequence[Example], labels: Labels, sums: Floats) -> Guesses:
    """Give confidence that was fitted without the fold it is for."""
    confidence = np.zeros(len(examples))
    for fold in folds_of(examples):
        inside = [place for place, each in enumerate(examples) if each.style in fold]
        outside = [place for place, each in enumerate(examples) if each.style not in fold]
        calibration = calibrate([examples[place] for place in outside], labels.of(outside), sums[outside])
        held = [examples[place] for place in inside]
        measures = measures_for(held, sums[inside], calibration.sharpness["task"])
        confidence[inside] = confidence_of(measures, calibration)
    return Guesses(sums[:, : len(TASKS)].argmax(axis=1), confidence, labels.tasks)


def guesses_of_rules(examples: Sequence[Example], labels: Labels) -> Guesses:
    """Guess by the votes of the built-in rules alone; their lead is the confidence."""
    tasks, confidence = [], []
    for example in examples:
        scores = dict.fromkeys(TASKS, 0.0)
        for vote in hear(read_prompt(example.text)).votes:
            scores[vote.task] += vote.weight
        first, second = sorted(scores.values(), reverse=True)[:2]
        tasks.append(TASKS.index(max(scores, key=lambda task: scores[task]) if first else Task.OPEN_QA))
        confidence.append(min(0.9, 0.3 + 0.1 * (first - second)))
    return Guesses(np.array(tasks), np.array(confidence), labels.tasks)


def groups_of(examples: Sequence[Example]) -> Iterator[tuple[str, list[int]]]:
    """Name the groups of prompts that have a row of their own."""
    places = range(len(examples))
    yield "development sources", [place for place in places if not examples[place].is_corpus]
    yield "corpus styles", [place for place in places if examples[place].is_corpus]
    yield "not English", [place for place in places if examples[place].language != "en"]
    for attribute in ("style", "language"):
        counts = Counter(str(getattr(example, attribute)) for example in examples)
        for value in sorted(counts):
            if counts[value] >= GROUP_SIZE_MIN:
                yield f"{attribute} {value}"[:36], [p for p in places if getattr(examples[p], attribute) == value]


def row(name: str, guesses: Guesses) -> str:
    """Write one group's row."""
    order = np.argsort(-guesses.confidence, kind="stable")
    is_right = (guesses.tasks == guesses.right)[order]
    covered = "".join(f"{is_right[: max(1, round(len(order) * share))].mean():7.3f}" for share in COVERAGES)
    figures = f"{macro_f1(guesses.tasks, guesses.right):10.3f}{covered}{calibration_error(guesses):7.3f}"
    return f"{name:38}{len(order):6,}{figures}"


def macro_f1(guessed: Integers, right: Integers) -> float:
    """Give the mean F1 of the labels that occur."""
    scores = []
    for label in np.unique(right):
        hits = int(((guessed == label) & (right == label)).sum())
        scores.append(2 * hits / int((guessed == label).sum() + (right == label).sum()))
    return float(np.mean(scores))


def calibration_error(guesses: Guesses) -> float:
    """Give the mean gap between confidence and accuracy over bins of confidence."""
    bins = np.minimum((guesses.confidence * BINS).astype(int), BINS - 1)
    is_right = guesses.tasks == guesses.right
    gaps = [
        (bins == each).mean() * abs(is_right[bins == each].mean() - guesses.confidence[bins == each].mean())
        for each in np.unique(bins)
    ]
    return float(sum(gaps))


def most_common(labels: Integers) -> int:
    """Give the label that occurs most often."""
    return int(np.bincount(labels).argmax())


if __name__ == "__main__":
    main()
