"""The simulated models: what each costs, how fast it is, and how well it does each task.

Read by the sandbox's server, by the price book (declared prices) and by the catalogue (expected quality).
Invariant: prices are nano-USD per million tokens, as in `billing.Price`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec

from billing import Price, Usage

PROVIDER_NAME: Final = "sandbox"
ANTHROPIC_PROVIDER_NAME: Final = "sandbox-anthropic"
# The same models under one name per wire format: `sandbox/…` speaks OpenAI's, its twin Anthropic's.
PROVIDER_NAMES: Final = (PROVIDER_NAME, ANTHROPIC_PROVIDER_NAME)
SIMULATED_HEADER: Final = ("x-sandbox", "simulated")
SYSTEM_FINGERPRINT: Final = "sandbox"
_NANO_USD_PER_CENT: Final = 10_000_000


class SandboxModel(msgspec.Struct, frozen=True, kw_only=True):
    """One simulated model. `skill` is the expected quality by task, 0 to 1; "" is the default."""

    name: str
    input_nano_usd_per_million: int
    output_nano_usd_per_million: int
    cache_read_nano_usd_per_million: int
    context_tokens: int
    output_tokens_max: int
    first_token_ms: float
    tokens_per_s: float
    words_per_answer: int
    skill: Mapping[str, float]

    def price(self, price_version_id: UUID, *, provider_name: str = PROVIDER_NAME) -> Price:
        """The model's row in a version of the price book."""
        return Price(
            price_version_id=price_version_id,
            provider_name=provider_name,
            model=self.name,
            input_nano_usd_per_million=self.input_nano_usd_per_million,
            output_nano_usd_per_million=self.output_nano_usd_per_million,
            cache_read_nano_usd_per_million=self.cache_read_nano_usd_per_million,
            context_tokens=self.context_tokens,
            output_tokens_max=self.output_tokens_max,
        )

    def cost_nano_usd(self, usage: Usage) -> int:
        """What the sandbox would charge, by the price book's own arithmetic."""
        return self.price(_NO_VERSION).cost_nano_usd(usage)


_NO_VERSION: Final = UUID(int=0)


def _cents(cents: int) -> int:
    return cents * _NANO_USD_PER_CENT


_ROWS: Final = (
    SandboxModel(
        name="swift-mini",
        input_nano_usd_per_million=_cents(10),
        output_nano_usd_per_million=_cents(40),
        cache_read_nano_usd_per_million=_cents(5),
        context_tokens=128_000,
        output_tokens_max=16_000,
        first_token_ms=2,
        tokens_per_s=8_000,
        words_per_answer=14,
        skill={
            "": 0.62, "small_talk": 0.93, "assistant_command": 0.88, "classification": 0.85, "extraction": 0.82,
            "translation": 0.78, "rewriting": 0.77, "summarization": 0.76, "customer_support": 0.74,
            "code_generation": 0.48, "code_debugging": 0.42, "math_reasoning": 0.40, "data_analysis": 0.45,
        },
    ),
    SandboxModel(
        name="steady-base",
        input_nano_usd_per_million=_cents(60),
        output_nano_usd_per_million=_cents(240),
        cache_read_nano_usd_per_million=_cents(30),
        context_tokens=128_000,
        output_tokens_max=16_000,
        first_token_ms=4,
        tokens_per_s=4_000,
        words_per_answer=20,
        skill={
            "": 0.78, "small_talk": 0.94, "summarization": 0.87, "professional_writing": 0.84, "translation": 0.87,
            "code_generation": 0.68, "code_debugging": 0.63, "math_reasoning": 0.62, "data_analysis": 0.67,
        },
    ),
    SandboxModel(
        name="coder-pro",
        input_nano_usd_per_million=_cents(120),
        output_nano_usd_per_million=_cents(600),
        cache_read_nano_usd_per_million=_cents(60),
        context_tokens=256_000,
        output_tokens_max=32_000,
        first_token_ms=6,
        tokens_per_s=3_000,
        words_per_answer=24,
        skill={
            "": 0.74, "code_generation": 0.93, "code_debugging": 0.92, "data_analysis": 0.85, "math_reasoning": 0.80,
            "creative_writing": 0.60, "marketing_copy": 0.58, "small_talk": 0.80,
        },
    ),
    SandboxModel(
        name="deep-large",
        input_nano_usd_per_million=_cents(300),
        output_nano_usd_per_million=_cents(1_500),
        cache_read_nano_usd_per_million=_cents(150),
        context_tokens=200_000,
        output_tokens_max=32_000,
        first_token_ms=10,
        tokens_per_s=2_000,
        words_per_answer=30,
        skill={
            "": 0.92, "math_reasoning": 0.95, "planning": 0.94, "creative_writing": 0.93, "closed_qa": 0.94,
            "open_qa": 0.93, "code_generation": 0.90, "code_debugging": 0.90, "small_talk": 0.95,
        },
    ),
)  # fmt: skip

SANDBOX_MODELS: Final[Mapping[str, SandboxModel]] = MappingProxyType({row.name: row for row in _ROWS})


def sandbox_prices(price_version_id: UUID, *, provider_name: str = PROVIDER_NAME) -> tuple[Price, ...]:
    """The declared prices of every simulated model, as one of the sandbox's providers offers it."""
    return tuple(row.price(price_version_id, provider_name=provider_name) for row in _ROWS)
