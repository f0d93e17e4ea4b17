"""What an attempt is charged for that gave no count of its own: it failed, was given up, or its provider kept silent.

Called by `attempts` and `reply`. Invariant: what a provider surely does not bill costs the caller nothing.
"""

import asyncio
from typing import Final

from app.errors import row_of
from app.gateway.causes import is_impatience, outcome_of
from app.gateway.exchange import Attempt, Exchange
from app.providers import Answer, UpstreamError, UpstreamRefused
from billing import Outcome, Usage

BYTES_PER_TOKEN_ESTIMATE: Final = 4


def keep_failed(exchange: Exchange, attempt: Attempt, error: BaseException) -> None:
    """Keep an attempt that gave no answer. Settling the record gives back what it has reserved."""
    if isinstance(error, UpstreamError):
        status = error.status if isinstance(error, UpstreamRefused) else None
        # Given up by a rule of the tenant's after the provider took it: the input is charged, as after a hang-up.
        is_charged = attempt.is_accepted and is_impatience(error)
        record = attempt.end(
            outcome_of(error),
            usage=estimated_usage(exchange, output_tokens=0) if is_charged else None,
            http_status=status,
            error_type=error.kind,
            error_message=str(error),
        )
    elif isinstance(error, asyncio.CancelledError):
        # The caller hung up. A provider that may have the call bills the input, whether or not anyone reads; who could
        # leave before its first byte at no cost would spend the platform's money.
        usage = estimated_usage(exchange, output_tokens=0) if attempt.is_sent else None
        record = attempt.end(Outcome.CANCELLED, usage=usage, error_type="client_closed_request")
    else:
        record = attempt.end(row_of(error).outcome, error_type=type(error).__name__)
    exchange.attempts.append(record)


def estimated_usage(exchange: Exchange, *, output_tokens: int) -> Usage:
    """Usage by our own count, for when the provider's never came; flagged as estimated."""
    assert exchange.request is not None
    return Usage(
        input_tokens=exchange.request.facts.input_tokens_estimate, output_tokens=output_tokens, is_estimated=True
    )


def tokens_of(answer: Answer) -> int:
    """Output tokens by the size of a whole answer."""
    return -(-answer.output_bytes // BYTES_PER_TOKEN_ESTIMATE)
