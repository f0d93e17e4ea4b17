"""Who may enter: the two doors, their cookies and guards, and the token on every form.

Called by the routers and pages. Invariants: each console has its own cookie, and a session of the one
opens nothing of the other; what a session may not see looks like what does not exist; no form is
obeyed without a token of the same browser.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, FormMultiDict, State
from litestar.exceptions import NotAuthorizedException, NotFoundException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from dashboard.render import AnyRequest
from dashboard.services import ConsoleServices
from tenants import PLATFORM_TENANT_ID, ConsoleSession, MemberRole, TenantKind, find_session

VISITOR_COOKIE: Final = "signalbox_visitor"
VISITOR_BYTES: Final = 32
NONCE_BYTES: Final = 16
TOKEN_FIELD: Final = "form_token"  # noqa: S105 - the name of a field
STATE_KEY: Final = "console_session"

Connection = ASGIConnection[Any, Any, Any, State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One of the two consoles."""

    kind: TenantKind
    path: str
    cookie: str
    title: str


TENANT_DOOR: Final = Door(kind=TenantKind.CUSTOMER, path="/console", cookie="signalbox_session", title="Console")
STAFF_DOOR: Final = Door(kind=TenantKind.PLATFORM, path="/operator", cookie="signalbox_staff", title="Operator console")


def only_through(door: Door, services: ConsoleServices) -> Callable[[Connection, BaseRouteHandler], Awaitable[None]]:
    """The guard of a console: it finds the session, and refuses a session of the other console as not found."""

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        session = await session_of(connection, door, services)
        if session is None:
            other = STAFF_DOOR if door is TENANT_DOOR else TENANT_DOOR
            if door is STAFF_DOOR and cookie_name(other.cookie, services) in connection.cookies:
                raise NotFoundException
            raise NotAuthorizedException
        connection.state[STATE_KEY] = session

    return guard


async def session_of(connection: Connection, door: Door, services: ConsoleServices) -> ConsoleSession | None:
    """The session that a browser holds for this door, if it may enter here."""
    value = connection.cookies.get(cookie_name(door.cookie, services))
    session = await find_session(services.database, value) if value else None
    if session is None:
        return None
    is_staff = session.tenant_id == PLATFORM_TENANT_ID and session.role is MemberRole.OPERATOR
    is_member = session.tenant_id != PLATFORM_TENANT_ID
    if not (is_staff if door is STAFF_DOOR else is_member):
        raise NotFoundException
    return session


def provide_session(request: Connection) -> ConsoleSession:
    """The session that the guard found."""
    session: ConsoleSession = request.state[STATE_KEY]
    return session


def cookie_name(name: str, services: ConsoleServices) -> str:
    """Over TLS the name itself binds a cookie to this host, path and TLS."""
    return f"__Host-{name}" if services.is_https else name


def cookie(name: str, value: str, services: ConsoleServices, *, max_age_s: int | None = None) -> Cookie:
    """A cookie that no script reads and no other site's form sends; `max_age_s` 0 takes it away."""
    return Cookie(
        key=cookie_name(name, services),
        value=value,
        path="/",
        httponly=True,
        secure=services.is_https,
        samesite="lax",
        max_age=max_age_s,
    )


def form_token(secret: str) -> str:
    """A token for one form, different at each call so that compressed pages tell nothing of the secret."""
    nonce = secrets.token_hex(NONCE_BYTES)
    return f"{nonce}.{_signature(secret, nonce)}"


async def checked_form(request: AnyRequest, secret: str) -> FormMultiDict:
    """The fields of a form. Raises PermissionDeniedException unless its token is of this secret."""
    form = await request.form()
    token = form.get(TOKEN_FIELD)
    nonce, _, signature = token.partition(".") if isinstance(token, str) else ("", "", "")
    if not secret or not hmac.compare_digest(signature.encode(), _signature(secret, nonce).encode()):
        raise PermissionDeniedException(
            "This form was open for too long, or came from another page. Go back, reload it and send it again."
        )
    return form


def field(form: FormMultiDict, name: str) -> str:
    """A text field; empty when it is missing or a file."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def new_visitor() -> str:
    """The secret of a browser that is not signed in, for the token of the sign-in form."""
    return secrets.token_urlsafe(VISITOR_BYTES)


def safe_next(door: Door, wanted: str) -> str:
    """Where to go after signing in: a page of this console, never another site."""
    is_inside = wanted == door.path or wanted.startswith((f"{door.path}/", f"{door.path}?"))
    return wanted if is_inside and "\\" not in wanted and wanted.isprintable() else door.path


def _signature(secret: str, nonce: str) -> str:
    return hmac.digest(secret.encode(), nonce.encode(), "sha256").hex()
