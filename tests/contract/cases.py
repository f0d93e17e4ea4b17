"""The cases of the SDK matrix: requests in each surface's own words, and what must come of them.

Rows of data, run by one runner per SDK. `{model}` becomes a model of the provider under test; a model named
`steady-base+429` is the sandbox's own way to ask for a fault, and a candidate of its own, so that no fault
opens another case's circuit breaker. Invariant: a name means the same in both surfaces.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal

import msgspec

from app.sandbox import FaultKind
from tests.contract.seen import Expected, ProviderName

Surface = Literal["openai", "anthropic"]
Action = Literal["create", "stream", "loop", "loop_stream", "cancel", "count", "models"]
KeyName = Literal["good", "wrong", "spent", "free"]

# Client, gateway and provider share a process: more at once would only time each other out.
AT_ONCE_MAX: Final = 8
BODY_BYTES_MAX: Final = 200_000
OUTPUT_TOKENS_MAX: Final = 4_000
THINKING_TOKENS: Final = 2_000
SAYS: Final = "[simulated"
# The sandbox counts an image as hundreds of tokens, and the few words beside it as ten.
IMAGE_TOKENS_LEAST: Final = 100
# A red dot, 1 × 1.
PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WEATHER: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CLOCK: Final = {
    "type": "object",
    "properties": {"zone": {"type": "string"}},
    "required": ["zone"],
    "additionalProperties": False,
}
TOOLS: Final = (("get_weather", "Weather in a city", WEATHER), ("get_clock", "Clock of a zone", CLOCK))
ASK_ONE: Final = "What is the weather in Paris?"
ASK_TWO: Final = "What is the weather in Paris, and what does the clock in Tokyo say?"
CITY: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
ASK_CITY: Final = "Name a city, and how many people live there, as JSON."


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One cell's row."""

    name: str
    action: Action
    request: Mapping[str, Any] = {}
    key: KeyName = "good"
    headers: Mapping[str, str] = {}
    expected: Expected = Expected()
    finish_by_provider: Mapping[ProviderName, str] = {}  # where a provider's words cannot tell as much


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    """What the cases ask for, as fields of one surface's requests."""

    ask: Mapping[str, Any]
    tools: Mapping[str, Any]
    must_call: Mapping[str, Any]
    one_by_one: Mapping[str, Any]
    system: Mapping[str, Any]
    schema: Mapping[str, Any]
    image: Mapping[str, Any]
    thinking: Mapping[str, Any]
    stop: Mapping[str, Any]
    finished: str  # the words for how an answer ended
    cut: str
    called: str


_SYSTEM: Final = "Be brief."
_HELLO: Final = {"role": "user", "content": "Hello there"}
_WORDS: Final[Mapping[Surface, _Words]] = {
    "openai": _Words(
        ask={"model": "{model}"},
        tools={
            "tools": [
                {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
                for name, description, schema in TOOLS
            ]
        },
        must_call={"tool_choice": "required"},
        one_by_one={"parallel_tool_calls": False},
        system={"messages": [{"role": "system", "content": _SYSTEM}, _HELLO]},
        schema={
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "city", "schema": CITY, "strict": True},
            }
        },
        image={"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        thinking={"reasoning_effort": "low"},
        stop={"stop": ["simulated"]},
        finished="stop",
        cut="length",
        called="tool_calls",
    ),
    "anthropic": _Words(
        ask={"model": "{model}", "max_tokens": OUTPUT_TOKENS_MAX},
        tools={
            "tools": [
                {"name": name, "description": description, "input_schema": schema}
                for name, description, schema in TOOLS
            ]
        },
        must_call={"tool_choice": {"type": "any"}},
        one_by_one={"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        system={"system": _SYSTEM, "messages": [_HELLO]},
        schema={"output_config": {"format": {"type": "json_schema", "schema": CITY}}},
        image={"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        thinking={"thinking": {"type": "enabled", "budget_tokens": THINKING_TOKENS}},
        stop={"stop_sequences": ["simulated"]},
        finished="end_turn",
        cut="max_tokens",
        called="tool_use",
    ),
}


def _request(surface: Surface, content: Any, **fields: Any) -> dict[str, Any]:
    return {**_WORDS[surface].ask, "messages": [{"role": "user", "content": content}], **fields}


def _answers(surface: Surface) -> tuple[Case, ...]:
    """Whole and streamed answers that come well."""
    words, ask = _WORDS[surface], partial(_request, surface)
    both = ("get_weather", "get_clock")
    good = Expected(text_has=SAYS, finish=words.finished, has_cost=True, input_tokens_least=1)
    flowing = msgspec.structs.replace(good, is_in_pieces=True)
    filled = Expected(json_keys=("city", "people"), finish=words.finished)
    one, two = Expected(calls=both[:1], finish=words.called), Expected(calls=both, finish=words.called)
    looped = Expected(text_has="The tool answered", calls=both, finish=words.finished)
    thought = Expected(thinks_with="sandbox-anthropic", text_has=SAYS, finish=words.finished)
    picture = [{"type": "text", "text": "What is this?"}, words.image]
    rows: tuple[tuple[str, Action, dict[str, Any], Expected], ...] = (
        ("whole", "create", ask("Hello"), good),
        ("streamed", "stream", ask("Hello"), flowing),
        ("system", "create", {**words.ask, **words.system}, good),
        ("image", "create", ask(picture), msgspec.structs.replace(good, input_tokens_least=IMAGE_TOKENS_LEAST)),
        ("JSON schema", "create", ask(ASK_CITY, **words.schema), filled),
        ("JSON schema, streamed", "stream", ask(ASK_CITY, **words.schema), filled),
        ("output limit", "create", ask("Hello", max_tokens=3), Expected(finish=words.cut)),
        ("tool", "create", ask(ASK_ONE, **words.tools, **words.must_call), one),
        ("tool, streamed", "stream", ask(ASK_ONE, **words.tools, **words.must_call), one),
        ("tools in parallel", "create", ask(ASK_TWO, **words.tools), two),
        ("tools in parallel, streamed", "stream", ask(ASK_TWO, **words.tools), two),
        ("one tool at a time", "create", ask(ASK_TWO, **words.tools, **words.one_by_one), one),
        ("tool loop", "loop", ask(ASK_TWO, **words.tools), looped),
        ("tool loop, streamed", "loop_stream", ask(ASK_TWO, **words.tools), looped),
        ("thinking", "create", ask("Hello", **words.thinking), thought),
        ("thinking, streamed", "stream", ask("Hello", **words.thinking), thought),
        ("thinking loop", "loop", ask(ASK_TWO, **words.tools, **words.thinking), looped),
        ("thinking loop, streamed", "loop_stream", ask(ASK_TWO, **words.tools, **words.thinking), looped),
        ("models", "models", {}, Expected(lists="{provider}/deep-large")),
    )
    cases = [Case(name=name, action=action, request=body, expected=wants) for name, action, body, wants in rows]
    return (*cases, _stop_text(surface, ask("Hello", **words.stop)))


def _stop_text(surface: Surface, request: Mapping[str, Any]) -> Case:
    case = Case(name="stop text", action="create", request=request, expected=Expected(finish="stop"))
    if surface == "openai":
        return case
    return msgspec.structs.replace(
        case,
        expected=Expected(finish="stop_sequence"),
        finish_by_provider={"sandbox": "end_turn"},
    )


# Before any content: what makes it, and the status that the caller reads.
_PROVIDER_SAYS: Final = (
    (FaultKind.BAD_REQUEST, 400),
    (FaultKind.UNAUTHORIZED, 502),  # the platform's own affair
    (FaultKind.CONTEXT, 400),
    (FaultKind.RATE_LIMITED, 429),
    (FaultKind.SERVER, 502),
    (FaultKind.OVERLOADED, 503),  # 503 of OpenAI, 529 of Anthropic
    (FaultKind.HANG, 504),
)
# After content: the stream ends with an error in the caller's words, and never as if it were whole.
_BREAKS: Final = (FaultKind.CUT, FaultKind.STALL, FaultKind.LATE_ERROR_EVENT, FaultKind.MALFORMED)


def _errors(surface: Surface) -> tuple[Case, ...]:
    """Every status, from the gateway itself and from a provider; before a stream begins, and in its midst."""
    ask = partial(_request, surface)

    def row(name: str, status: int, request: dict[str, Any], action: Action = "create", **fields: Any) -> Case:
        return Case(name=name, action=action, request=request, expected=Expected(status=status), **fields)

    own = (
        row("400 bad request", 400, {**ask("Hello"), "model": ""}),
        row("401 wrong key", 401, ask("Hello"), key="wrong"),
        row("402 budget used up", 402, ask("Hello"), key="spent"),
        row("403 model not in plan", 403, ask("Hello"), key="free"),
        row("404 no such model", 404, {**ask("Hello"), "model": "sandbox/none"}),
        row("413 too large", 413, ask("Hello " * (BODY_BYTES_MAX // 6 + 1))),
        row("422 no candidate left", 422, ask("Hello"), headers={"x-signalbox-max-cost": "0.000000001"}),
    )
    others = tuple(
        row(f"{status}: provider {fault.value}{', streamed' * (action == 'stream')}", status,
            {**ask("Hello"), "model": _faulty(fault, action)}, action)
        for fault, status in _PROVIDER_SAYS
        for action in ("create", "stream")
    )  # fmt: skip
    early = row("503: error before content", 503,
                {**ask("Hello"), "model": _faulty(FaultKind.ERROR_EVENT, "stream")}, "stream")  # fmt: skip
    broken = tuple(
        Case(
            name=f"mid-stream {fault.value}",
            action="stream",
            request={**ask("Hello"), "model": _faulty(fault, "stream")},
            expected=Expected(is_midstream=True, outcome="interrupted"),
        )
        for fault in _BREAKS
    )
    return (*own, *others, early, *broken)


def _faulty(fault: FaultKind, action: Action) -> str:
    """A candidate of its own for each fault and form: of the whole answers, and of the streams."""
    return f"{{provider}}/{'steady-base' if action == 'stream' else 'swift-mini'}+{fault.value}"


def _others(surface: Surface) -> tuple[Case, ...]:
    """A stream that its caller closes early, and counting."""
    ask = partial(_request, surface)
    cancel = Case(
        name="cancel",
        action="cancel",
        request={**ask("Hello"), "model": f"{{provider}}/deep-large+{FaultKind.STALL.value}"},
        expected=Expected(outcome="interrupted"),
    )
    if surface == "openai":
        return (cancel,)
    body = ask(ASK_TWO, **_WORDS[surface].tools)
    del body["max_tokens"]
    count = Case(name="count_tokens", action="count", request=body, expected=Expected(input_tokens_least=20))
    return (cancel, count)


CASES: Final[Mapping[Surface, tuple[Case, ...]]] = {
    surface: (*_answers(surface), *_others(surface), *_errors(surface)) for surface in ("openai", "anthropic")
}
FAULTY_MODELS: Final = sorted(
    {
        str(case.request["model"]).partition("/")[2]
        for cases in CASES.values()
        for case in cases
        if "+" in str(case.request.get("model"))
    }
)
