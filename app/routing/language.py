"""The language of a prompt: its script, and within a script shared by many the words and runs of letters.

Invariant: an answer is an ISO 639-1 code, whatever the text; where nothing is told it is the likeliest, unsurely.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final
from zlib import decompress

import msgspec

from app.routing.reading import Reading, read_prompt

ARTIFACT: Final = Path(__file__).with_name("artifacts") / "languages.gz"
GZIP_BITS: Final = 31  # zlib: a gzip header and the largest window
LANE_BITS: Final = 24  # of a sum: more than all words together can reach
WORDS_READ_MAX: Final = 60
WORD_CHARACTERS_MAX: Final = 20
WHOLE_WORD_CHARACTERS_MAX: Final = 6  # longer words say little that their runs do not
RUN_CHARACTERS: Final = 3
FIRST_NOT_LATIN: Final = "\u0370"
LETTERS_READ_MAX: Final = 400  # of other scripts than Latin
WORDS_KEPT_MAX: Final = 4_000
DENSE: Final = 3  # a letter of East Asia says as much as so many others
OWN_SHARE: Final = 0.3  # a script holds at least so much of the letters, or the text only quotes it
SCRIPT_CONFIDENCE: Final = 0.99

# First code points of scripts, in order, with their language; "" is a script that several share or none.
_SCRIPTS: Final = (
    (0x0000, ""), (0x0370, "el"), (0x0400, ""), (0x0530, "hy"), (0x0590, "he"), (0x0600, ""), (0x0780, ""),
    (0x0980, "bn"), (0x0A00, "pa"), (0x0A80, "gu"), (0x0B00, "or"), (0x0B80, "ta"), (0x0C00, "te"), (0x0C80, "kn"),
    (0x0D00, "ml"), (0x0D80, "si"), (0x0E00, "th"), (0x0E80, "lo"), (0x0F00, "bo"), (0x1000, "my"), (0x10A0, "ka"),
    (0x1100, "ko"), (0x1200, "am"), (0x13A0, ""), (0x1780, "km"), (0x1800, ""), (0x1F00, "el"), (0x2000, ""),
    (0x2E80, "zh"), (0x3040, "ja"), (0x3100, "zh"), (0x3130, "ko"), (0x3190, "zh"), (0xAC00, "ko"), (0xD7B0, ""),
    (0xF900, "zh"), (0xFB00, ""), (0x20000, "zh"), (0x323B0, ""),
)  # fmt: skip
_STARTS: Final = [start for start, _ in _SCRIPTS]
_OTHER_LETTERS: Final = re.compile("[\u0370-\u1fff\u2e80-\u2fff\u3005-\ufaff\U00020000-\U000323af]+")
_DENSE_LANGUAGES: Final = frozenset({"zh", "ja", "ko"})


class Language(msgspec.Struct, frozen=True):
    """A language and the chance that it is the right one."""

    code: str
    confidence: float
    is_by_script: bool


class Profiles(msgspec.Struct, frozen=True, kw_only=True):
    """What training wrote: how strongly a run of letters speaks for each language, a byte each."""

    languages: tuple[str, ...]
    runs: tuple[str, ...]
    strengths: bytes
    priors: tuple[int, ...]  # by which languages are likely before a word is read
    sharpness: float


class Identifier:
    """Profiles made ready. Its memory of words is bounded and changes no answer."""

    def __init__(self, profiles: Profiles) -> None:
        self.languages = profiles.languages
        self._sharpness = profiles.sharpness
        width = len(profiles.languages)
        self._runs = {
            run: _lanes_of(profiles.strengths[place * width : (place + 1) * width])
            for place, run in enumerate(profiles.runs)
        }
        self._prior = _lanes_of(profiles.priors)
        self._kept: dict[str, int] = {}

    def identify(self, reading: Reading) -> Language:
        """Tell a prompt's language."""
        if not reading.raw.isascii():
            of_script = _of_script(reading.raw)
            if of_script:
                return Language(of_script, SCRIPT_CONFIDENCE, True)
        strengths = self._strengths(_telling(reading))
        most = max(strengths)
        powers = [math.exp((each - most) * self._sharpness) for each in strengths]
        return Language(self.languages[strengths.index(most)], 1 / sum(powers), False)

    @property
    def words_kept(self) -> int:
        """How many words' runs are remembered."""
        return len(self._kept)

    def _strengths(self, words: Iterable[str]) -> list[int]:
        kept = self._kept
        if len(kept) > WORDS_KEPT_MAX:
            kept.clear()
        total = self._prior
        for word, _ in zip(words, range(WORDS_READ_MAX), strict=False):
            lanes = kept.get(word)
            if lanes is None:
                lanes = kept[word] = sum([self._runs.get(run, 0) for run in runs_of(word)])
            total += lanes
        mask = (1 << LANE_BITS) - 1
        return [total >> (LANE_BITS * place) & mask for place in range(len(self.languages))]


def runs_of(word: str) -> list[str]:
    """Cut a word into what profiles know: itself when it is short, and its runs of letters."""
    if not word.isalpha() and not any(letter.isalpha() for letter in word):
        return []
    edged = f"<{word[:WORD_CHARACTERS_MAX]}>"
    runs = [edged[start : start + RUN_CHARACTERS] for start in range(len(edged) - RUN_CHARACTERS + 1)]
    return [edged, *runs] if RUN_CHARACTERS - 2 < len(word) <= WHOLE_WORD_CHARACTERS_MAX else runs


def language_of(text: str) -> Language:
    """Tell a text's language by the profiles that are shipped, which are read when they are first asked for."""
    return _shipped().identify(read_prompt(text))


def load_identifier(path: Path = ARTIFACT) -> Identifier:
    """Read the profiles that are shipped."""
    return Identifier(msgspec.msgpack.decode(decompress(path.read_bytes(), GZIP_BITS), type=Profiles))


@cache
def _shipped() -> Identifier:
    return load_identifier()


def _telling(reading: Reading) -> Collection[str]:
    """Leave out Latin words where another script is written: they are code, logs and names."""
    words = reading.distinct
    if reading.raw.isascii():
        return words
    others = [word for word in words if max(word) >= FIRST_NOT_LATIN]
    return others if len(others) > OWN_SHARE * len(words) else words


def _of_script(raw: str) -> str:
    """Give the language whose script is its own and holds most letters; nothing where a shared script does."""
    counts: dict[str, int] = {}
    read = 0
    for run in _OTHER_LETTERS.findall(raw):
        for letter in run[: LETTERS_READ_MAX - read]:
            language = _SCRIPTS[bisect_right(_STARTS, ord(letter)) - 1][1]
            counts[language] = counts.get(language, 0) + 1
        read += len(run)
        if read >= LETTERS_READ_MAX:
            break
    if "ja" in counts and "zh" in counts:
        counts["ja"] += counts.pop("zh")  # Japanese writes with both, Chinese with one
    counts.pop("", None)
    if not counts:
        return ""
    first = max(counts, key=counts.__getitem__)
    others = sum(map(str.isalpha, raw)) - counts[first]
    weight = counts[first] * (DENSE if first in _DENSE_LANGUAGES else 1)
    return first if weight > OWN_SHARE * (weight + others) else ""


def _lanes_of(strengths: Sequence[int]) -> int:
    return sum(strength << (LANE_BITS * place) for place, strength in enumerate(strengths))
