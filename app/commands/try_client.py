"""Sends prompts to a running gateway as any client would, and reads what became of each.

Called by `signalbox try`. Invariant: amounts are the gateway's own, exact to the nano-dollar: from the
headers, from a stream's last chunk, or where an answer could not carry them from the request's record.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from time import monotonic
from typing import Any, Final, Literal, NamedTuple

import aiohttp

from app.commands.amounts import nano_usd_of
from app.commands.errors import GatewayRefused
from app.commands.try_prompts import Prompt
from app.commands.try_stream import StreamRead, read_stream

CONNECT_TIMEOUT_S: Final = 10.0
# Beyond the longest deadline that a gateway keeps by default.
REQUEST_TIMEOUT_S: Final = 660.0
RETRY_WAIT_S_MAX: Final = 120.0
RETRY_STATUSES: Final = frozenset({429, 503})
# A record is written behind an error's reply, so it may be a moment late.
RECORD_TRIES_MAX: Final = 40
RECORD_WAIT_S: Final = 0.05
REQUEST_ID: Final = "x-signalbox-request-id"

Ending = Literal["answered", "refused", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """One HTTP request and its reply. An amount of None is unknown."""

    ending: Ending
    reason: str | None = None  # the error's code when it was not answered
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    attempt_count: int = 0
    cost_nano_usd: int | None = 0
    saved_nano_usd: int | None = None
    latency_ms: int = 0
    first_token_ms: int | None = None
    retry_after_s: float | None = None  # the gateway says when to try again
    answer: str | None = field(default=None, repr=False)  # the text of a whole answer

    def route(self) -> dict[str, str]:
        """The fields of the route header: policy, rule, task, confidence, reason."""
        parts = (part.partition("=") for part in self.headers.get("x-signalbox-route", "").split(";"))
        return {name: value for name, mark, value in parts if mark}

    @property
    def model(self) -> str | None:
        """`provider/model` of the candidate that served the request."""
        model = self.headers.get("x-signalbox-model")
        return f"{self.headers.get('x-signalbox-provider')}/{model}" if model else None


@dataclass(frozen=True, slots=True)
class Tried:
    """A prompt with every request that was sent for it; the last one decides what became of it."""

    prompt: Prompt
    exchanges: tuple[Exchanged, ...]

    @property
    def last(self) -> Exchanged:
        """How it ended."""
        return self.exchanges[-1]


class GatewayClient:
    """A client of one gateway with one key."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        api_key: str,
        *,
        model: str,
        is_streamed: bool,
        is_task_told: bool,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._authorization = {"authorization": f"Bearer {api_key}", **(headers or {})}
        self._model = model
        self._is_streamed = is_streamed
        self._is_task_told = is_task_told

    async def check(self) -> None:
        """Make sure that a gateway is there and takes the key. Raises GatewayRefused."""
        try:
            async with self._http.get(f"{self._base_url}/v1/models", headers=self._authorization) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise GatewayRefused(
                f"No gateway answers at {self._base_url} ({_said(error)}). "
                "Start one with `signalbox up`, or name another with --base-url."
            ) from error
        if REQUEST_ID not in response.headers:
            raise GatewayRefused(f"What answers at {self._base_url} is not a Signalbox gateway. Check --base-url.")
        if response.status != 200:
            raise GatewayRefused(f"The gateway does not take the key: {_told(response.status, body).message}")

    async def send(self, prompt: Prompt) -> Tried:
        """Send one prompt, and again as often as the gateway says when, for two minutes at most."""
        exchanges: list[Exchanged] = []
        waited_s = 0.0
        while True:
            exchanged = await self._exchange(prompt)
            exchanges.append(exchanged)
            wait_s = exchanged.retry_after_s
            if wait_s is None or waited_s + wait_s > RETRY_WAIT_S_MAX:
                return Tried(prompt, tuple(exchanges))
            await asyncio.sleep(wait_s)
            waited_s += wait_s

    async def _exchange(self, prompt: Prompt) -> Exchanged:
        started = monotonic()
        headers: Mapping[str, str] = {}
        try:
            async with self._http.post(
                f"{self._base_url}/v1/chat/completions", json=self._body(prompt), headers=self._headers(prompt)
            ) as response:
                headers = response.headers
                if response.status == 200 and self._is_streamed:
                    return await self._streamed(headers, await read_stream(response.content), started)
                return await self._whole(response.status, headers, await response.read(), started)
        except (aiohttp.ClientError, TimeoutError) as error:
            failed = Exchanged(
                ending="failed", reason="connection_lost", message=_said(error), headers=headers,
                attempt_count=_attempts(headers), cost_nano_usd=None, latency_ms=_elapsed_ms(started),
            )  # fmt: skip
            return await self._with_record(failed)

    def _body(self, prompt: Prompt) -> dict[str, object]:
        messages = [{"role": "system", "content": prompt.system}] if prompt.system else []
        messages.append({"role": "user", "content": prompt.text})
        body: dict[str, object] = {"model": self._model, "messages": messages}
        if self._is_streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def _headers(self, prompt: Prompt) -> dict[str, str]:
        if self._is_task_told and prompt.task:
            return self._authorization | {"x-signalbox-metadata": json.dumps({"task": prompt.task})}
        return self._authorization

    async def _whole(self, status: int, headers: Mapping[str, str], body: bytes, started: float) -> Exchanged:
        latency_ms, attempt_count = _elapsed_ms(started), _attempts(headers)
        if status == 200:
            answered = Exchanged(
                ending="answered", headers=headers, attempt_count=attempt_count, latency_ms=latency_ms,
                cost_nano_usd=_amount(headers.get("x-signalbox-cost-usd")),
                saved_nano_usd=_amount(headers.get("x-signalbox-saved-usd")), answer=_answer(body),
            )  # fmt: skip
            return await self._with_record(answered)
        told = _told(status, body)
        retry_after = headers.get("retry-after", "")
        may_retry = status in RETRY_STATUSES and headers.get("x-should-retry") != "false" and retry_after.isdecimal()
        failed = Exchanged(
            ending="refused" if status < 500 and not told.is_upstream else "failed",
            reason=told.code, message=told.message, headers=headers,
            attempt_count=attempt_count, cost_nano_usd=None if attempt_count else 0, latency_ms=latency_ms,
            retry_after_s=float(retry_after) if may_retry else None,
        )  # fmt: skip
        return await self._with_record(failed)

    async def _streamed(self, headers: Mapping[str, str], read: StreamRead, started: float) -> Exchanged:
        is_whole = read.error is None and read.is_ended
        told = _told_by(read.error, code="stream_cut", message="The stream broke off.")
        exchanged = Exchanged(
            ending="answered" if is_whole else "failed",
            reason=None if is_whole else told.code,
            message=None if is_whole else told.message,
            headers=headers,
            attempt_count=_attempts(headers),
            cost_nano_usd=_amount(read.usage.get("cost")),
            saved_nano_usd=_amount(read.usage.get("saved")),
            latency_ms=_elapsed_ms(started),
            first_token_ms=None if read.first_token_at is None else int((read.first_token_at - started) * 1000),
        )
        return await self._with_record(exchanged)

    async def _with_record(self, exchanged: Exchanged) -> Exchanged:
        """The exchange with its record's amounts, when its own reply could not tell them."""
        request_id = exchanged.headers.get(REQUEST_ID)
        if exchanged.cost_nano_usd is not None or request_id is None:
            return exchanged
        record = await self._record(request_id)
        if record is None:
            return exchanged
        billed, baseline = record["billed_nano_usd"], record["baseline_nano_usd"]
        return replace(
            exchanged,
            attempt_count=record["attempt_count"],
            cost_nano_usd=billed,
            saved_nano_usd=None if baseline is None else baseline - billed,
        )

    async def _record(self, request_id: str) -> dict[str, Any] | None:
        for _ in range(RECORD_TRIES_MAX):
            try:
                url = f"{self._base_url}/v1/requests/{request_id}"
                async with self._http.get(url, headers=self._authorization) as response:
                    if response.status == 200:
                        found: dict[str, Any] = await response.json()
                        return found
                    if response.status != 404:
                        return None
            except (aiohttp.ClientError, TimeoutError):
                return None
            await asyncio.sleep(RECORD_WAIT_S)
        return None


def _answer(body: bytes) -> str | None:
    """The text of a whole answer; None where it has none, as when a tool is called."""
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return content if isinstance(content, str) else None


def _elapsed_ms(started: float) -> int:
    return int((monotonic() - started) * 1000)


def _attempts(headers: Mapping[str, str]) -> int:
    return int(headers.get("x-signalbox-attempts", "0"))


def _amount(dollars: str | Decimal | int | None) -> int | None:
    return None if dollars is None else nano_usd_of(str(dollars))


class _Told(NamedTuple):
    """What an error object says."""

    code: str
    message: str
    is_upstream: bool


def _told(status: int, body: bytes) -> _Told:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    error = told.get("error") if isinstance(told, dict) else None
    return _told_by(error, code=f"http_{status}", message=f"The gateway answered {status}.")


def _told_by(error: object, *, code: str, message: str) -> _Told:
    words = error if isinstance(error, dict) else {}
    return _Told(
        str(words.get("code") or code), str(words.get("message") or message), words.get("type") == "upstream_error"
    )


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
