"""A tenant's labelled prompts as an index: the nearest of them tell the task of a request that they are like.

Built when examples change, read by `classify` for each request of a tenant that has some. A prompt is a set of hashed
words and pairs of words, weighed by how rare they are among the examples; two prompts are as near as the cosine of
theirs. Confidence is calibrated by leaving each example out and asking the others. Invariant: the work for a request
is bounded, whatever the examples; an index holds hashes, and no word of an example.
"""

import heapq
import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final
from zlib import crc32

import msgspec

from app.routing.reading import Reading, read_prompt
from app.routing.structure import SPACELESS

VERSION: Final = 1  # of features and layout: an index of another version is built anew from its prompts
EXAMPLES_MAX: Final = 5_000
TASKS_MAX: Final = 100
FEATURES_MAX: Final = 64  # of a prompt: its first and its last
POSTINGS_MAX: Final = 1_500  # visited for a request; the rarest features go first
NEIGHBOURS: Final = 5
NEAREST_SIMILARITY_LEAST: Final = 0.2  # a prompt farther from all examples is left to the classifier
KIN_SHARE_LEAST: Final = 0.2
CALIBRATED_MAX: Final = 1_000  # examples that are left out in turn
BINS_MAX: Final = 8
BIN_EXAMPLES_MIN: Final = 10
PRIOR_EXAMPLES: Final = 4  # as so many examples count what nearness says by itself


class Example(msgspec.Struct, frozen=True):
    """A prompt and the task that its tenant gave it; `kin` is what the prompt is without examples."""

    prompt: str
    task: str
    kin: str = ""


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """What the nearest examples say."""

    task: str
    confidence: float
    similarity: float  # of the nearest that says so
    examples: int  # how many of the nearest say so
    kin: frozenset[str]  # what prompts of the task are without examples


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """An index as it is stored. Arrays are little-endian: unsigned of 4 bytes, of 2 for postings and tasks."""

    version: int
    tasks: tuple[str, ...]
    kin: tuple[tuple[str, ...], ...]  # by task
    task_of: bytes  # by example
    norms: tuple[float, ...]  # by example
    features: bytes  # sorted
    ends: bytes  # of each feature's postings
    postings: bytes  # examples
    bounds: tuple[float, ...] = ()  # of the bins of nearness
    confidences: tuple[float, ...] = ()  # one more than bounds


class Examples:
    """An index made ready."""

    def __init__(self, index: Index) -> None:
        self.tasks = frozenset(index.tasks)
        self.count = len(index.norms)
        self._tasks, self._kin = index.tasks, tuple(map(frozenset, index.kin))
        self._task_of = memoryview(index.task_of).cast("H")
        self._norms = index.norms
        self._norm_least = min(index.norms, default=0.0)
        self._features = memoryview(index.features).cast("I")
        self._ends = memoryview(index.ends).cast("I")
        self._postings = memoryview(index.postings).cast("H")
        self._square_unknown = weight_of(0, self.count) ** 2
        self._bounds, self._confidences = index.bounds, index.confidences

    def nearest(self, reading: Reading) -> Near | None:
        """Tell what the examples say of a prompt, or None where it is like none of them."""
        told = self._told(features_of(reading))
        if told is None:
            return None
        task, nearness, similarity, count = told
        return Near(
            task=self._tasks[task],
            confidence=self._confidences[bisect_right(self._bounds, nearness)],
            similarity=similarity,
            examples=count,
            kin=self._kin[task],
        )

    def nearness_without(self, example: int, features: Sequence[int]) -> tuple[float, bool] | None:
        """Ask all but one example about it: how near they are, and whether they are right."""
        told = self._told(features, example)
        return None if told is None else (told[1], told[0] == self._task_of[example])

    def _told(self, features: Sequence[int], left_out: int = -1) -> tuple[int, float, float, int] | None:
        """Give the task of the nearest examples, how near they are together, the nearest of them, and how many."""
        products, squares = self._products(features)
        products.pop(left_out, None)
        norms, length = self._norms, math.sqrt(squares)
        least = NEAREST_SIMILARITY_LEAST * length
        # Most share a word or two: no norm could make them near.
        floor = least * self._norm_least
        near = [(each / norms[place], place) for place, each in products.items() if each >= floor]
        nearest = heapq.nlargest(NEIGHBOURS, near)
        if not nearest or nearest[0][0] < least:
            return None
        votes: dict[int, float] = {}
        counts: dict[int, int] = {}
        for product, place in nearest:
            task = self._task_of[place]
            similarity = product / length
            votes[task] = votes.get(task, 0.0) + similarity * similarity
            counts[task] = counts.get(task, 0) + 1
        first = max(votes, key=votes.__getitem__)
        best = max(product for product, place in nearest if self._task_of[place] == first) / length
        best = min(1.0, best)
        return first, best * votes[first] / sum(votes.values()), best, counts[first]

    def _products(self, features: Sequence[int]) -> tuple[dict[int, float], float]:
        """Sum the weights that each example shares with a prompt, and the prompt's own."""
        rows: list[tuple[int, int, float]] = []
        known, ends, count = self._features, self._ends, len(self._features)
        squares = 0.0
        for feature in features:
            row = bisect_left(known, feature)
            if row == count or known[row] != feature:
                squares += self._square_unknown
                continue
            start = ends[row - 1] if row else 0
            size = ends[row] - start
            square = weight_of(size, self.count) ** 2
            squares += square
            rows.append((size, start, square))
        rows.sort()
        products: dict[int, float] = {}
        room = POSTINGS_MAX
        for size, start, square in rows:
            room -= size
            if room < 0:
                break
            for place in self._postings[start : start + size]:
                products[place] = products.get(place, 0.0) + square
        return products, squares


def features_of(reading: Reading) -> list[int]:
    """Hash the words of a prompt and their pairs, each once; numbers count as one word."""
    words: list[str] = []
    is_spaceless = not reading.words.isascii() and SPACELESS.search(reading.words) is not None
    for word in reading.words.split():
        if is_spaceless and SPACELESS.search(word):
            words += [word[place : place + 2] for place in range(max(1, len(word) - 1))]
        else:
            words.append("0" if word.isdecimal() else word)
    encoded = [word.encode(errors="replace") for word in words]
    hashes = [crc32(word) for word in encoded]
    pairs = [crc32(second, first) for first, second in zip(hashes, encoded[1:], strict=False)]
    features = list(dict.fromkeys(hashes + pairs))
    return features if len(features) <= FEATURES_MAX else features[: FEATURES_MAX // 2] + features[-FEATURES_MAX // 2 :]


def weight_of(standing_in: int, count: int) -> float:
    """Weigh a feature by how many of the examples it stands in."""
    return math.log1p((count + 1) / (standing_in + 1))


def build_index(examples: Sequence[Example]) -> bytes:
    """Build the index of at most `EXAMPLES_MAX` examples, calibrated, as it is stored; takes seconds for so many."""
    assert len(examples) <= EXAMPLES_MAX
    features = [features_of(read_prompt(example.prompt)) for example in examples]
    tasks = tuple(sorted({example.task for example in examples}))
    postings: dict[int, list[int]] = {}
    for place, each in enumerate(features):
        for feature in each:
            postings.setdefault(feature, []).append(place)
    ordered = sorted(postings)
    ends, end = array("I"), 0
    for feature in ordered:
        end += len(postings[feature])
        ends.append(end)
    weights = {feature: weight_of(len(places), len(examples)) for feature, places in postings.items()}
    index = Index(
        version=VERSION,
        tasks=tasks,
        kin=tuple(_kin_of(task, examples) for task in tasks),
        task_of=array("H", [tasks.index(example.task) for example in examples]).tobytes(),
        norms=tuple(math.sqrt(sum([weights[feature] ** 2 for feature in each])) or 1.0 for each in features),
        features=array("I", ordered).tobytes(),
        ends=ends.tobytes(),
        postings=array("H", [place for feature in ordered for place in postings[feature]]).tobytes(),
        confidences=(0.0,),
    )
    bounds, confidences = _calibrated(Examples(index), features)
    return msgspec.msgpack.encode(msgspec.structs.replace(index, bounds=bounds, confidences=confidences))


def load_examples(stored: bytes) -> Examples | None:
    """Make a stored index ready; None for one that another version of the program built, or an empty one."""
    index = msgspec.msgpack.decode(stored, type=Index)
    return Examples(index) if index.version == VERSION and index.norms else None


def _kin_of(task: str, examples: Sequence[Example]) -> tuple[str, ...]:
    """Give what a good share of a task's prompts are without examples."""
    counts = Counter(example.kin for example in examples if example.task == task)
    least = KIN_SHARE_LEAST * counts.total()
    return tuple(sorted(kin for kin, count in counts.items() if kin and count >= least))


def _calibrated(examples: Examples, features: Sequence[Sequence[int]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Learn how often the nearest are right, by how near they are; nearer is never less sure."""
    step = max(1, len(features) // CALIBRATED_MAX)
    asked = [examples.nearness_without(place, features[place]) for place in range(0, len(features), step)]
    told = sorted(each for each in asked if each is not None)
    size = max(BIN_EXAMPLES_MIN, -(-len(told) // BINS_MAX))
    bins = [told[start : start + size] for start in range(0, len(told), size)]
    bounds = tuple(each[0][0] for each in bins[1:])
    # Where there is no example to ask, nearness itself is all that is known.
    edges = (NEAREST_SIMILARITY_LEAST, *bounds, 1.0)
    shares = [_share(each, (low + high) / 2) for each, low, high in zip(bins or [[]], edges, edges[1:], strict=False)]
    return bounds, tuple(round(share, 3) for share in _rising(shares))


def _share(told: Sequence[tuple[float, bool]], nearness: float) -> float:
    right = sum(is_right for _, is_right in told)
    return (right + PRIOR_EXAMPLES * nearness) / (len(told) + PRIOR_EXAMPLES)


def _rising(shares: Iterable[float]) -> list[float]:
    """Pool neighbours that fall until none does."""
    pools: list[tuple[float, int]] = []
    for share in shares:
        pools.append((share, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (first, first_count), (second, second_count) = pools[-2:]
            count = first_count + second_count
            pools[-2:] = [((first * first_count + second * second_count) / count, count)]
    return [share for share, count in pools for _ in range(count)]
