"""Reading the request headers that narrow a route."""

from typing import Any

import pytest

from app.gateway.errors import HeaderInvalid
from app.http.hints import client_request_id, read_hints


def connection(**headers: str) -> Any:
    return {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}


def test_hints_are_read_from_their_headers() -> None:
    hints = read_hints(
        connection(
            x_signalbox_tags="a, b,,",
            x_signalbox_metadata='{"task":"planning"}',
            x_signalbox_policy="frugal",
            x_signalbox_max_cost="0.0000015",
            x_signalbox_no_fallback="true",
        )
    )
    assert hints.tags == ("a", "b")
    assert hints.metadata == {"task": "planning"}
    assert hints.policy_name == "frugal"
    assert hints.cost_nano_usd_max == 1500
    assert hints.no_fallback


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_signalbox_metadata", "[1]"),
        ("x_signalbox_metadata", '{"task": 1}'),
        ("x_signalbox_metadata", "{"),
        ("x_signalbox_metadata", '{"k": "' + "v" * 257 + '"}'),
        ("x_signalbox_tags", ",".join("abcdefghijklmnopqrstu")),
        ("x_signalbox_tags", "x" * 65),
        ("x_signalbox_max_cost", "-1"),
        ("x_signalbox_max_cost", "NaN"),
        ("x_signalbox_max_cost", "Infinity"),
        ("x_signalbox_max_cost", "a lot"),
        ("x_signalbox_no_fallback", "maybe"),
    ],
)
def test_a_header_that_does_not_hold_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(HeaderInvalid, match=name.replace("_", "-")):
        read_hints(connection(**{name: value}))


def test_without_our_headers_there_are_no_hints() -> None:
    assert read_hints(connection(authorization="Bearer x")).tags == ()


@pytest.mark.parametrize("value", ["x" * 129, "a\tb", "caf\xe9"])
def test_a_client_request_id_that_could_break_a_header_is_refused(value: str) -> None:
    assert client_request_id(connection(x_request_id=value)) is None
    with pytest.raises(HeaderInvalid, match="x-request-id"):
        read_hints(connection(x_request_id=value))
