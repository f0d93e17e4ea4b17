"""The table of dialects: by which functions the gateway speaks to a vendor, and reads a caller.

A new dialect is a folder of pure functions and one row here. Invariant: a row holds no state.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.providers.dialects import openai
from app.providers.dialects.shape import Dialect, Interpreter
from app.providers.dialects.translation import Native
from app.providers.vendors import DialectName
from app.routing.candidate import Feature

DIALECTS: Final[Mapping[DialectName, Dialect]] = MappingProxyType(
    {
        "openai": Dialect(
            name="openai",
            path="/chat/completions",
            features=frozenset(
                {
                    Feature.MANY_CHOICES,
                    Feature.LOGPROBS,
                    Feature.PREDICTION,
                    Feature.CUSTOM_TOOLS,
                    Feature.JSON_OBJECT,
                    Feature.DOCUMENTS,
                }
            ),
            encode_request=openai.encode_request,
            decode_answer=openai.decode_answer,
            decode_error=openai.decode_error,
            read_stream=openai.OpenAIStreamReader,
            with_cost=openai.with_cost,
        )
    }
)


def interpreter_between(caller: DialectName, provider: DialectName) -> Interpreter:
    """The functions that stand between a caller's dialect and a provider's."""
    return _INTERPRETERS[caller, provider]


_INTERPRETERS: Final[Mapping[tuple[DialectName, DialectName], Interpreter]] = {
    (caller.name, provider.name): Native(provider)
    for caller in DIALECTS.values()
    for provider in DIALECTS.values()
    if caller is provider
}
