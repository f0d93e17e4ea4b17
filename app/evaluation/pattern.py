"""Regular expressions without backtracking: a pattern is run as a set of places at once (Thompson, 1968).

Graders call it on answers that nobody can foresee. Invariant: a match takes at most the pattern's steps times the
text's characters, whatever either holds; what the syntax has not is refused by name when the pattern is read.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

PATTERN_CHARACTERS_MAX: Final = 500
STEPS_MAX: Final = 2_000
REPEATS_MAX: Final = 100

Test = Callable[[str], bool]
_CLASSES: Final[dict[str, Test]] = {
    "d": str.isdigit,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


class Step(NamedTuple):
    """One step: a test of a character, an anchor, or ways that go on without one. Ways are relative."""

    test: Test | None = None
    anchor: str = ""
    ways: tuple[int, ...] = ()


Steps = list[Step]


class Pattern:
    """A compiled pattern: `|`, `( )`, `[ ]`, `.`, `\\d \\w \\s \\D \\W \\S \\b`, `* + ? {m,n}`, `^ $`, `(?i)`."""

    def __init__(self, text: str) -> None:
        """Compile. Raises ValueError, which says what is wrong and where."""
        if len(text) > PATTERN_CHARACTERS_MAX:
            raise ValueError(f"the pattern has {len(text)} characters; {PATTERN_CHARACTERS_MAX} are allowed")
        self._folds = text.startswith("(?i)")
        self._steps = _Reader(text.removeprefix("(?i)")).read()

    def is_in(self, text: str) -> bool:
        """Tell whether the pattern matches somewhere in a text."""
        shown = text.casefold() if self._folds else text
        places: set[int] = set()
        for at in range(len(shown) + 1):
            places = self._closed([*places, 0], shown, at)
            if len(self._steps) in places:
                return True
            if at < len(shown):
                places = {place + 1 for place in places if self._passes(place, shown[at])}
        return False

    def _passes(self, place: int, character: str) -> bool:
        test = self._steps[place].test if place < len(self._steps) else None
        return test is not None and (test(character) or (self._folds and test(character.upper())))

    def _closed(self, places: Iterable[int], text: str, at: int) -> set[int]:
        """Follow the ways that take no character."""
        found: set[int] = set()
        waiting = list(places)
        while waiting:
            place = waiting.pop()
            if place in found:
                continue
            found.add(place)
            if place == len(self._steps):
                continue
            step = self._steps[place]
            waiting += [place + way for way in step.ways]
            if step.anchor and _holds(step.anchor, text, at):
                waiting.append(place + 1)
        return found


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> Steps:
        steps = self._choice()
        if self._at < len(self._text):
            raise ValueError(f"a ')' at {self._at + 1} closes nothing")
        return steps

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._peek()
        if not character:
            raise ValueError("the pattern ends too early")
        self._at += 1
        return character

    def _choice(self) -> Steps:
        steps = self._sequence()
        while self._peek() == "|":
            self._take()
            other = self._sequence()
            steps = [Step(ways=(1, len(steps) + 2)), *steps, Step(ways=(len(other) + 1,)), *other]
        return steps

    def _sequence(self) -> Steps:
        steps: Steps = []
        while self._peek() not in {"", "|", ")"}:
            steps += self._repeated(self._atom())
            if len(steps) > STEPS_MAX:
                raise ValueError(f"the pattern needs more than {STEPS_MAX:,} steps; repeat less")
        return steps

    def _atom(self) -> Steps:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return [Step(test=self._set())]
            case ".":
                return [Step(test=lambda c: c != "\n")]
            case "^" | "$":
                return [Step(anchor=character)]
            case "\\":
                return self._escape()
            case "*" | "+" | "?" | "{":
                raise ValueError(f"'{character}' at {self._at} repeats nothing")
            case _:
                return [Step(test=_is(character))]

    def _group(self) -> Steps:
        if self._peek() == "?":
            self._take()
            if self._take() != ":":
                raise ValueError(f"'(?…' at {self._at - 2}: only (?:…) is known, and (?i) at the start")
        steps = self._choice()
        if self._take() != ")":
            raise ValueError("a '(' is not closed")
        return steps

    def _escape(self) -> Steps:
        character = self._take()
        if character == "b":
            return [Step(anchor="b")]
        return [Step(test=self._escaped(character))]

    def _escaped(self, character: str) -> Test:
        if (of_class := _CLASSES.get(character.lower())) is not None:
            return of_class if character.islower() else lambda c: not of_class(c)
        if character.isalnum() and character not in _ESCAPES:
            raise ValueError(f"'\\{character}' at {self._at} is not known")
        return _is(_ESCAPES.get(character, character))

    def _set(self) -> Test:
        is_inverted = self._peek() == "^"
        if is_inverted:
            self._take()
        tests: list[Test] = []
        while (character := self._take()) != "]" or not tests:
            if character == "\\":
                tests.append(self._escaped(self._take()))
            elif self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"", "]"}:
                self._take()
                tests.append(_between(character, self._take()))
            else:
                tests.append(_is(character))
        return lambda c: any(test(c) for test in tests) is not is_inverted

    def _repeated(self, steps: Steps) -> Steps:
        match self._peek():
            case "*":
                repeated = _any_number(steps)
            case "+":
                repeated = [*steps, *_any_number(steps)]
            case "?":
                repeated = _optional(steps)
            case "{":
                return self._counted(steps)
            case _:
                return steps
        self._take()
        return repeated

    def _counted(self, steps: Steps) -> Steps:
        begin = self._at
        end = self._text.find("}", begin)
        least, comma, most = self._text[begin + 1 : end].partition(",")
        if end < 0 or not least.isdecimal() or not (most.isdecimal() or most == ""):
            raise ValueError(f"'{{' at {begin + 1} needs one number or two, such as {{2,5}}")
        self._at = end + 1
        fewest = int(least)
        highest = int(most) if most else fewest
        if highest > REPEATS_MAX or highest < fewest:
            raise ValueError(f"'{{' at {begin + 1} repeats from {fewest} to {highest}; {REPEATS_MAX} is the most")
        if comma and not most:
            return [*(steps * fewest), *_any_number(steps)]
        rest: Steps = []
        for _ in range(highest - fewest):
            rest = _optional([*steps, *rest])
        return [*(steps * fewest), *rest]


def _any_number(steps: Steps) -> Steps:
    return [Step(ways=(1, len(steps) + 2)), *steps, Step(ways=(-len(steps) - 1,))]


def _optional(steps: Steps) -> Steps:
    return [Step(ways=(1, len(steps) + 1)), *steps]


def _is(wanted: str) -> Test:
    return lambda c: c == wanted


def _between(low: str, high: str) -> Test:
    if low > high:
        raise ValueError(f"'{low}-{high}' holds nothing; write '{high}-{low}'")
    return lambda c: low <= c <= high


def _holds(anchor: str, text: str, at: int) -> bool:
    if anchor == "^":
        return at == 0
    if anchor == "$":
        return at == len(text) or text[at:] == "\n"
    is_word = _CLASSES["w"]
    before, after = at > 0 and is_word(text[at - 1]), at < len(text) and is_word(text[at])
    return before is not after
