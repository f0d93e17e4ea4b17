"""What identifies a person and can be checked: e-mail, telephone, cards, accounts, national identities, addresses.

Called by `sensitivity` with a text and the groups of words that stand in it. Invariant: only kinds and counts come
out, never what was found; work is linear in the text, also for text made to be slow.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from app.routing import check_digits as check
from app.routing.prose import Prose
from app.routing.signal_words import words_of

GROUPS_MAX: Final = 6  # of digits that one identifier is written in
IBAN_CHARACTERS_MAX: Final = 34
IBAN_BEGINNING_CHARACTERS: Final = 4
TEXT_DIGITS_MIN: Final = 7
NUMBER_CHARACTERS_MIN: Final = 7  # an address of the internet: 8.8.8.8
PHONE_DIGITS_MIN: Final = 7
PHONE_DIGITS_MAX: Final = 15  # ITU-T E.164
VERSION_FIRST_MAX: Final = 22  # what begins lower is read as the number of a version

_NUMBERS: Final = re.compile(r"[0-9](?:[ .\-/()]{0,2}[0-9]){3,}")
_NUMBERS_OF_ANY_SCRIPT: Final = re.compile(r"\d(?:[ .\-/()\u00a0\u2010-\u2013]{0,2}\d){3,}")  # takes twice as long
_OTHER_DIGIT: Final = re.compile(r"[^\D0-9]")
_GROUPS: Final = re.compile(r"\d+")
_DOMAIN: Final = re.compile(r"(?:[^\W_][\w\-]{0,62}\.){1,4}[^\W\d_]{2,24}")
# All begin with a digit: what begins with any letter is tried at every one.
_DATE: Final = re.compile(
    r"(?:\d{1,2}[./\- ]\d{1,2}[./\- ](?:19|20)?\d\d"
    r"|(?:19|20)\d\d(?:[./\-]|\s?[年년]\s?)\d{1,2}(?:[./\-]|\s?[月월]\s?)\d{1,2}"
    r"|\d{1,2}(?:st|nd|rd|th|er|º|\.)?\s(?:of\s|de\s)?[^\W\d_]{3,12}\.?,?\s(?:de\s)?(?:19|20)\d\d"
    r"|\d{1,2}(?:st|nd|rd|th)?,?\s(?:19|20)\d\d)(?!\d)"
)
_NUMBER_AND_STREET: Final = re.compile(
    r"\d{1,5}[a-z]?,?\s(?:(?:rue|avenue|boulevard|allée|impasse|chemin|place)\s"
    r"|(?:[^\W\d_][\w'.\-]{0,30}\s){1,4}"
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|way|place|square)\b)"
)
_STREETS_AFTER_NUMBER: Final = frozenset(words_of("street_after_number"))
_STREETS_BEFORE_NUMBER: Final = frozenset(words_of("street_before_number"))
_NAME_AND_NUMBER: Final = re.compile(
    r"\.?\s(?:[^\W\d_][\w'.\-]{0,30}[ ,]{1,2}){1,5}(?:nº|n°|no\.?|д\.|дом|número)?\s?\d{1,4}"
)
_STREET_ENDINGS: Final = frozenset({"raße", "asse", "raat", "atan", "okak", "kağı", "desi"})
_NUMBER_AFTER: Final = re.compile(r"\s(?:no:? ?)?\d{1,4}")
_MARKS_AFTER_NUMBER: Final = ("丁目", "番地", "번지", "번길", "号", "號")
_NUMBER_BEFORE: Final = re.compile(r"[0-9]{1,4}(?:丁目|番地|번지|번길|[号號])")
_ROADS: Final = frozenset("路街道巷弄")
_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT, IBAN Registry, release 99 of 2024-12)."""
_IBAN_BEGINNING: Final = re.compile(r"(?:" + "|".join(_IBAN_LENGTHS) + r")\d\d", re.IGNORECASE)
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?:[ \-]?[A-Z0-9]){11,30}", re.ASCII | re.IGNORECASE)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Digits that stand together, as they are written."""

    groups: tuple[str, ...]
    marks: str  # what stands between them
    before: str  # the character before the first


class NumberKind(msgspec.Struct, frozen=True, kw_only=True):
    """A row of what digits may be. Without a layout of its own it needs a cue or a check that few numbers pass."""

    kind: str
    digits: tuple[int, ...]
    is_valid: Callable[[str], bool]
    layouts: tuple[tuple[int, ...], ...] = ()  # lengths of groups that tell it without a cue
    is_sure: bool = False  # fewer than one in a hundred random numbers pass
    stands_in_lists: bool = False  # its layout tells it within a longer row of numbers too
    cue: str = "identity"


def is_card(digits: str) -> bool:
    """Tell a payment card: an issuer's range, and Luhn."""
    ranges = (
        digits[0] == "4",
        "51" <= digits[:2] <= "55",
        "2221" <= digits[:4] <= "2720",
        digits[:2] in ("34", "35", "36", "37", "38", "62", "65"),
        digits[:4] == "6011",
        "644" <= digits[:3] <= "649",
        "300" <= digits[:3] <= "305",
    )
    return any(ranges) and check.is_luhn(digits)


def is_aadhaar(digits: str) -> bool:
    """Tell an Aadhaar number: it begins neither with 0 nor with 1."""
    return digits[0] > "1" and check.is_verhoeff(digits)


_CARD_LAYOUTS: Final = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (13,), (14,), (15,), (16,), (19,))
NUMBER_KINDS: Final = (
    NumberKind(
        kind="payment card",
        digits=(13, 14, 15, 16, 19),
        is_valid=is_card,
        layouts=_CARD_LAYOUTS,
        stands_in_lists=True,
    ),
    NumberKind(kind="US social security number", digits=(9,), is_valid=check.is_us_ssn, layouts=((3, 2, 4),)),
    NumberKind(kind="UK health service number", digits=(10,), is_valid=check.is_nhs_number, layouts=((3, 3, 4),)),
    NumberKind(kind="German tax id", digits=(11,), is_valid=check.is_iso_7064_mod_11_10, layouts=((2, 3, 3, 3),)),
    NumberKind(kind="French social security number", digits=(15,), is_valid=check.is_fr_nir, is_sure=True),
    NumberKind(kind="Dutch citizen number", digits=(9,), is_valid=check.is_nl_bsn),
    NumberKind(kind="Polish identity number", digits=(11,), is_valid=check.is_pl_pesel, is_sure=True),
    NumberKind(kind="Brazilian tax number", digits=(11,), is_valid=check.is_br_cpf, is_sure=True),
    NumberKind(kind="Turkish identity number", digits=(11,), is_valid=check.is_tr_identity, is_sure=True),
    NumberKind(kind="Russian pension insurance number", digits=(11,), is_valid=check.is_ru_snils, is_sure=True),
    NumberKind(kind="Indian Aadhaar number", digits=(12,), is_valid=is_aadhaar, layouts=((4, 4, 4),)),
    NumberKind(kind="Korean resident number", digits=(13,), is_valid=check.is_kr_identity, layouts=((6, 7),)),
    NumberKind(
        kind="Japanese individual number",
        digits=(12,),
        is_valid=check.is_jp_individual_number,
        layouts=((4, 4, 4),),
    ),
    NumberKind(
        kind="Swedish identity number", digits=(10, 12), is_valid=check.is_se_identity, layouts=((6, 4), (8, 4))
    ),
    NumberKind(kind="Swiss insurance number", digits=(13,), is_valid=check.is_ch_ahv, is_sure=True),
    NumberKind(kind="Belgian national number", digits=(11,), is_valid=check.is_be_national, is_sure=True),
    NumberKind(kind="Portuguese tax number", digits=(9,), is_valid=check.is_pt_nif),
    NumberKind(kind="Canadian social insurance number", digits=(9,), is_valid=check.is_luhn, layouts=((3, 3, 3),)),
    NumberKind(kind="Australian tax file number", digits=(9,), is_valid=check.is_au_tfn, layouts=((3, 3, 3),)),
    NumberKind(kind="Ukrainian identity number", digits=(10,), is_valid=check.is_ua_identity),
    NumberKind(kind="Israeli identity number", digits=(9,), is_valid=check.is_luhn),
    NumberKind(kind="South African identity number", digits=(13,), is_valid=check.is_za_identity, is_sure=True),
    NumberKind(kind="Iranian national number", digits=(10,), is_valid=check.is_ir_national),
)  # fmt: skip
"""Rows are tried in order; the first that holds names the number."""


class TextKind(msgspec.Struct, frozen=True, kw_only=True):
    """A row of what one word of letters and digits may be."""

    kind: str
    shape: re.Pattern[str]
    is_valid: Callable[[str], bool]
    needs_cue: bool = False


def _any(_: str) -> bool:
    return True


TEXT_KINDS: Final = (
    TextKind(kind="Spanish identity number", shape=re.compile(r"(?:\d{8}|[xyz]\d{7})[a-z]"), is_valid=check.is_es_dni),
    TextKind(
        kind="Italian tax code",
        shape=re.compile(r"[a-z]{6}\d{2}[a-ehlmprst]\d{2}[a-z]\d{3}[a-z]"),
        is_valid=check.is_it_codice_fiscale,
    ),
    TextKind(kind="Chinese identity number", shape=re.compile(r"\d{17}[\dx]"), is_valid=check.is_cn_identity),
    TextKind(
        kind="UK national insurance number",
        shape=re.compile(r"(?!bg|gb|nk|kn|tn|nt|zz)[a-ceghj-prstw-z][a-ceghj-nprstw-z]\d{6}[a-d]"),
        is_valid=_any,
    ),
    TextKind(kind="Indian tax number", shape=re.compile(r"[a-z]{3}[abcfghljpt][a-z]\d{4}[a-z]"), is_valid=_any),
    TextKind(
        kind="passport or licence number", shape=re.compile(r"[a-z]{1,2}\d{6,8}|\d{7,9}[a-z]?"), is_valid=_any,
        needs_cue=True,
    ),
)  # fmt: skip


def identifiers_in(prose: Prose, groups: Mapping[str, int]) -> Counter[str]:
    """Count what identifies a person, by kind."""
    found: Counter[str] = Counter()
    text = prose.text
    if "@" in text and (count := sum(1 for _ in _emails(text))):
        found["e-mail address"] += count
    if not prose.odd_words:
        return found
    for written in _numbers(text, is_ascii=_OTHER_DIGIT.search(" ".join(prose.odd_words)) is None):
        found.update(_kinds_of(written, groups))
    found.update(_texts(prose, groups))
    if "birth" in groups and any(_DATE.match(text, digits.start()) for digits in _GROUPS.finditer(text)):
        found["date of birth"] += 1
    if count := _streets(prose, groups):
        found["street address"] += count
    return found


def _emails(text: str) -> Iterator[int]:
    place = text.find("@")
    while place >= 0:
        if text[place - 1 : place].isalnum() and _DOMAIN.match(text, place + 1):
            yield place
        place = text.find("@", place + 1)


def _numbers(text: str, *, is_ascii: bool) -> Iterator[Written]:
    for match in (_NUMBERS if is_ascii else _NUMBERS_OF_ANY_SCRIPT).finditer(text):
        start, end = match.span()
        if end - start < NUMBER_CHARACTERS_MIN:
            continue
        written = match[0]
        groups = tuple(_GROUPS.findall(written))
        yield Written(groups=groups, marks=_GROUPS.sub("", written), before=text[start - 1 : start])


def _kinds_of(written: Written, groups: Mapping[str, int]) -> Sequence[str]:
    """Name what a run of digits holds: itself first, then each few of its groups."""
    if kind := _kind_of(written, groups):
        return (kind,)
    parts = written.groups
    lengths = [len(part) for part in parts]
    found: list[str] = []
    start = 0 if len(parts) > 1 else len(parts)
    while start < len(parts):
        total, end = 0, start
        while end < min(len(parts), start + GROUPS_MAX) and total < _DIGITS_MAX:
            total += lengths[end]
            end += 1
            if total in _KINDS_BY_DIGITS and (kind := _number_kind(parts[start:end], groups, is_whole=False)):
                found.append(kind)
                start = end - 1
                break
        start += 1
    return found


def _kind_of(written: Written, groups: Mapping[str, int]) -> str | None:
    if len(written.groups) == 4 and written.marks == "..." and _is_public_address(written.groups):
        return "IP address"
    # A telephone number passes many a check by chance, and an identity rarely looks like one.
    if "identity" not in groups and _is_phone(written, groups):
        return "telephone number"
    kind = _number_kind(written.groups, groups)
    return kind or ("telephone number" if _is_phone(written, groups) else None)


def _number_kind(parts: Sequence[str], groups: Mapping[str, int], *, is_whole: bool = True) -> str | None:
    """Name what groups of digits are together; they may be some of a longer row."""
    layout = tuple(map(len, parts))
    digits = ""
    for row in _KINDS_BY_DIGITS.get(sum(layout), ()):
        is_laid_out = layout in row.layouts and (is_whole or row.stands_in_lists)
        if row.is_sure or is_laid_out or row.cue in groups:
            digits = digits or str_of("".join(parts))
            if row.is_valid(digits):
                return row.kind
    return None


def _is_phone(written: Written, groups: Mapping[str, int]) -> bool:
    """Tell a telephone number: an international one, a layout of North America, a leading 0, or a cue beside it."""
    count = sum(map(len, written.groups))
    if not PHONE_DIGITS_MIN <= count <= PHONE_DIGITS_MAX:
        return False
    first = written.groups[0]
    if written.before == "+" or first.startswith("00"):
        return True
    layout = tuple(map(len, written.groups))
    if layout in ((3, 3, 4), (1, 3, 3, 4)) and "." not in written.marks and "/" not in written.marks:
        return True
    if first.startswith("0") and count in (10, 11) and "." not in written.marks[:1]:
        return True
    return "phone" in groups and "/" not in written.marks


def _is_public_address(groups: Sequence[str]) -> bool:
    """Tell an IPv4 address that can belong to somebody: not private, local, shared or of documentation (RFC 6890)."""
    if any(len(group) > 3 or int(group) > 255 for group in groups):
        return False
    first, second = int(groups[0]), int(groups[1])
    private = (
        first in (0, 10, 127),
        first >= 224,
        (first, second) in ((192, 168), (169, 254), (192, 0), (198, 51), (203, 0)),
        first == 172 and 16 <= second < 32,
        first == 100 and 64 <= second < 128,
    )
    return not any(private) and first > VERSION_FIRST_MAX


def _texts(prose: Prose, groups: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    may_hold_iban = False
    for word in prose.odd_words:
        if len(word) < IBAN_BEGINNING_CHARACTERS or (word.isdecimal() and len(word) < TEXT_DIGITS_MIN):
            continue
        may_hold_iban = may_hold_iban or _IBAN_BEGINNING.match(word) is not None
        for row in TEXT_KINDS:
            if row.shape.fullmatch(word) and ("identity" in groups or not row.needs_cue) and row.is_valid(word):
                found[row.kind] += 1
                break
    if may_hold_iban and (count := sum(map(_holds_iban, _IBAN.findall(prose.text)))):
        found["IBAN"] += count
    return found


def _holds_iban(written: str) -> bool:
    text = written.replace(" ", "").replace("-", "").upper()
    length = _IBAN_LENGTHS.get(text[:2], IBAN_CHARACTERS_MAX + 1)
    return len(text) >= length and check.is_iban(text[:length])


def _streets(prose: Prose, groups: Mapping[str, int]) -> int:
    lowered = prose.lowered
    has_marks = not lowered.isascii() and any(mark in lowered for mark in _MARKS_AFTER_NUMBER)
    count = 0
    for match in _NUMBER_BEFORE.finditer(lowered) if has_marks else ():
        # A number with this sign alone may be of a day, a bus or a decree.
        count += match[0][-1] not in "号號" or lowered[match.start() - 1] in _ROADS
    for ending in {word[-4:] for word in prose.words} & _STREET_ENDINGS:
        ends = _ends_of(ending, lowered)
        count += sum([_NUMBER_AFTER.match(lowered, end) is not None for end in ends])
    if not _STREETS_AFTER_NUMBER.isdisjoint(prose.words) and "street" in groups:
        count += len(_NUMBER_AND_STREET.findall(lowered))
    for street in _STREETS_BEFORE_NUMBER & prose.words:
        count += sum([_NAME_AND_NUMBER.match(lowered, end) is not None for end in _ends_of(street, lowered)])
    return count


def _ends_of(part: str, text: str) -> Iterator[int]:
    place = text.find(part)
    while place >= 0:
        yield place + len(part)
        place = text.find(part, place + 1)


def str_of(digits: str) -> str:
    """Write decimal digits of any script in ASCII."""
    return digits if digits.isascii() else "".join([str(int(digit)) for digit in digits])


_KINDS_BY_DIGITS: Final[Mapping[int, Sequence[NumberKind]]] = {
    count: tuple(row for row in NUMBER_KINDS if count in row.digits)
    for count in {count for row in NUMBER_KINDS for count in row.digits}
}
_DIGITS_MAX: Final = max(_KINDS_BY_DIGITS)
