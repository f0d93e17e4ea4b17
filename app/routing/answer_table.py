"""A tenant's answer tables: what is answered by rule, with no provider and at no cost.

A table is a candidate, `answers/<table>`: it takes a request for which one of its entries holds, and falls for others.
Made with a policy, asked by `ranking`. Invariant: an answer is a text of the policy, never a part of the request.
"""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import msgspec

from app.routing.candidate import Candidate, Capability, Feature
from app.routing.conditions import Situation, Test, compile_condition
from app.routing.decision import Said
from app.routing.policy_document import AnswerDocument
from billing import Price

ANSWERS_PROVIDER: Final = "answers"
# It is nobody's: what it costs is nothing, and no key stands behind it.
NO_CREDENTIAL: Final = UUID(int=0)
_CANNOT_SAY: Final = frozenset({Feature.MANY_CHOICES, Feature.LOGPROBS, Feature.JSON_OBJECT})


class AnswerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One answer and when it is given."""

    holds: Test
    said: Said


class AnswerTable(msgspec.Struct, frozen=True, kw_only=True):
    """The first entry that holds answers."""

    name: str
    entries: tuple[AnswerEntry, ...]

    def answer_to(self, situation: Situation) -> Said | None:
        """Find the answer to a request."""
        return next((entry.said for entry in self.entries if entry.holds(situation)), None)


def compile_table(name: str, entries: Iterable[AnswerDocument]) -> AnswerTable:
    """Compile a table's conditions."""
    return AnswerTable(
        name=name,
        entries=tuple(
            AnswerEntry(holds=compile_condition(entry.when), said=Said(name=entry.name, text=entry.say))
            for entry in entries
        ),
    )


def candidate_of(table: AnswerTable) -> Candidate:
    """Make the candidate that stands for a table: free, and able to take any request that wants text."""
    price = Price(
        price_version_id=NO_CREDENTIAL,
        provider_name=ANSWERS_PROVIDER,
        model=table.name,
        input_nano_usd_per_million=0,
        output_nano_usd_per_million=0,
        is_declared_free=True,
    )
    return Candidate(
        provider_name=ANSWERS_PROVIDER,
        model=table.name,
        credential_id=NO_CREDENTIAL,
        credential_owner="tenant",
        price=price,
        rate_ppm=0,
        capabilities=frozenset({Capability.TOOLS, Capability.IMAGES}),
        features=frozenset(Feature) - _CANNOT_SAY,
        stays_here=True,
    )
