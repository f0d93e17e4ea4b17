"""Signing in and out, the same for both consoles.

Routed by `dashboard.routes`, one set of pages for each door. Invariant: a failed sign-in says the same
whatever was wrong, so that it tells no one who is a member.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from dashboard.access import (
    VISITOR_COOKIE,
    Door,
    checked_form,
    cookie,
    cookie_name,
    field,
    form_token,
    new_visitor,
    safe_next,
    session_of,
)
from dashboard.render import AnyRequest, go_to, page
from dashboard.services import ConsoleServices, Services, Session
from tenants import SignInBlocked, SignInFailed, sign_in, sign_out


def sign_in_routes(door: Door) -> list[HTTPRouteHandler]:
    """The sign-in page of a door, open to everybody."""

    @get(f"{door.path}/sign-in", name=f"{door.kind}-sign-in")
    async def show(request: AnyRequest, services: Services) -> Response[Any]:
        if await session_of(request, door, services) is not None:
            return go_to(request, door.path)
        return _form(request, door, services, next_page=request.query_params.get("next", ""))

    @post(f"{door.path}/sign-in")
    async def enter(request: AnyRequest, services: Services) -> Response[Any]:
        form = await checked_form(request, request.cookies.get(cookie_name(VISITOR_COOKIE, services), ""))
        email, next_page = field(form, "email"), field(form, "next")
        try:
            session = await sign_in(services.database, email, field(form, "password"), within=door.kind)
        except SignInBlocked as error:
            return _form(request, door, services, next_page=next_page, email=email, problem=str(error), status=429)
        except SignInFailed as error:
            return _form(request, door, services, next_page=next_page, email=email, problem=str(error), status=401)
        response = go_to(request, safe_next(door, next_page))
        lifetime = session.expires_at - services.now()
        response.set_cookie(
            cookie(door.cookie, session.cookie_value, services, max_age_s=max(1, int(lifetime.total_seconds())))
        )
        return response

    return [show, enter]


def sign_out_route(door: Door) -> HTTPRouteHandler:
    """Signing out of a door, for who is signed in."""

    @post(f"{door.path}/sign-out")
    async def leave(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
        await checked_form(request, session.csrf_token)
        await sign_out(services.database, request.cookies[cookie_name(door.cookie, services)])
        response = go_to(request, f"{door.path}/sign-in")
        response.set_cookie(cookie(door.cookie, "", services, max_age_s=0))
        return response

    return leave


def _form(
    request: AnyRequest,
    door: Door,
    services: ConsoleServices,
    *,
    next_page: str,
    email: str = "",
    problem: str = "",
    status: int = 200,
) -> Response[str]:
    known = request.cookies.get(cookie_name(VISITOR_COOKIE, services))
    visitor = known or new_visitor()
    response = page(
        request,
        "sign_in.html",
        status=status,
        door=door,
        form_token=form_token(visitor),
        next_page=next_page,
        email=email,
        problem=problem,
    )
    if not known:
        response.set_cookie(cookie(VISITOR_COOKIE, visitor, services))
    return response
