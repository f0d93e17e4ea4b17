"""How things are answered: fields by their own names, amounts twice, lists as pages.

Used by every controller. Invariant: an answer holds what its struct names and nothing else of what is
stored; each `*_usd` is exactly its `*_nano_usd`.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from app.providers import usd
from tenants import FieldInvalid

PAGE_MAX: Final = 200
PAGE: Final = 50
NANO_SUFFIX: Final = "_nano_usd"
USD_SUFFIX: Final = "_usd"

Answer = TypeVar("Answer", bound=msgspec.Struct)
Item = TypeVar("Item")
Id = TypeVar("Id", UUID, str)

Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MAX, description="How many at most.")]
After = Annotated[UUID | None, QueryParameter(description="The `last_id` of the page before.")]


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """One page of a list; `last_id` as `after` asks for the next."""

    data: tuple[Item, ...]
    has_more: bool
    last_id: str | None
    object: Literal["list"] = "list"


def answer_of(kind: type[Answer], stored: object, **more: object) -> Answer:
    """The answer that tells of something stored; `more` is what only the route knows."""
    values = dict(more)
    for name in kind.__struct_fields__:
        if name not in values:
            is_dollars = name.endswith(USD_SUFFIX) and not name.endswith(NANO_SUFFIX)
            values[name] = _dollars(stored, name) if is_dollars else getattr(stored, name)
    return kind(**values)


def page_of(items: Sequence[Item], id_of: Callable[[Item], Id], *, limit: int) -> Page[Item]:
    """The page of items that were read with one more than the limit, to see whether there are more."""
    data = tuple(items[:limit])
    return Page(data=data, has_more=len(items) > limit, last_id=str(id_of(data[-1])) if data else None)


def page_within(items: Sequence[Item], id_of: Callable[[Item], Id], *, limit: int, after: Id | None) -> Page[Item]:
    """A page of a list that is whole in memory because it is short. Raises FieldInvalid for an unknown `after`."""
    start = 0
    if after is not None:
        found = [place for place, item in enumerate(items) if id_of(item) == after]
        if not found:
            raise FieldInvalid("after", f"after is '{after}', which is not in this list. Start again without it.")
        start = found[0] + 1
    return page_of(items[start : start + limit + 1], id_of, limit=limit)


def _dollars(stored: object, name: str) -> str | None:
    amount = getattr(stored, name.removesuffix(USD_SUFFIX) + NANO_SUFFIX)
    return None if amount is None else usd(amount).decode()
