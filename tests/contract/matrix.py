"""The matrix: SDK × provider dialect × case. Which SDKs there are, how a column is run, and how it is printed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from tests.contract.cases import CASES, Case, Surface
from tests.contract.seen import Expected, ProviderName, Seen, problems

PROVIDERS: Final[tuple[ProviderName, ...]] = ("sandbox", "sandbox-anthropic")
DIALECTS: Final[Mapping[str, str]] = {"sandbox": "OpenAI", "sandbox-anthropic": "Anthropic"}
MODEL: Final = "deep-large"
PROPERTY: Final = "sdk_matrix"
WIDTH: Final = 150
RECORD_POLL_S: Final = 0.02
RECORD_POLLS_MAX: Final = 500


class SDK(msgspec.Struct, frozen=True, kw_only=True):
    """One official SDK. `class_by_status` names what it raises; `otherwise` from 500 on, `in_stream` after content."""

    name: str
    surface: Surface
    class_by_status: Mapping[int, str]
    otherwise: str
    in_stream: str

    def class_names(self, expected: Expected) -> frozenset[str]:
        """The class that the SDK has for an error."""
        if expected.status is None:
            return frozenset({self.in_stream})
        return frozenset({self.class_by_status.get(expected.status, self.otherwise)})


_COMMON: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
# As the SDKs' own tables of classes say: openai 3.54 and 7.57, anthropic 2.12 and 1.13 (2026-11).
OPENAI_PYTHON: Final = SDK(
    name="openai Python",
    surface="openai",
    class_by_status=_COMMON | {402: "APIStatusError", 413: "APIStatusError"},
    otherwise="InternalServerError",
    in_stream="APIError",
)
ANTHROPIC_PYTHON: Final = SDK(
    name="anthropic Python",
    surface="anthropic",
    class_by_status=_COMMON
    | {402: "PaymentRequiredError", 413: "ContentTooLargeError", 503: "ServiceUnavailableError"}
    | {504: "GatewayTimeoutError", 529: "OverloadedError"},
    otherwise="InternalServerError",
    in_stream="APIStatusError",
)
OPENAI_NODE: Final = SDK(
    name="openai Node",
    surface="openai",
    class_by_status=_COMMON | {402: "APIError", 413: "APIError"},
    otherwise="InternalServerError",
    in_stream="APIError",
)
ANTHROPIC_NODE: Final = SDK(
    name="anthropic Node",
    surface="anthropic",
    class_by_status=ANTHROPIC_PYTHON.class_by_status,
    otherwise="InternalServerError",
    in_stream="APIError",
)


# Cells that are green and yet not what a reader would expect: surface, language or "", provider, case, why.
_NOTES: Final[tuple[tuple[Surface, str, ProviderName, str, str], ...]] = (
    (
        "anthropic", "", "sandbox", "stop text",
        "reads 'end_turn', because OpenAI's wire says 'stop' whether a stop text or the model ended the answer",
    ),
    (
        "openai", "Node", "sandbox-anthropic", "thinking loop, streamed",
        "the caller puts `reasoning_details` together, because this SDK keeps only the last piece of a field that it "
        "does not know",
    ),
)  # fmt: skip


def cases_for(sdk: SDK, provider: ProviderName) -> list[Case]:
    """The cases of a column, with the provider's models."""
    names = {"{model}": f"{provider}/{MODEL}", "{provider}": provider}
    return [
        msgspec.structs.replace(case, request=_filled(case.request, names), expected=_expected_of(case, provider))
        for case in CASES[sdk.surface]
    ]


def _expected_of(case: Case, provider: ProviderName) -> Expected:
    if finish := case.finish_by_provider.get(provider):
        return msgspec.structs.replace(case.expected, finish=finish)
    return case.expected


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, Mapping):
        return {key: _filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, names) for inner in value]
    return value


def judge(sdk: SDK, provider: ProviderName, cases: Sequence[Case], seen: Sequence[Seen]) -> dict[str, list[str]]:
    """What is wrong with each case of a column."""
    return {
        case.name: problems(case.expected, one, provider=provider, class_names=sdk.class_names(case.expected))
        for case, one in zip(cases, seen, strict=True)
    }


async def outcome_problems(
    cases: Sequence[Case], seen: Sequence[Seen], outcome_of: Callable[[str], Awaitable[str | None]]
) -> dict[str, list[str]]:
    """What is wrong with the requests' own records; they are written a moment after the end."""
    found: dict[str, list[str]] = {}
    for case, one in zip(cases, seen, strict=True):
        if case.expected.outcome is None:
            continue
        outcome = None
        for _ in range(RECORD_POLLS_MAX):
            if one.request_id is None or (outcome := await outcome_of(one.request_id)) is not None:
                break
            await asyncio.sleep(RECORD_POLL_S)
        if outcome != case.expected.outcome:
            found[case.name] = [f"its record says {outcome!r} and not {case.expected.outcome!r}"]
    return found


def show_matrix(columns: Iterable[str], write: Callable[[str], None]) -> None:
    """Print what columns found: JSON each, as `column_json` wrote it."""
    read = [json.loads(column) for column in columns]
    names = list(dict.fromkeys(name for column in read for name in column["cells"]))
    table = Table(title="Official SDKs × provider dialect")
    table.add_column("case", no_wrap=True)
    for column in read:
        table.add_column(
            f"{column['sdk']} →".replace(" ", "\n") + f"\n{DIALECTS[column['provider']]}", justify="center"
        )
    for name in names:
        table.add_row(name, *(_mark(column, name) for column in read))
    console = Console(width=WIDTH)
    with console.capture() as captured:
        console.print(table)
    write(captured.get())
    for column in read:
        where = f"{column['sdk']} → {column['provider']}"
        for name, wrong in column["cells"].items():
            if wrong:
                write(f"✗ {where}, {name}: {'; '.join(wrong)}")
        for name, note in column["notes"].items():
            write(f"* {where}, {name}: {note}.")


def _mark(column: Mapping[str, Any], name: str) -> str:
    if name not in column["cells"]:
        return ""
    return "✗" if column["cells"][name] else "✓ *" if name in column["notes"] else "✓"


def column_json(sdk: SDK, provider: ProviderName, cells: Mapping[str, Sequence[str]]) -> str:
    """A column for the report of its test, which may run in another process."""
    notes = {
        case: why
        for surface, language, with_provider, case, why in _NOTES
        if surface == sdk.surface and language in sdk.name and with_provider == provider and case in cells
    }
    return json.dumps({"sdk": sdk.name, "provider": provider, "cells": cells, "notes": notes})
