"""What an SDK saw of one case, the same for every SDK; and what it should have seen.

Filled by the runners, Node's too, over JSON; read by `matrix`. Pure.
"""

import json
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

TOO_MANY: Final = 429

ProviderName = Literal["sandbox", "sandbox-anthropic"]


class SeenCall(msgspec.Struct, frozen=True):
    """One tool call; `arguments` is JSON text."""

    name: str
    arguments: str


class SeenError(msgspec.Struct, frozen=True, kw_only=True):
    """What the SDK raised; `status` is None inside a stream that had begun well."""

    class_name: str
    status: int | None = None
    code: str | None = None
    message: str = ""
    retry_after_s: float | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, put together by the SDK itself; `pieces` counts the deltas that brought content."""

    text: str = ""
    thinking: str = ""
    signatures: int = 0
    calls: tuple[SeenCall, ...] = ()
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    pieces: int = 0
    models: tuple[str, ...] = ()
    request_id: str | None = None
    error: SeenError | None = None


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What must be seen; what is None or empty is not looked at."""

    text_has: str | None = None
    json_keys: tuple[str, ...] = ()
    calls: tuple[str, ...] | None = None
    finish: str | None = None
    thinks_with: ProviderName | None = None  # the provider whose model shows its thinking
    input_tokens_least: int | None = None
    has_cost: bool = False
    is_in_pieces: bool = False
    lists: str | None = None
    status: int | None = None
    is_midstream: bool = False
    outcome: str | None = None  # of the request's own record


def problems(expected: Expected, seen: Seen, *, provider: ProviderName, class_names: frozenset[str]) -> list[str]:
    """Everything that is not as it should be; `class_names` are the SDK's own for this error."""
    if expected.status is not None or expected.is_midstream:
        return list(_error_problems(expected, seen, class_names))
    if seen.error is not None:
        return [f"raised {seen.error.class_name} {seen.error.status}: {seen.error.message[:200]}"]
    return list(_answer_problems(expected, seen, provider))


def _error_problems(expected: Expected, seen: Seen, class_names: frozenset[str]) -> Iterator[str]:
    error = seen.error
    if error is None:
        yield f"raised nothing and said {seen.text[:80]!r}"
        return
    if error.class_name not in class_names:
        yield f"raised {error.class_name} and not {' or '.join(sorted(class_names))}: {error.message[:200]}"
    if expected.status is not None and error.status != expected.status:
        yield f"status {error.status} and not {expected.status}: {error.message[:200]}"
    if expected.is_midstream and not seen.pieces:
        yield "broke before any content"
    if expected.status == TOO_MANY and error.retry_after_s is None:
        yield "does not say when to try again"
    if not error.code:
        yield "the error has no code"
    if not error.message:
        yield "the error says nothing"


def _answer_problems(expected: Expected, seen: Seen, provider: ProviderName) -> Iterator[str]:
    if expected.text_has is not None and expected.text_has not in seen.text:
        yield f"said {seen.text[:80]!r}, without {expected.text_has!r}"
    if expected.json_keys and set(_object(seen.text)) != set(expected.json_keys):
        yield f"said {seen.text[:80]!r}, no JSON object of {', '.join(expected.json_keys)}"
    if expected.calls is not None and tuple(call.name for call in seen.calls) != expected.calls:
        yield f"called {[call.name for call in seen.calls]} and not {list(expected.calls)}"
    for call in seen.calls:
        if not _object(call.arguments):
            yield f"called {call.name} with {call.arguments[:80]!r}, which is no JSON object"
    if expected.finish is not None and seen.finish != expected.finish:
        yield f"finished with {seen.finish!r} and not {expected.finish!r}"
    if expected.thinks_with is not None and bool(seen.thinking) is not (expected.thinks_with == provider):
        yield f"its thinking is {seen.thinking[:40]!r}"
    if expected.thinks_with == provider and not seen.signatures:
        yield "its thinking lost its signature"
    if expected.input_tokens_least is not None and (seen.input_tokens or 0) < expected.input_tokens_least:
        yield f"counted {seen.input_tokens} input tokens, fewer than {expected.input_tokens_least}"
    if expected.has_cost and not seen.cost:
        yield "shows no cost"
    if expected.is_in_pieces and seen.pieces < 2:
        yield f"came in {seen.pieces} pieces"
    if expected.lists is not None and expected.lists.format(provider=provider) not in seen.models:
        yield f"lists {len(seen.models)} models without {expected.lists.format(provider=provider)}"


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
