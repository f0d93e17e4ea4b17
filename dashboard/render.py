"""Pages out of templates, with the headers that keep a browser safe.

Called by every page. Invariants: templates escape whatever they print; no page allows a script or a
style of another origin, an inline script, or a frame; no page is kept by a cache.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie, State
from litestar.response import Redirect

from dashboard import formats
from dashboard.assets import FOLDER, asset_url

PAGE_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}
HTTPS_HEADERS: Final = {"strict-transport-security": "max-age=31536000"}
THEME_COOKIE: Final = "signalbox_theme"
THEMES: Final = ("light", "dark")
FLASH_COOKIE: Final = "signalbox_flash"

AnyRequest = Request[Any, Any, State]


def url(path: str, query: Mapping[str, str], **changes: str | None) -> str:
    """An address with the page's state in it: `query`, changed; what is empty is left out."""
    parameters = {name: value for name, value in {**query, **changes}.items() if value}
    return f"{path}?{urlencode(parameters)}" if parameters else path


def page(request: AnyRequest, template: str, *, status: int = 200, **context: object) -> Response[str]:
    """Render a template."""
    theme = request.cookies.get(THEME_COOKIE, "")
    body = _TEMPLATES.get_template(template).render(theme=theme if theme in THEMES else "", **context)
    response = Response(body, status_code=status, headers=_headers(request), media_type="text/html; charset=utf-8")
    for name in request.cookies:
        if name.endswith(FLASH_COOKIE):  # said once
            is_secure = name != FLASH_COOKIE
            response.set_cookie(
                Cookie(key=name, value="", path="/", max_age=0, httponly=True, secure=is_secure, samesite="lax")
            )
    return response


def go_to(request: AnyRequest, address: str) -> Redirect:
    """Send the browser on with GET, as after every form."""
    return Redirect(address, status_code=303, headers=_headers(request))


def _headers(request: AnyRequest) -> dict[str, str]:
    return {**PAGE_HEADERS, **(HTTPS_HEADERS if request.url.scheme == "https" else {})}


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER.parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for write in (
        formats.money, formats.exact_money, formats.count, formats.share, formats.duration, formats.moment,
        formats.minute, formats.ago, formats.signal_words, formats.change,
    ):  # fmt: skip
        environment.filters[write.__name__] = write
    environment.globals.update(asset_url=asset_url, url=url, UNKNOWN=formats.UNKNOWN)
    return environment


_TEMPLATES: Final = _environment()
