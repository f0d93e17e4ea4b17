"""A sequence whose items are made when they are read. `decide` gives what few requests read in full.

Invariant: an item is made at most once, and its making depends on nothing that changes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

Item = TypeVar("Item")


class Lazily(Sequence[Item], Generic[Item]):
    """`count` items, each made by its place on first reading. It equals any sequence of the same items."""

    __slots__ = ("_count", "_made", "_make")

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self._count = count
        self._make = make
        self._made: dict[int, Item] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | Sequence[Item]:
        if isinstance(place, slice):
            return tuple(map(self._item, range(self._count)[place]))
        return self._item(range(self._count)[place])

    def __iter__(self) -> Iterator[Item]:
        return map(self._item, range(self._count))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def _item(self, place: int) -> Item:
        if place not in self._made:
            self._made[place] = self._make(place)
        return self._made[place]


def _same(one: object, other: object) -> bool:
    return one == other
