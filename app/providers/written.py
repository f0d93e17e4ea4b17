"""An answer that this program writes itself, in the shape of a provider's response. Used by the gateway.

It is written in OpenAI's words, so that whatever dialect the caller speaks, its interpreter reads it as any other.
Invariant: it counts no tokens, since nobody generated any.
"""

from collections.abc import AsyncIterator, Mapping
from time import time
from types import MappingProxyType
from typing import Final

from app.providers.dialects.completion import Completion, Finish, Finished, Started, TextDelta
from app.providers.dialects.conversation import Text
from app.providers.dialects.openai import OpenAIDeltaWriter, write_completion
from app.providers.dialects.values import Cost
from app.providers.vendors import DialectName
from billing import Usage

WRITTEN_DIALECT: Final[DialectName] = "openai"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_NO_COST: Final = Cost(billed_nano_usd=None, saved_nano_usd=None)


class WrittenResponse:
    """A response that has come: read it whole or by chunks, as `UpstreamResponse`."""

    def __init__(self, body: bytes) -> None:
        self.status = 200
        self.headers = _NO_HEADERS
        self._body = body

    async def read(self) -> bytes:
        """The whole body."""
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body at once."""
        yield self._body

    def close(self) -> None:
        """Nothing is held."""


def write_response(text: str, *, response_id: str, model: str, is_streamed: bool) -> WrittenResponse:
    """Write a text as an answer, whole or as a stream's events."""
    created = int(time())
    if not is_streamed:
        completion = Completion(
            response_id=response_id, model=model, parts=(Text(text),), finish=Finish.STOP, created=created
        )
        return WrittenResponse(write_completion(completion, Usage(), _NO_COST))
    writer = OpenAIDeltaWriter(wants_usage=True)
    events = writer.write([Started(response_id, model, created), TextDelta(text), Finished(Finish.STOP)])
    return WrittenResponse(events + writer.ending(Usage(), _NO_COST))
