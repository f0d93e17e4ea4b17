"""`/audit/export`: the tenant's audit trail as a signed bundle that `signalbox audit verify` proves offline."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from litestar import Controller, get
from litestar.response import Stream

from app.http.api.access import Caller
from app.http.api.services import Services
from tenants import audit_lines


class Audit(Controller):
    """The audit trail; reading it is an event of it."""

    path = "/audit"
    tags = ("Audit",)

    @get("/export", summary="Export the audit trail", media_type="application/x-ndjson")
    async def export(self, caller: Caller, services: Services) -> Stream:
        """One signed JSON object a line. The first says how much must follow, so that a cut export is found."""
        lines = audit_lines(services.database, services.vault, caller.principal.actor, caller.tenant_id)
        # Read before the answer begins, so that what goes wrong here is still a problem with a status.
        first = await anext(lines)
        disposition = f'attachment; filename="audit-{caller.tenant_id}.jsonl"'
        return Stream(_all(first, lines), headers={"content-disposition": disposition})


async def _all(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk
