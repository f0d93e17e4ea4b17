"""The learned classifier: hashed words and flags of structure vote linearly for tasks and domains.

Called by `classify` for every request. Its weights are whole numbers, so that a prompt's sums are exact and the
same on every machine. Rows of weights are summed as lanes of one long integer, which costs a tenth of a loop.
Invariant: a guess names one of the tasks and domains of the weights, whatever the text.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from zlib import decompress

import msgspec

from app.routing.features import PLACES, WHOLE, Prompt, features_of, features_of_word
from app.routing.reading import Reading
from app.routing.scoring import Heard
from app.routing.structure import STRUCTURE

ARTIFACT: Final = Path(__file__).with_name("artifacts") / "classifier.gz"
LANES: Final = 32  # one a task or domain, and one to spare
LANE_BITS: Final = 32
PARTS: Final = 256  # the smallest step of a sum is this part of a step of the table
ZERO: Final = 128  # what a weight of nothing is as a byte
WORDS_KEPT_MAX: Final = 6_000  # with their sums: about 2 MB
SHARE_LEAST: Final = 1e-4  # of a task, so that its logarithm is bounded
VOTE_MOST: Final = 4.0  # more weight says no more
GZIP_BITS: Final = 31  # zlib: a gzip header and the largest window

_ROW_BYTES: Final = 2 * LANES  # once it is read: two a lane, so that 256 rows can be added before they are parted
_PAIR_LANES: Final = int.from_bytes(b"\xff\xff\x00\x00" * (LANES // 2), "little")
_HALF_BITS: Final = LANES * LANE_BITS // 2
_ONES: Final = int.from_bytes(b"\x01\x00\x00\x00" * LANES, "little")
_MIDDLE: Final = _ONES << (LANE_BITS - 1)
_ORDER: Final = tuple(lane % 2 * LANES // 2 + lane // 2 for lane in range(LANES))  # a sum holds the even ones first


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What training wrote. Rows of the table have a byte a lane, those of the flags four, little-endian."""

    version: str
    tasks: tuple[str, ...]
    domains: tuple[str, ...]
    structure: tuple[str, ...]  # the flags that it was trained with
    table: bytes
    flags: bytes
    step: float  # of the table
    sharpness: dict[str, float]  # by which logits are multiplied: "task", "domain"
    confidence: tuple[float, ...]  # of the measures of `_measures`, and what is added


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt most likely is, with calibrated confidence."""

    task: str
    task_confidence: float
    domain: str
    domain_confidence: float


class Classifier:
    """Weights made ready. Its memory of words is bounded and changes no guess."""

    def __init__(self, weights: Weights) -> None:
        if weights.structure != STRUCTURE:
            raise ValueError("classifier.gz was trained with other flags than features.py has; run `make train`.")
        self.version = weights.version
        self._tasks, self._domains = weights.tasks, weights.domains
        self._table = _widened(weights.table)
        self._mask = len(weights.table) // LANES - 1
        flag_bytes = LANES * LANE_BITS // 8
        self._flags = tuple(
            _lanes_of(memoryview(weights.flags)[start : start + flag_bytes].cast("i").tolist())
            for start in range(0, len(weights.flags), flag_bytes)
        )
        self._sharp_task = weights.sharpness["task"] * weights.step / PARTS
        self._sharp_domain = weights.sharpness["domain"] * weights.step / PARTS
        self._confidence = weights.confidence
        self._kept: dict[str, int] = {}  # sums by word

    def guess(self, reading: Reading, heard: Heard) -> Guess:
        """Tell the task and the domain of a prompt that the rules have heard already."""
        prompt = features_of(reading, heard)
        sums = self.sums(prompt)
        tasks = _shares(sums[: len(self._tasks)], self._sharp_task)
        domains = _shares(sums[len(self._tasks) : len(self._tasks) + len(self._domains)], self._sharp_domain)
        first = max(range(len(tasks)), key=tasks.__getitem__)
        domain = max(range(len(domains)), key=domains.__getitem__)
        measures = measures_of(tasks, self._tasks[first], reading, heard, has_concepts=prompt.has_concepts)
        *slopes, constant = self._confidence
        logit = constant + sum(map(float.__mul__, slopes, measures))
        return Guess(
            task=self._tasks[first],
            task_confidence=_logistic(logit),
            domain=self._domains[domain],
            domain_confidence=domains[domain],
        )

    @property
    def words_kept(self) -> int:
        """How many words' sums are remembered."""
        return len(self._kept)

    def sum_of(self, hashes: Iterable[int]) -> list[int]:
        """Sum the rows of up to 256 features, lane by lane."""
        return _lanes_in(self._sum_of(hashes))

    def sums(self, prompt: Prompt) -> list[int]:
        """Sum every feature's row, lane by lane, in steps of a 256th of the table's."""
        flags = self._flags
        total = sum(map(flags.__getitem__, prompt.flags)) + sum(
            [flags[number] * count for number, count in prompt.counts]
        )
        if prompt.words:
            total += self._sum_of_words(prompt.words) * share_of(WHOLE, len(prompt.words))
        for place, hashes in prompt.phrases:
            if hashes:
                total += self._sum_of(hashes) * share_of(place, len(hashes))
        return _lanes_in(total)

    def _sum_of_words(self, words: Sequence[str]) -> int:
        kept = self._kept
        if len(kept) > WORDS_KEPT_MAX:
            kept.clear()
        total = 0
        for word in words:
            lanes = kept.get(word)
            if lanes is None:
                lanes = kept[word] = self._sum_of(features_of_word(word))
            total += lanes
        return total

    def _sum_of(self, hashes: Iterable[int]) -> int:
        """Sum up to 256 rows, whose weights are bytes above zero; lanes are widened at the end."""
        table, mask = self._table, self._mask
        total = count = 0
        for each in hashes:
            start = (each & mask) * _ROW_BYTES
            total += int.from_bytes(table[start : start + _ROW_BYTES], "little")
            count += 1
        lanes = total & _PAIR_LANES | (total >> 16 & _PAIR_LANES) << _HALF_BITS
        return lanes - _ONES * (count * ZERO)


def share_of(place: int, count: int) -> int:
    """Give what each of `count` features of a place weighs, in 256ths: together they weigh the root of their number."""
    return round(PARTS * PLACES[place] / math.sqrt(count))


def measures_of(
    shares: Sequence[float], first: str, reading: Reading, heard: Heard, *, has_concepts: bool
) -> tuple[float, ...]:
    """Measure what tells a sure guess: its share, its lead, what rules and concepts say, how much there is to read."""
    best, second = sorted(shares, reverse=True)[:2]
    weights: dict[str, float] = {}
    for vote in heard.votes:
        weights[vote.task] = weights.get(vote.task, 0.0) + vote.weight
    agreed = weights.get(first, 0.0)
    others = max([weight for task, weight in weights.items() if task != first], default=0.0)
    return (
        math.log((best + SHARE_LEAST) / (1 - best + SHARE_LEAST)),
        math.log((best + SHARE_LEAST) / (second + SHARE_LEAST)),
        min(agreed, VOTE_MOST),
        min(others, VOTE_MOST),
        float(not weights),
        float(not has_concepts),
        math.log1p(reading.length),
    )


def load_classifier(path: Path = ARTIFACT) -> Classifier:
    """Read the weights that are shipped."""
    return Classifier(msgspec.msgpack.decode(decompress(path.read_bytes(), GZIP_BITS), type=Weights))


def _widened(table: bytes) -> bytes:
    wide = bytearray(2 * len(table))
    wide[0::2] = table
    return bytes(wide)


def _lanes_in(total: int) -> list[int]:
    lanes = memoryview((total + _MIDDLE).to_bytes(LANES * LANE_BITS // 8, "little")).cast("I").tolist()
    return [lanes[place] - (1 << (LANE_BITS - 1)) for place in _ORDER]


def _lanes_of(values: Sequence[int]) -> int:
    return sum(value << (LANE_BITS * _ORDER[lane]) for lane, value in enumerate(values))


def _shares(sums: Sequence[int], sharpness: float) -> list[float]:
    most = max(sums)
    powers = [math.exp((each - most) * sharpness) for each in sums]
    whole = sum(powers)
    return [each / whole for each in powers]


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
