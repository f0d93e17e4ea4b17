"""Profiles of languages, counted from the examples and from seeds. Called by `train`.

Languages that the examples lack have a few hundred of their commonest words in `seeds.json`, written by hand.
Scripts with one language need no profile. Invariant: the same texts give the same profiles.
"""

import gzip
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from app.routing.language import ARTIFACT, Identifier, Profiles, runs_of
from app.routing.reading import read_prompt
from app.training.examples import Example

SEEDS: Final = Path(__file__).with_name("seeds.json")
OF_SCRIPT: Final = frozenset({"zh", "ja", "ko", "th"})  # told without a profile
RUNS_COUNTED_MAX: Final = 60_000  # of one language, so that English does not drown the others
SEED_TIMES: Final = 3  # so that a seed counts more like a text
RUN_COUNT_MIN: Final = 3
RUNS_MAX: Final = 9_000
SMOOTHING: Final = 0.5
SCALE: Final = 12  # of a byte of strength to a unit of logarithm
BYTE_MAX: Final = 255
PRIOR_OF_EXAMPLES: Final = 36  # a language that people wrote prompts in goes before one that is seeded
PRIOR_OF_ENGLISH: Final = 48
SHARPNESSES: Final = tuple(0.002 * 1.25**step for step in range(24))
HELD_OUT_STEP: Final = 5  # every so many examples calibrates


def iso_639_1(language: str) -> str:
    """Cut a script or region off: `zh-Hant` is `zh`."""
    return language.partition("-")[0]


def learn_languages(examples: Sequence[Example]) -> Profiles:
    """Count profiles, and fit on examples that were held out how sure they may be."""
    rest = [example for place, example in enumerate(examples) if place % HELD_OUT_STEP]
    profiles = _profiles(rest, sharpness=1.0)
    sharpness = _sharpest(Identifier(profiles), profiles, examples[::HELD_OUT_STEP])
    return msgspec.structs.replace(_profiles(examples, sharpness=1.0), sharpness=sharpness)


def write_languages(profiles: Profiles) -> int:
    """Write the artifact and give its size in bytes."""
    content = gzip.compress(msgspec.msgpack.encode(profiles), compresslevel=9, mtime=0)
    ARTIFACT.write_bytes(content)
    return len(content)


def _profiles(examples: Sequence[Example], *, sharpness: float) -> Profiles:
    counts = _counts(examples)
    languages = tuple(sorted(counts))
    sums = {language: sum(counts[language].values()) for language in languages}
    whole = Counter[str]()
    for counted in counts.values():
        whole.update(counted)
    ranked = sorted((run for run in whole if whole[run] >= RUN_COUNT_MIN), key=lambda run: (-whole[run], run))
    runs = tuple(sorted(ranked[:RUNS_MAX]))
    strengths = bytearray()
    for run in runs:
        logarithms = [
            math.log((counts[language][run] + SMOOTHING) / (sums[language] + SMOOTHING * len(runs)))
            for language in languages
        ]
        least = min(logarithms)
        strengths += bytes(min(BYTE_MAX, round(SCALE * (each - least))) for each in logarithms)
    written = {iso_639_1(example.language) for example in examples}
    priors = tuple(PRIOR_OF_ENGLISH if each == "en" else PRIOR_OF_EXAMPLES * (each in written) for each in languages)
    return Profiles(languages=languages, runs=runs, strengths=bytes(strengths), priors=priors, sharpness=sharpness)


def _counts(examples: Sequence[Example]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for example in examples:
        language = iso_639_1(example.language)
        counted = counts.setdefault(language, Counter())
        if language not in OF_SCRIPT and counted.total() < RUNS_COUNTED_MAX:
            for word in read_prompt(example.text).distinct:
                counted.update(runs_of(word))
    for language, text in msgspec.json.decode(SEEDS.read_bytes(), type=dict[str, str]).items():
        counted = counts.setdefault(language, Counter())
        for word in {*read_prompt(text[:600]).distinct, *read_prompt(text[600:]).distinct}:
            counted.update(runs_of(word) * SEED_TIMES)
    return {language: counted for language, counted in counts.items() if counted}


def _sharpest(identifier: Identifier, profiles: Profiles, held_out: Sequence[Example]) -> float:
    """Find the sharpness whose confidence comes nearest to being right as often as it says."""

    def surprise(sharpness: float) -> float:
        sharp = Identifier(msgspec.structs.replace(profiles, sharpness=sharpness))
        total = 0.0
        for example in held_out:
            said = sharp.identify(read_prompt(example.text))
            chance = said.confidence if said.code == iso_639_1(example.language) else 1 - said.confidence
            total -= math.log(max(chance, 1e-4))
        return total

    return min(SHARPNESSES, key=surprise)
