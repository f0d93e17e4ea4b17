"""A lazy sequence is the sequence, but for what is never read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.lazily import Lazily


def test_each_item_is_made_once_and_only_when_read() -> None:
    made: list[int] = []

    def make(place: int) -> str:
        made.append(place)
        return str(place)

    items = Lazily(5, make)
    assert (items[3], items[3], items[-1]) == ("3", "3", "4")
    assert next(iter(items)) == "0"
    assert made == [3, 4, 0]
    assert len(items) == 5


@given(st.lists(st.integers(), max_size=6), st.slices(6))
def test_it_reads_as_a_tuple_does(values: list[int], part: slice) -> None:
    items = Lazily(len(values), values.__getitem__)
    assert tuple(items) == tuple(values)
    assert tuple(items[part]) == tuple(values[part])
    assert items == tuple(values)
    assert items == Lazily(len(values), values.__getitem__)
    assert items != (*values, 1)
    with pytest.raises(IndexError):
        items[len(values)]
