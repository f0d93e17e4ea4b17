"""The console as routers: assets and sign-in for everybody, each console behind its own guard.

Called by the composition root. Invariant: a page is behind a guard unless it stands in the open router.
"""

import logging
import traceback
from collections.abc import Sequence
from typing import Any, Final

from litestar import Response, Router, get
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotAuthorizedException, NotFoundException
from litestar.params import FromPath

from dashboard.access import STAFF_DOOR, TENANT_DOOR, Door, only_through, provide_session
from dashboard.assets import asset
from dashboard.pages.operator import move_tenant, operator_tenants
from dashboard.pages.overview import overview
from dashboard.pages.quality import quality
from dashboard.pages.requests import one_request, requests
from dashboard.pages.sign_in import sign_in_routes, sign_out_route
from dashboard.render import AnyRequest, go_to, page, url
from dashboard.services import ConsoleServices
from tenants import DatabaseUnavailable

FORM_BYTES_MAX: Final = 16_384
FAULT: Final = "The console failed on this page; nothing was changed. Reload it, and tell the operator if it stays."
# By status; an empty message is the error's own.
REFUSALS: Final = {
    403: ("Form refused", ""),
    404: ("Not found", "There is no such page, or it is not yours to see. Check the address, or start at the top."),
    405: ("Not found", "There is no such page, or it is not yours to see. Check the address, or start at the top."),
    413: ("Form too large", "Shorten what you typed and send it again."),
}
logger = logging.getLogger(__name__)


@get(["/console/{path:path}", "/operator/{path:path}"])
async def nowhere(path: FromPath[str]) -> None:
    """Any other address under the consoles."""
    raise NotFoundException(path)


def console_routes(services: ConsoleServices) -> Sequence[Router]:
    """Both consoles, ready to be mounted at the root of an application."""
    sign_in = [*sign_in_routes(TENANT_DOOR), *sign_in_routes(STAFF_DOOR)]
    return (
        _router(services, [asset, nowhere, *sign_in]),
        _router(services, [overview, quality, requests, one_request, sign_out_route(TENANT_DOOR)], door=TENANT_DOOR),
        _router(services, [operator_tenants, move_tenant, sign_out_route(STAFF_DOOR)], door=STAFF_DOOR),
    )


def _router(services: ConsoleServices, routes: Sequence[Any], door: Door | None = None) -> Router:
    dependencies = {"services": Provide(lambda: services, sync_to_thread=False, use_cache=True)}
    if door is not None:
        dependencies["session"] = Provide(provide_session, sync_to_thread=False)
    return Router(
        path="/",
        route_handlers=routes,
        guards=[] if door is None else [only_through(door, services)],
        dependencies=dependencies,
        exception_handlers={
            NotAuthorizedException: _signed_out,
            HTTPException: _refused,
            DatabaseUnavailable: _unavailable,
            Exception: _fault,
        },
        request_max_body_size=FORM_BYTES_MAX,
        include_in_schema=False,
    )


def _signed_out(request: AnyRequest, _: Exception) -> Response[Any]:
    door = _door_of(request)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = here if request.method == "GET" and here != door.path else None
    return go_to(request, url(f"{door.path}/sign-in", {}, next=wanted))


def _refused(request: AnyRequest, error: HTTPException) -> Response[Any]:
    heading, message = REFUSALS.get(error.status_code, ("That did not work", ""))
    return _message(request, error.status_code, heading, message or str(error.detail))


def _unavailable(request: AnyRequest, error: Exception) -> Response[Any]:
    return _message(request, 503, "Not available right now", str(error))


def _fault(request: AnyRequest, error: Exception) -> Response[Any]:
    # Where and what class, not the text: a database error quotes its statement.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    logger.error("console page failed: %s at %s:%s", type(error).__name__, frame.filename, frame.lineno)
    return _message(request, 500, "Our fault", FAULT)


def _message(request: AnyRequest, status: int, heading: str, message: str) -> Response[Any]:
    return page(request, "message.html", status=status, door=_door_of(request), heading=heading, message=message)


def _door_of(request: AnyRequest) -> Door:
    return STAFF_DOOR if request.url.path.startswith(STAFF_DOOR.path) else TENANT_DOOR
