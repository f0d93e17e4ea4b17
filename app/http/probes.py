"""Probes: `/livez` says that the process runs, `/readyz` that it can serve. Neither tells anyone why not."""

from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from tenants import Database, DatabaseUnavailable

READY_TIMEOUT_S: Final = 2.0


def probe_routes(database: Database) -> list[HTTPRouteHandler]:
    """The routes, for the application."""

    @get("/livez", media_type="text/plain", sync_to_thread=False)
    def livez() -> str:
        return "ok"

    @get("/readyz", media_type="text/plain")
    async def readyz() -> Response[str]:
        try:
            await database.ping(timeout_s=READY_TIMEOUT_S)
        except DatabaseUnavailable:
            return Response("not ready", status_code=503)
        return Response("ok")

    return [livez, readyz]
