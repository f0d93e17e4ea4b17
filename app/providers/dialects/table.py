"""The table of dialects: by which functions the gateway speaks to a vendor, and reads a caller.

A new dialect is a folder of pure functions and one row here. Invariant: a row holds no state.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from app.providers.dialects import anthropic, openai
from app.providers.dialects.bounds import CLAUDE_IMAGE_TOKENS_MAX
from app.providers.dialects.shape import CommonForm, Dialect, Interpreter, RequestBody, TokenCount
from app.providers.dialects.translation import Native, Translation
from app.providers.vendors import DialectName
from app.routing.candidate import Feature
from app.routing.decision import RequestFacts

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
                    Feature.OPENAI_PARTS,
                }
            ),
            facts_of=openai.facts_of,
            encode_request=openai.encode_request,
            decode_answer=openai.decode_answer,
            decode_error=openai.decode_error,
            read_stream=openai.OpenAIStreamReader,
            with_cost=openai.with_cost,
            common=CommonForm(
                read_conversation=openai.read_conversation,
                write_conversation=openai.write_conversation,
                read_completion=openai.read_completion,
                write_completion=openai.write_completion,
                read_deltas=openai.OpenAIDeltaReader,
                write_deltas=openai.OpenAIDeltaWriter,
            ),
        ),
        "anthropic": Dialect(
            name="anthropic",
            path="/messages",
            # Not files by id: they belong to a credential, and raw ids would reach across tenants.
            features=frozenset({Feature.DOCUMENTS, Feature.DOCUMENT_URLS, Feature.PROVIDER_BLOCKS}),
            image_tokens_max=CLAUDE_IMAGE_TOKENS_MAX,
            facts_of=anthropic.facts_of,
            encode_request=anthropic.encode_request,
            decode_answer=anthropic.decode_answer,
            decode_error=anthropic.decode_error,
            read_stream=anthropic.AnthropicStreamReader,
            with_cost=anthropic.with_cost,
            token_count=TokenCount(path="/messages/count_tokens", decode=anthropic.decode_count),
            common=CommonForm(
                read_conversation=anthropic.read_conversation,
                write_conversation=anthropic.write_conversation,
                read_completion=anthropic.read_completion,
                write_completion=anthropic.write_completion,
                read_deltas=anthropic.AnthropicDeltaReader,
                write_deltas=anthropic.AnthropicDeltaWriter,
            ),
        ),
    }
)


def interpreter_between(caller: DialectName, provider: DialectName) -> Interpreter:
    """The functions that stand between a caller's dialect and a provider's."""
    return _INTERPRETERS[caller, provider]


def read_facts(
    body: RequestBody,
    *,
    tags: tuple[str, ...] = (),
    metadata: Mapping[str, str] | None = None,
    policy_name: str | None = None,
    cost_nano_usd_max: int | None = None,
    no_fallback: bool = False,
    session: str | None = None,
) -> RequestFacts:
    """Read what routing needs off a request in any dialect; `metadata` from the header is laid over the body's."""
    facts = DIALECTS[body.dialect].facts_of(body)
    if not (tags or metadata or policy_name or no_fallback or session) and cost_nano_usd_max is None:
        return facts
    return msgspec.structs.replace(
        facts,
        tags=tags,
        metadata={**facts.metadata, **(metadata or {})},
        policy_name=policy_name,
        cost_nano_usd_max=cost_nano_usd_max,
        no_fallback=no_fallback,
        session=session,
    )


_INTERPRETERS: Final[Mapping[tuple[DialectName, DialectName], Interpreter]] = {
    (caller.name, provider.name): Native(provider) if caller is provider else Translation(caller, provider)
    for caller in DIALECTS.values()
    for provider in DIALECTS.values()
}
