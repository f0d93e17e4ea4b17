"""Sensitivity flags of a request: what it holds or asks for that a policy may keep to some models.

Called by `classify` once a request, over all text that goes to a model and not only the instruction. Tuned to miss
little: what is flagged for nothing costs a dearer route, what is missed may cost a secret. The caller may add a flag
and never take one away. Invariant: a flag tells kinds and counts, never what was found.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from app.routing.credentials import credentials_in
from app.routing.decision import DecidedBy, Evidence, RequestFacts
from app.routing.errors import SensitivityUnknown
from app.routing.identifiers import identifiers_in
from app.routing.lexicon import Lexicon
from app.routing.prose import Prose, parts_of, prose_of
from app.routing.signal_words import words_of
from app.routing.taxonomy import Domain, Sensitivity

TAG_PREFIX: Final = "sensitivity:"
METADATA_KEY: Final = "sensitivity"
KINDS_SHOWN: Final = 4
IDENTIFIER_CONFIDENCE: Final = 0.9
CREDENTIAL_CONFIDENCE: Final = 0.95
DOMAIN_CONFIDENCE_LEAST: Final = 0.5  # of the classifier's domain, from which it speaks for advice


class WordRule(msgspec.Struct, frozen=True):
    """A row: so many words of a group, and one of a second group where it names one, speak for a flag."""

    group: str
    least: int
    beside: str
    flag: Sensitivity
    confidence: float
    because: str


WORD_RULES: Final = (
    WordRule("name", 1, "", Sensitivity.PERSONAL_DATA, 0.6, "a person's name is given"),
    WordRule("health", 1, "person", Sensitivity.HEALTH_DATA, 0.55, "words of health and of a person"),
    WordRule("health", 3, "person", Sensitivity.HEALTH_DATA, 0.75, "many words of health and of a person"),
    WordRule("health", 1, "advice", Sensitivity.MEDICAL_ADVICE, 0.6, "advice is asked for in words of health"),
    WordRule("medical_question", 1, "health", Sensitivity.MEDICAL_ADVICE, 0.75, "words of a medical question"),
    WordRule("law", 1, "advice", Sensitivity.LEGAL_ADVICE, 0.55, "advice is asked for in words of law"),
    WordRule("law", 3, "", Sensitivity.LEGAL_ADVICE, 0.65, "many words of law"),
    WordRule("legal_question", 1, "", Sensitivity.LEGAL_ADVICE, 0.8, "words of a legal question"),
    WordRule("money", 1, "advice", Sensitivity.FINANCIAL_ADVICE, 0.55, "advice is asked for in words of money"),
    WordRule("money", 3, "", Sensitivity.FINANCIAL_ADVICE, 0.65, "many words of money"),
    WordRule("financial_question", 1, "", Sensitivity.FINANCIAL_ADVICE, 0.8, "words of a financial question"),
    WordRule("self_harm", 1, "", Sensitivity.SELF_HARM, 0.8, "words of self-harm"),
    WordRule("minor", 1, "", Sensitivity.MINORS, 0.55, "words of children"),
    WordRule("minor", 2, "", Sensitivity.MINORS, 0.75, "several words of children"),
)
_ADVICE_OF_DOMAIN: Final[Mapping[str, Sensitivity]] = {
    Domain.MEDICAL: Sensitivity.MEDICAL_ADVICE,
    Domain.LEGAL: Sensitivity.LEGAL_ADVICE,
    Domain.FINANCE: Sensitivity.FINANCIAL_ADVICE,
}


def sensitivity_of(facts: RequestFacts, domain: Evidence | None = None) -> tuple[Evidence, ...]:
    """Give the flags of a request, in the order of their names' list, each with its most confident ground.

    Raises SensitivityUnknown where the caller adds a flag that does not exist.
    """
    flags: dict[Sensitivity, Evidence] = {}
    for flag in _tagged(facts):
        flags[flag] = Evidence(value=flag, confidence=1.0, decided_by="tag", because="the caller says so")
    groups, identifiers, credentials = _found_in(_prose_of(facts))
    if identifiers:
        _raise(flags, Sensitivity.PERSONAL_DATA, IDENTIFIER_CONFIDENCE, "structure", _counted(identifiers))
    if credentials:
        _raise(flags, Sensitivity.CREDENTIALS, CREDENTIAL_CONFIDENCE, "structure", _counted(credentials))
    for group in _RULES_BY_GROUP.keys() & groups.keys():
        for rule in _RULES_BY_GROUP[group]:
            if groups[group] >= rule.least and (not rule.beside or rule.beside in groups):
                _raise(flags, rule.flag, rule.confidence, "keyword", rule.because)
    if domain is not None and domain.value in _ADVICE_OF_DOMAIN and domain.confidence >= DOMAIN_CONFIDENCE_LEAST:
        because = f"the domain is {domain.value}"
        _raise(flags, _ADVICE_OF_DOMAIN[domain.value], domain.confidence, domain.decided_by, because)
    return tuple([flags[flag] for flag in Sensitivity if flag in flags]) if flags else ()


def _tagged(facts: RequestFacts) -> list[Sensitivity]:
    """Give the flags that the caller adds. Raises SensitivityUnknown: what cannot be heeded must not pass."""
    if not (facts.tags or facts.metadata):
        return []
    names = [tag[len(TAG_PREFIX) :] for tag in facts.tags if tag.startswith(TAG_PREFIX)]
    names += [name.strip() for name in facts.metadata.get(METADATA_KEY, "").split(",") if name.strip()]
    for name in names:
        if name not in _NAMES:
            raise SensitivityUnknown(name)
    return [Sensitivity(name) for name in names]


def _prose_of(facts: RequestFacts) -> Sequence[Prose]:
    if facts.content:
        return prose_of(facts.content)
    return parts_of("\n".join((facts.system, *facts.earlier, facts.instruction)))


def _found_in(parts: Sequence[Prose]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Count words by group in the part that holds most of them, identifiers and credentials by kind in all."""
    groups = _LEXICON.found_in(parts[0])
    for part in parts[1:]:
        groups |= _LEXICON.found_in(part)
    identifiers, credentials = identifiers_in(parts[0], groups), credentials_in(parts[0], groups)
    for part in parts[1:]:
        identifiers += identifiers_in(part, groups)
        credentials += credentials_in(part, groups)
    return groups, identifiers, credentials


def _raise(
    flags: dict[Sensitivity, Evidence], flag: Sensitivity, confidence: float, decided_by: DecidedBy, because: str
) -> None:
    """Set a flag, unless it stands with more confidence already."""
    standing = flags.get(flag)
    if standing is None or confidence > standing.confidence:
        flags[flag] = Evidence(value=flag, confidence=confidence, decided_by=decided_by, because=because)


def _counted(found: Counter[str]) -> str:
    """Say how many of each kind were found."""
    shown = [f"{count} × {kind}" for kind, count in found.most_common(KINDS_SHOWN)]
    more = len(found) - KINDS_SHOWN
    return ", ".join([*shown, f"{more} more kinds"] if more > 0 else shown)


_NAMES: Final[frozenset[str]] = frozenset(Sensitivity)
# Those after the first line speak for a flag beside others, or tell what a number beside them is.
_GROUPS: Final = (
    "health", "law", "money", "self_harm", "minor", "name", "medical_question", "legal_question", "financial_question",
    "person", "advice", "birth", "phone", "identity", "street", "password",
)  # fmt: skip
_LEXICON: Final = Lexicon({group: words_of(group) for group in _GROUPS})
_RULES_BY_GROUP: Final[Mapping[str, Sequence[WordRule]]] = {
    group: [rule for rule in WORD_RULES if rule.group == group] for group in {rule.group for rule in WORD_RULES}
}
