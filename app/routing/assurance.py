"""What is assured of a candidate and what a rule or a guard requires: where content goes, what is kept, who signed.

Filled by `app/providers`, required by policies. Invariant: what is not known is not assured, so that a requirement
fails closed.
"""

from enum import StrEnum

import msgspec

from app.routing.taxonomy import Domain


class Region(StrEnum):
    """Where content is processed. `local` is beside the gateway itself."""

    EU = "eu"
    US = "us"
    UK = "uk"
    CH = "ch"
    CA = "ca"
    BR = "br"
    JP = "jp"
    KR = "kr"
    IN = "in"
    SG = "sg"
    AU = "au"
    CN = "cn"
    LOCAL = "local"


class Assurances(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody stands for: the vendor's own terms, or a contract that was declared."""

    regions: frozenset[Region] = frozenset()  # every one where content may be processed; empty: unknown
    zero_retention: bool = False  # nothing of a request is stored
    baa: bool = False  # a business associate agreement (HIPAA) covers it
    certified_for: frozenset[Domain] = frozenset()

    def also(self, other: "Assurances") -> "Assurances":
        """Add what another source assures; it says better where content goes."""
        return Assurances(
            regions=other.regions or self.regions,
            zero_retention=self.zero_retention or other.zero_retention,
            baa=self.baa or other.baa,
            certified_for=self.certified_for | other.certified_for,
        )

    def and_of(self, other: "Assurances") -> "Assurances":
        """Give what holds of either, when one may stand in for the other."""
        return Assurances(
            regions=self.regions | other.regions if self.regions and other.regions else frozenset(),
            zero_retention=self.zero_retention and other.zero_retention,
            baa=self.baa and other.baa,
            certified_for=self.certified_for & other.certified_for,
        )


NOTHING_ASSURED = Assurances()


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate must assure. A region that is not among `regions` may not see the request."""

    regions: frozenset[Region] = frozenset()  # empty: anywhere
    zero_retention: bool = False
    baa: bool = False
    certified_for: frozenset[Domain] = frozenset()

    def unmet(self, assured: Assurances) -> str | None:
        """Say what is not assured, or None."""
        if self.regions and not assured.regions:
            return f"where it processes content is not known, and only {_listed(self.regions)} is allowed"
        if self.regions and not assured.regions <= self.regions:
            return f"it may process content in {_listed(assured.regions)}, and only {_listed(self.regions)} is allowed"
        if self.zero_retention and not assured.zero_retention:
            return "it is not assured that nothing of a request is kept (zero_retention)"
        if self.baa and not assured.baa:
            return "no business associate agreement (baa) is declared for it"
        if not self.certified_for <= assured.certified_for:
            return f"it is not certified for {_listed(self.certified_for - assured.certified_for)}"
        return None


NOTHING_REQUIRED = Requirements()


def _listed(words: frozenset[Region] | frozenset[Domain]) -> str:
    return ", ".join(sorted(words))
