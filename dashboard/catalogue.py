"""What a tenant can call, as the page "Models & credentials" shows it: rows, and what a filter leaves of them.

Filled by the composition root from what the request path holds. Pure. Invariant: an unknown is None and is shown
as unknown; amounts are nano-USD per million tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MODELS_SHOWN_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """One model as this tenant reaches it; `quality` is what it is expected to reach on any task, 0 to 1."""

    name: str
    provider_name: str
    is_own_credential: bool
    is_in_plan: bool
    is_simulated: bool
    input_cost_nano_usd: int  # what the provider charges
    output_cost_nano_usd: int
    input_billed_nano_usd: int  # what the tenant is billed; with its own credential our fee alone
    output_billed_nano_usd: int
    context_tokens: int | None
    output_tokens_max: int | None
    capabilities: tuple[str, ...] | None
    quality: float | None


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """A provider that a credential can be for; without an address of its own, the credential must give one."""

    name: str
    label: str
    needs_base_url: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFilter:
    """What is asked for; an empty part asks for nothing."""

    provider: str = ""
    capability: str = ""
    name: str = ""

    def leaves(self, lines: Sequence[ModelLine]) -> tuple[ModelLine, ...]:
        """The lines that match, in their order."""
        return tuple(line for line in lines if self._matches(line))

    def _matches(self, line: ModelLine) -> bool:
        return (
            self.provider in ("", line.provider_name)
            and (not self.capability or self.capability in (line.capabilities or ()))
            and self.name.casefold() in line.name.casefold()
        )
