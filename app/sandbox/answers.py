"""What a simulated model says: short, open about being simulated, and the same for the same request.

Pure. Called once per choice. The text begins with `[simulated MODEL]`; a JSON answer cannot, so the
response's header and `system_fingerprint` say it there. Skill shows in arithmetic: a model gets a sum
right as often as its `math_reasoning` says.
"""

import hashlib
import json
import operator
import re
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from app.sandbox import tokens
from app.sandbox.models import SandboxModel
from app.sandbox.schemas import Schema, instance_of

_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_SUM: Final = re.compile(r"(-?\d{1,9})\s*([-+*×])\s*(-?\d{1,9})")
_NAME_PART: Final = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{3,}")
_OPERATORS: Final[dict[str, Callable[[int, int], int]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "×": operator.mul,
}  # fmt: skip
_FILLER: Final = re.findall(
    r"\S+",
    "This answer is simulated so the gateway can be tried without a provider key and its words carry no meaning "
    "beyond that while its tokens price and speed are counted exactly as a real model would count them",
)
# A prompt may say how long an answer it wants: `[[words:400]]`.
_LENGTH: Final = re.compile(r"\[\[words:(\d{1,4})\]\]")
QUOTED_WORDS: Final = 8
THINKING_WORDS: Final = 10
# Above this, half of a prompt counts as found in the cache, in the steps that vendors bill by.
CACHE_THRESHOLD_TOKENS: Final = 1_024
CACHE_STEP_TOKENS: Final = 128


FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Tool(msgspec.Struct, frozen=True):
    """One function that the model may call."""

    name: str
    parameters: Schema
    description: str = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A chat request as the simulated model sees it."""

    texts: tuple[str, ...]
    instruction: str
    input_tokens: int
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"  # 'none', 'auto', 'required', or a tool's name
    is_tool_result: bool = False
    parallel_tool_calls: bool = True
    json_schema: Schema | None = None
    output_tokens_max: int | None = None
    thinking_tokens_max: int = 0
    stop: tuple[str, ...] = ()


class ToolCall(msgspec.Struct, frozen=True):
    """A call with its arguments as JSON, in pieces as they are streamed; each wire has its own prefix of ids."""

    call_id: str
    name: str
    pieces: tuple[str, ...]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: perhaps thinking, then text in pieces or tool calls. Finish reasons are in OpenAI's words."""

    thinking: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    stop_sequence: str | None = None  # the caller's text that ended it

    def output_tokens(self) -> int:
        """Every generated piece is a token."""
        return len(self.thinking) + len(self.pieces) + sum(len(call.pieces) + 1 for call in self.tool_calls)


REFUSED: Final = Choice(finish_reason="content_filter")


def answer(model: SandboxModel, prompt: Prompt, *, choice: int = 0) -> Choice:
    """Answer one choice of a request."""
    seed = _seed(model.name, *prompt.texts, str(choice))
    wanted = model.output_tokens_max if prompt.output_tokens_max is None else prompt.output_tokens_max
    limit = min(wanted, model.output_tokens_max)
    thinking = _thinking(model, prompt, seed)[: min(limit, prompt.thinking_tokens_max)]
    if len(thinking) == limit:
        return Choice(thinking=thinking, finish_reason="length")
    said = _said(model, prompt, seed, limit - len(thinking))
    return msgspec.structs.replace(said, thinking=thinking) if thinking else said


def cached_tokens(input_tokens: int) -> int:
    """How much of a prompt counts as cached: by its size alone, so that the answer is repeatable."""
    if input_tokens < CACHE_THRESHOLD_TOKENS:
        return 0
    return input_tokens // 2 // CACHE_STEP_TOKENS * CACHE_STEP_TOKENS


def call_id(*parts: str) -> str:
    """A repeatable id out of a request's parts."""
    return _seed(*parts)[:24]


def _said(model: SandboxModel, prompt: Prompt, seed: str, limit: int) -> Choice:
    if called := _tools_called(prompt):
        calls = tuple(_call(tool, prompt, f"{seed}{number}") for number, tool in enumerate(called))
        made = Choice(tool_calls=calls, finish_reason="tool_calls")
        # A cut call would be no JSON; then the model speaks no word at all.
        return made if made.output_tokens() <= limit else Choice(finish_reason="length")
    if prompt.json_schema is not None:
        words = _WORD.findall(prompt.instruction)[:20]
        text = json.dumps(instance_of(prompt.json_schema, seed=seed, words=words), ensure_ascii=False)
    else:
        text = _text(model, prompt, seed)
    place, mark = min(((text.find(mark), mark) for mark in prompt.stop if mark and mark in text), default=(None, None))
    made_pieces = tuple(tokens.pieces(text[:place]))
    if len(made_pieces) > limit:
        return Choice(pieces=made_pieces[:limit], finish_reason="length")
    return Choice(pieces=made_pieces, stop_sequence=mark)


def _text(model: SandboxModel, prompt: Prompt, seed: str) -> str:
    head = f"[simulated {model.name}]"
    if prompt.is_tool_result:
        return f"{head} The tool answered; its result was read."
    if found := _SUM.search(prompt.instruction):
        left, sign, right = int(found[1]), found[2], int(found[3])
        is_right = int(seed[:8], 16) / 0xFFFFFFFF < model.skill.get("math_reasoning", model.skill[""])
        return f"{head} {left} {sign} {right} = {_OPERATORS[sign](left, right) + (0 if is_right else 1)}."
    quoted = " ".join(prompt.instruction.split()[:QUOTED_WORDS])
    wanted = _LENGTH.search(prompt.instruction)
    words = int(wanted[1]) if wanted else max(4, model.words_per_answer + int(seed[:2], 16) % 7 - 3)
    offset = int(seed[2:4], 16)
    filler = " ".join(_FILLER[(offset + number) % len(_FILLER)] for number in range(words))
    return f"{head} On “{quoted}”: {filler}."


def _thinking(model: SandboxModel, prompt: Prompt, seed: str) -> tuple[str, ...]:
    if not prompt.thinking_tokens_max:
        return ()
    offset = int(seed[4:6], 16)
    words = " ".join(_FILLER[(offset + number) % len(_FILLER)] for number in range(THINKING_WORDS))
    return tuple(tokens.pieces(f"[simulated thinking of {model.name}] {words}."))


def _tools_called(prompt: Prompt) -> tuple[Tool, ...]:
    if prompt.tool_choice == "none" or not prompt.tools:
        return ()
    if prompt.tool_choice not in ("auto", "required"):
        return tuple(tool for tool in prompt.tools if tool.name == prompt.tool_choice)
    if prompt.tool_choice == "auto" and prompt.is_tool_result:
        return ()
    asked = {word.lower() for word in _WORD.findall(prompt.instruction)}
    meant = tuple(tool for tool in prompt.tools if _is_meant(tool, asked))
    if prompt.tool_choice == "required":
        meant = meant or prompt.tools[:1]
    return meant if prompt.parallel_tool_calls else meant[:1]


def _is_meant(tool: Tool, asked: set[str]) -> bool:
    """A prompt calls for a tool when it holds a telling word of the tool's name."""
    return any(part.lower() in asked for part in _NAME_PART.findall(tool.name) if part.lower() not in _COMMON)


_COMMON: Final = frozenset({"get", "set", "the", "fetch", "find", "make", "call", "current", "tool", "function"})


def _call(tool: Tool, prompt: Prompt, seed: str) -> ToolCall:
    words = [word for word in _WORD.findall(prompt.instruction) if word[0].isupper()] or ["simulated"]
    arguments: Any = instance_of({"type": "object", **tool.parameters}, seed=seed, words=words)
    text = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(call_id(seed, tool.name), tool.name, tuple(tokens.pieces(text)))


def _seed(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=16).hexdigest()
