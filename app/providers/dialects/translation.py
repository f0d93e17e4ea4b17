"""Interpreters: a dialect with itself, byte for byte, and two dialects by way of the common form."""

from app.providers.dialects.conversation import Encoded
from app.providers.dialects.shape import Dialect, RequestBody
from app.providers.dialects.values import Answer, Cost, StreamReader
from app.providers.errors import UpstreamRefused
from app.providers.vendors import Vendor
from billing import Usage


class Native:
    """Caller and provider speak the same dialect: what the gateway does not need to read passes as it came."""

    def __init__(self, dialect: Dialect) -> None:
        self.path = dialect.path
        self._dialect = dialect

    def encode_request(
        self, body: RequestBody, *, model: str, output_tokens_limit: int | None, vendor: Vendor
    ) -> Encoded:
        """Write the request with the vendor's model and limit."""
        return self._dialect.encode_request(body, model=model, output_tokens_limit=output_tokens_limit, vendor=vendor)

    def decode_answer(self, raw: bytes) -> Answer:
        """Read the facts of the whole answer."""
        return self._dialect.decode_answer(raw)

    def decode_error(self, status: int, raw: bytes) -> UpstreamRefused:
        """Read the refusal."""
        return self._dialect.decode_error(status, raw)

    def read_stream(self, *, wants_usage: bool) -> StreamReader:
        """Open a reader that passes events on."""
        return self._dialect.read_stream(wants_usage=wants_usage)

    def write_answer(self, raw: bytes, usage: Usage, cost: Cost) -> bytes:
        """Give the answer with the amounts."""
        return self._dialect.with_cost(raw, usage, cost)
