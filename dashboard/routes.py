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
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from billing import FeatureNotInPlan
from dashboard.access import STAFF_DOOR, TENANT_DOOR, Connection, Door, only_through, provide_session
from dashboard.assets import asset
from dashboard.navigation import MENU_KEY, ROW_KEY, Menu, PageRow
from dashboard.pages.sign_in import sign_in_routes, sign_out_route
from dashboard.pages.table import STAFF_PAGES, TENANT_PAGES
from dashboard.render import AnyRequest, go_to, page, url
from dashboard.services import ConsoleServices
from tenants import DatabaseUnavailable, ScopeMissing

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
        *_console(services, TENANT_DOOR, TENANT_PAGES),
        *_console(services, STAFF_DOOR, STAFF_PAGES),
    )


def _console(services: ConsoleServices, door: Door, menu: Menu) -> Sequence[Router]:
    built = [row for row in menu if row.routes]
    return (
        _router(services, [sign_out_route(door)], door=door),
        *(_router(services, row.routes, door=door, menu=menu, row=row) for row in built),
    )


def _router(
    services: ConsoleServices, routes: Sequence[Any], *, door: Door | None = None, menu: Menu = (),
    row: PageRow | None = None,
) -> Router:  # fmt: skip
    dependencies = {"services": Provide(lambda: services, sync_to_thread=False, use_cache=True)}
    if door is not None:
        dependencies["session"] = Provide(provide_session, sync_to_thread=False)
    return Router(
        path="/",
        route_handlers=routes,
        guards=[] if door is None else [only_through(door, services), _only_with_scope],
        dependencies=dependencies,
        exception_handlers={
            NotAuthorizedException: _signed_out,
            HTTPException: _refused,
            ScopeMissing: _not_allowed,
            FeatureNotInPlan: _not_in_plan,
            DatabaseUnavailable: _unavailable,
            Exception: _fault,
        },
        request_max_body_size=FORM_BYTES_MAX,
        include_in_schema=False,
        opt={MENU_KEY: menu, ROW_KEY: row},
    )


def _only_with_scope(connection: Connection, route: BaseRouteHandler) -> None:
    row: PageRow | None = route.opt[ROW_KEY]
    if row is not None:
        provide_session(connection).require(row.scope)


def _signed_out(request: AnyRequest, _: Exception) -> Response[Any]:
    door = _door_of(request)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = here if request.method == "GET" and here != door.path else None
    return go_to(request, url(f"{door.path}/sign-in", {}, next=wanted))


def _refused(request: AnyRequest, error: HTTPException) -> Response[Any]:
    heading, message = REFUSALS.get(error.status_code, ("That did not work", ""))
    return _message(request, error.status_code, heading, message or str(error.detail))


def _not_allowed(request: AnyRequest, error: Exception) -> Response[Any]:
    return _message(request, 403, "Not yours to do", f"{error} Ask an owner or admin of this tenant.")


def _not_in_plan(request: AnyRequest, error: Exception) -> Response[Any]:
    return _message(request, 403, "Not in your plan", str(error))


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
