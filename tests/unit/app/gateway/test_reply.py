"""What a reply's headers may hold, whatever a caller names its fields."""

from hypothesis import given
from hypothesis import strategies as st

from app.gateway.reply import DROPPED_CHARACTERS_MAX, dropped_header


@given(st.lists(st.text(max_size=200) | st.sampled_from(["a\r\nset-cookie: x", "a,b", "top_k"]), max_size=60))
def test_names_of_fields_stay_one_printable_list_of_bounded_length(names: list[str]) -> None:
    header = dropped_header(names)
    assert header.isascii()
    assert header.decode().isprintable()
    assert len(header) <= DROPPED_CHARACTERS_MAX + 10
    listed = header.decode().split(",")
    more = int(listed.pop()[1:]) if listed[-1].startswith("+") and len(listed) != len(names) else 0
    assert len(listed) + more == max(1, len(names))


def test_names_that_are_well_formed_stand_as_they_are() -> None:
    assert dropped_header(["top_k", "messages.thinking", "cache_control.ttl"]) == (
        b"top_k,messages.thinking,cache_control.ttl"
    )
