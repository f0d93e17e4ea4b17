"""`GET /`: whoever opens the bare address is led to the console."""

from litestar import get
from litestar.response import Redirect


@get("/", sync_to_thread=False, include_in_schema=False)
def front_door() -> Redirect:
    """Lead to the console."""
    return Redirect("/console")
