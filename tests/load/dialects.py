"""What the dialects cost by themselves: CPU µs for each step of a request, and for each event of a stream.

Run by hand as `python -m tests.load.dialects`; `make bench` measures the whole gateway. Each figure is the best of
several rounds over different requests, since other work on the machine can only add to it.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Final, TypeVar
from uuid import UUID

from rich.console import Console
from rich.table import Table

from app.providers import (
    Cost,
    RequestBody,
    decode_chat,
    decode_messages,
    endpoint_url,
    interpreter_between,
    read_facts,
    request_headers,
    vendor_of,
)
from app.providers.vendors import DialectName, Vendor
from billing import Usage
from tests.load.prompts import pool
from tests.load.upstream import ANTHROPIC, OPENAI, Wire

ROUNDS: Final = 15
REQUESTS: Final = 256
STREAMS: Final = 40
MANY: Final = 16
OUTPUT_TOKENS: Final = 400
USAGE: Final = Usage(input_tokens=300, output_tokens=20)
COST: Final = Cost(billed_nano_usd=61_234_500, saved_nano_usd=3_250)
ATTEMPT_ID, REQUEST_ID = UUID(int=1), UUID(int=2)

DECODE: Final[Mapping[DialectName, Callable[[bytes], RequestBody]]] = {
    "openai": decode_chat,
    "anthropic": decode_messages,
}
WIRES: Final[Mapping[DialectName, Wire]] = {"openai": OPENAI, "anthropic": ANTHROPIC}
VENDORS: Final[Mapping[DialectName, Vendor]] = {"openai": vendor_of("openai"), "anthropic": vendor_of("anthropic")}
PAIRS: Final = tuple(product(DECODE, repeat=2))

PARAMETERS: Final = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Final[Mapping[DialectName, object]] = {
    "openai": [{"type": "function", "function": {"name": f"look_{at}", "parameters": PARAMETERS}} for at in range(4)],
    "anthropic": [{"name": f"look_{at}", "input_schema": PARAMETERS} for at in range(4)],
}
PAYLOAD: Final = "iVBORw0KGgo" + "A" * 20_000
IMAGES: Final[Mapping[DialectName, object]] = {
    "openai": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PAYLOAD}"}},
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PAYLOAD}},
}
# What is laid over the plain request of about 1 KB, by the kind's name.
KINDS: Final[Mapping[str, Callable[[DialectName, str], dict[str, Any]]]] = {
    "plain": lambda caller, prompt: {},
    "streamed": lambda caller, prompt: {"stream": True},
    "20 turns": lambda caller, prompt: {"messages": _turns(prompt)},
    "4 tools": lambda caller, prompt: {"tools": TOOLS[caller]},
    "not ASCII": lambda caller, prompt: {"messages": _said(prompt + " Größe: 5 µm – ‘ok’")},
    "image": lambda caller, prompt: {"messages": _said([{"type": "text", "text": prompt}, IMAGES[caller]])},
}

Given = TypeVar("Given")


def bodies(caller: DialectName, kind: str) -> list[bytes]:
    """Different requests of one kind, written as the SDKs write them."""
    written = []
    for prompt in pool()[:REQUESTS]:
        plain = {"model": "auto", "messages": _said(prompt), "max_tokens": 500}
        fields = plain | KINDS[kind](caller, prompt)
        written.append(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())
    return written


def steps_us(caller: DialectName, provider: DialectName, raws: Sequence[bytes]) -> dict[str, float]:
    """CPU µs of each step of a request that is answered whole, by the step's name."""
    interpreter, vendor = interpreter_between(caller, provider), VENDORS[provider]
    decoded = [DECODE[caller](raw) for raw in raws]
    answers = [WIRES[provider].whole.partition(b"\r\n\r\n")[2]] * len(raws)

    def encode(body: RequestBody) -> object:
        return interpreter.encode_request(body, model="model-1", output_tokens_limit=OUTPUT_TOKENS, vendor=vendor)

    def address(_: RequestBody) -> object:
        url = endpoint_url(vendor, None, interpreter.path)
        return url, request_headers(vendor, "sk-key", attempt_id=ATTEMPT_ID, request_id=REQUEST_ID)

    told = {
        "decode": best_us(DECODE[caller], raws),
        "facts": best_us(read_facts, decoded),
        "encode": best_us(encode, decoded),
        "address": best_us(address, decoded),
        "read answer": best_us(interpreter.decode_answer, answers),
        "write answer": best_us(lambda raw: interpreter.write_answer(raw, USAGE, COST), answers),
    }
    return told | {"sum": sum(told.values())}


def event_us(caller: DialectName, provider: DialectName, *, events_per_chunk: int) -> float:
    """CPU µs for one event of a stream, with its share of beginning and ending one."""
    events = [chunk.partition(b"\r\n")[2].removesuffix(b"\r\n") for chunk in WIRES[provider].stream[1:-1]]
    chunks = [b"".join(events[at : at + events_per_chunk]) for at in range(0, len(events), events_per_chunk)]
    interpreter = interpreter_between(caller, provider)

    def pass_on(_: int) -> None:
        reader = interpreter.read_stream(wants_usage=True)
        for chunk in chunks:
            reader.feed(chunk)
        reader.close()
        assert reader.failure is None
        reader.ending(USAGE, COST)

    return best_us(pass_on, range(STREAMS)) / len(events)


def best_us(step: Callable[[Given], object], given: Iterable[Given]) -> float:
    """The best round's CPU µs for one call of a step."""
    each_given = list(given)
    rounds_us = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for each in each_given:
            step(each)
        rounds_us.append((time.process_time_ns() - began) / len(each_given) / 1_000)
    return min(rounds_us)


def main() -> None:
    """Measure everything, and print two tables."""
    console = Console(width=120)
    rows = {
        (kind, caller, provider): steps_us(caller, provider, bodies(caller, kind))
        for kind, (caller, provider) in product(KINDS, PAIRS)
    }
    table = Table("request", "from → to", *next(iter(rows.values())), title="CPU µs for each step of a request")
    for (kind, caller, provider), told_us in rows.items():
        table.add_row(kind, f"{caller} → {provider}", *(f"{us:.1f}" for us in told_us.values()))
    console.print(table)
    table = Table("from → to", "one to a chunk", f"{MANY} to a chunk", title="CPU µs for each event of a stream")
    for caller, provider in PAIRS:
        events_us = (event_us(caller, provider, events_per_chunk=count) for count in (1, MANY))
        table.add_row(f"{caller} → {provider}", *(f"{us:.2f}" for us in events_us))
    console.print(table)


def _said(content: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": content}]


def _turns(prompt: str) -> list[dict[str, object]]:
    texts = [prompt[at::20] for at in range(20)]
    return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate([*texts, "Go on."])]


if __name__ == "__main__":
    main()
