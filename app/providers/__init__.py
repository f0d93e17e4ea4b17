"""How providers are reached and spoken to: vendors, dialects, the pinned client and the catalogue."""

from app.providers.addresses import AllowList, check_address
from app.providers.catalogue import candidates_for, priors_of
from app.providers.dialects import (
    DIALECTS,
    Answer,
    Cost,
    Dialect,
    Encoded,
    Interpreter,
    RequestBody,
    StreamReader,
    interpreter_between,
    read_facts,
)
from app.providers.dialects.anthropic import MessagesBody, decode_messages
from app.providers.dialects.openai import ChatBody, decode_chat
from app.providers.dialects.values import usd
from app.providers.errors import (
    AddressNotAllowed,
    AllowListInvalid,
    AnswerMalformed,
    AnswerTooLarge,
    BodyInvalid,
    ConnectFailed,
    ConnectionLost,
    FailureKind,
    ProviderError,
    StreamCut,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    VendorUnknown,
)
from app.providers.transport import Timeouts, Transport, UpstreamCall, UpstreamResponse
from app.providers.vendors import VENDORS, Vendor, check_offer, endpoint_url, request_headers, vendor_of
from app.providers.written import WRITTEN_DIALECT, WrittenResponse, write_response

__all__ = [
    "DIALECTS",
    "VENDORS",
    "WRITTEN_DIALECT",
    "AddressNotAllowed",
    "AllowList",
    "AllowListInvalid",
    "Answer",
    "AnswerMalformed",
    "AnswerTooLarge",
    "BodyInvalid",
    "ChatBody",
    "ConnectFailed",
    "ConnectionLost",
    "Cost",
    "Dialect",
    "Encoded",
    "FailureKind",
    "Interpreter",
    "MessagesBody",
    "ProviderError",
    "RequestBody",
    "StreamCut",
    "StreamReader",
    "Timeouts",
    "Transport",
    "UpstreamCall",
    "UpstreamError",
    "UpstreamRefused",
    "UpstreamResponse",
    "UpstreamTimeout",
    "Vendor",
    "VendorUnknown",
    "WrittenResponse",
    "candidates_for",
    "check_address",
    "check_offer",
    "decode_chat",
    "decode_messages",
    "endpoint_url",
    "interpreter_between",
    "priors_of",
    "read_facts",
    "request_headers",
    "usd",
    "vendor_of",
    "write_response",
]
