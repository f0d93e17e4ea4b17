"""Probes: `/livez` says that the process runs, `/readyz` that it can serve, `/metrics` what it has counted.

Invariant: a stranger learns no reason and no number. Both are for whoever brings the metrics token, and, where
none is set, for this machine while the program is developed on.
"""

import asyncio
import hmac
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Request, Response, get
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import HTTPRouteHandler

from app.metrics import Metrics
from tenants import Database, DatabaseUnavailable

READY_TIMEOUT_S: Final = 2.0
PROMETHEUS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAccess:
    """Who is told more than yes or no."""

    token: str | None = field(default=None, repr=False)
    is_open_to_loopback: bool = False

    def is_granted(self, request: AnyRequest) -> bool:
        """Tell whether a request brings the token, or needs none."""
        if self.token is None:
            return self.is_open_to_loopback and request.client is not None and request.client.host in LOOPBACK
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(shown.encode(), self.token.encode())


def probe_routes(database: Database, metrics: Metrics, access: ProbeAccess) -> list[HTTPRouteHandler]:
    """The routes, for the application."""

    @get("/livez", media_type="text/plain", sync_to_thread=False)
    def livez() -> str:
        return "ok"

    @get("/readyz", media_type="text/plain")
    async def readyz(request: AnyRequest) -> Response[str]:
        try:
            await database.ping(timeout_s=READY_TIMEOUT_S)
        except DatabaseUnavailable as error:
            said = f"not ready: {error}" if access.is_granted(request) else "not ready"
            return Response(said, status_code=503)
        return Response("ok")

    @get("/metrics", media_type=PROMETHEUS_TEXT)
    async def show_metrics(request: AnyRequest) -> Response[bytes]:
        if not access.is_granted(request):
            raise NotAuthorizedException("Bring the metrics token as a bearer token.")
        # It reads files and sorts some thousand rows: not where requests wait, and not from counts that still move.
        return Response(await asyncio.to_thread(metrics.text, metrics.counted()))

    return [livez, readyz, show_metrics]
