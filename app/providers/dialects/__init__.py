"""Provider languages: one folder each of pure functions over bytes, and the table that finds them."""

from app.providers.dialects.conversation import Encoded
from app.providers.dialects.shape import Dialect, Interpreter, RequestBody
from app.providers.dialects.table import DIALECTS, interpreter_between, read_facts
from app.providers.dialects.values import Answer, Cost, StreamReader

__all__ = [
    "DIALECTS",
    "Answer",
    "Cost",
    "Dialect",
    "Encoded",
    "Interpreter",
    "RequestBody",
    "StreamReader",
    "interpreter_between",
    "read_facts",
]
