"""Provider languages: one folder each of pure functions over bytes, and the table that finds them."""

from app.providers.dialects.table import DIALECTS, Dialect
from app.providers.dialects.values import Answer, Cost, StreamReader

__all__ = ["DIALECTS", "Answer", "Cost", "Dialect", "StreamReader"]
