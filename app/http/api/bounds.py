"""What may stand in a query: texts the database can hold, moments with a zone, and no parameter that nobody knows.

Used by the controllers and, for every route, by the router. What does not hold is refused by name: a
misspelt filter that is passed over would show more than was asked for.
"""

from datetime import UTC, datetime
from typing import Annotated, Final

from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from app.http.api.access import Connection
from tenants import FieldInvalid

TEXT_CHARACTERS_MAX: Final = 200
NAME_CHARACTERS_SHOWN: Final = 40
# Ids of requests hold a time since 1970, and no clock of ours is ahead of 2100.
YEAR_MIN: Final = 2020
YEAR_MAX: Final = 2100

FilterText = Annotated[str | None, QueryParameter(max_length=TEXT_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]+$")]
Moment = Annotated[datetime | None, QueryParameter(description="RFC 3339, with a time zone.")]


def moment_of(field: str, value: datetime) -> datetime:
    """A moment in UTC. Raises FieldInvalid without a time zone, or for a year that no request is of."""
    if value.tzinfo is None:
        raise FieldInvalid(field, f"{field} is {value.isoformat()}; give its time zone too, best '…Z' for UTC.")
    if not YEAR_MIN <= value.year < YEAR_MAX:
        raise FieldInvalid(field, f"{field} is in the year {value.year}; give one from {YEAR_MIN} to {YEAR_MAX - 1}.")
    return value.astimezone(UTC)


def only_known_parameters(connection: Connection, route: BaseRouteHandler) -> None:
    """A guard. Raises FieldInvalid for a query parameter that the route does not take."""
    parameters = route.parsed_fn_signature.parameters.items()
    known = sorted(name for name, each in parameters if isinstance(each.kwarg_definition, QueryParameter))
    for name in connection.query_params:
        if name not in known:
            raise FieldInvalid(
                name[:NAME_CHARACTERS_SHOWN],
                f"'{name[:NAME_CHARACTERS_SHOWN]}' is no parameter of this route; it takes: "
                f"{', '.join(known) or 'none'}.",
            )
