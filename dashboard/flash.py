"""A message that one request leaves for the next page, as after a form: "The key was made."

Left by pages that redirect, shown once by the shell. Invariant: only what this session left is shown; a
cookie that somebody else set, or of another session, is nothing.
"""

import base64
import hmac
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from litestar import Response

from dashboard.access import cookie, cookie_name
from dashboard.render import FLASH_COOKIE, AnyRequest
from dashboard.services import ConsoleServices
from tenants import ConsoleSession

FLASH_AGE_S_MAX: Final = 60
FLASH_CHARACTERS_MAX: Final = 1000

Tone = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Flash:
    """What happened, in a sentence."""

    tone: Tone
    message: str


def leave_flash(
    response: Response[Any], services: ConsoleServices, session: ConsoleSession, message: str, *, tone: Tone = "good"
) -> None:
    """Let the next page of this session say `message`, once."""
    body = msgspec.json.encode(Flash(tone, message[:FLASH_CHARACTERS_MAX]))
    value = f"{base64.urlsafe_b64encode(body).decode().rstrip('=')}.{_signature(session, body)}"
    response.set_cookie(cookie(FLASH_COOKIE, value, services, max_age_s=FLASH_AGE_S_MAX))


def read_flash(request: AnyRequest, services: ConsoleServices, session: ConsoleSession) -> Flash | None:
    """What this session was left."""
    text, _, signature = request.cookies.get(cookie_name(FLASH_COOKIE, services), "").partition(".")
    try:
        body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if not hmac.compare_digest(signature.encode(), _signature(session, body).encode()):
            return None
        return msgspec.json.decode(body, type=Flash)
    except (ValueError, msgspec.MsgspecError):
        return None


def _signature(session: ConsoleSession, body: bytes) -> str:
    return hmac.digest(session.csrf_token.encode(), b"flash:" + body, "sha256").hex()
