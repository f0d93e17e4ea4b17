"""Every route of an application, from its own route table, as requests that somebody could send."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple

from litestar import Litestar
from litestar.routes import HTTPRoute

# What a plain ASGI route takes is its own business, so every verb is tried there.
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOT_TAKEN = 405
REFUSED = {401, 403}
SIGN_IN = re.compile(r"/sign-in\b")
# Verb and path in; status and `location` out.
Knock = Callable[[str, str], Awaitable[tuple[int, str]]]


class Door(NamedTuple):
    """One verb on one path."""

    verb: str
    path: str

    def at(self, ids: Mapping[str, str]) -> str:
        """The path with its parameters filled in."""
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: ids[match[1]], self.path)


def doors(app: Litestar) -> Iterator[Door]:
    """Every verb on every path, public or not."""
    for route in app.routes:
        verbs = sorted(route.methods - {"OPTIONS", "HEAD"}) if isinstance(route, HTTPRoute) else VERBS
        for verb in verbs:
            yield Door(verb, _template(route.path))


async def open_doors(app: Litestar, knock: Knock) -> set[Door]:
    """The doors that do not refuse who knocks: neither 401 or 403, nor the way to sign in."""
    found = set()
    for door in doors(app):
        status, location = await knock(door.verb, door.at(_AnyId()))
        is_led_to_sign_in = status in {302, 303} and SIGN_IN.search(location)
        if status != NOT_TAKEN and status not in REFUSED and not is_led_to_sign_in:
            found.add(door)
    return found


class _AnyId(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "01a20cb8-c0db-75a4-ad9c-065acc3a62a6"


def _template(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
