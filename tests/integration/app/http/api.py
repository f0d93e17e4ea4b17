"""The management API as a program of a tenant calls it: with one key, JSON in and JSON out."""

import base64
import json
from typing import Any, NamedTuple

from tenants import SYSTEM, KeyPrefix, Scope, create_key
from tests.world import TestTenant, World

ROOT = "/api/v1"


class Answered(NamedTuple):
    """One answer; `body` is decoded JSON, or None where there is none."""

    status: int
    body: Any
    headers: dict[str, str]
    text: str

    @property
    def code(self) -> str:
        """The code of a problem, after a look at the rest of it."""
        assert self.headers["content-type"] == "application/problem+json", self
        assert self.body["type"] == f"urn:signalbox:problem:{self.body['code']}"
        assert self.body["status"] == self.status
        assert self.body["title"]
        assert self.body["detail"]
        assert self.body["request_id"] == self.headers["x-signalbox-request-id"]
        return str(self.body["code"])


class API(NamedTuple):
    """The API, called with one key."""

    world: World
    key: str

    @classmethod
    async def of(cls, world: World, tenant: TestTenant, *scopes: Scope) -> "API":
        """A new management key of the tenant, with every scope unless some are named."""
        made = await create_key(
            world.database, world.gateway.vault, SYSTEM, tenant.tenant_id, name="management",
            prefix=KeyPrefix.MANAGEMENT, scopes=scopes or None,
        )  # fmt: skip
        return cls(world, made.secret)

    async def __call__(
        self,
        verb: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        query: list[tuple[str, str]] | None = None,
    ) -> Answered:
        """Send one request under `/api/v1`; `raw` is a body that is not to be JSON."""
        content = json.dumps(body).encode() if body is not None else raw
        given = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **(headers or {})}
        async with self.world.client.request(
            verb, f"{self.world.base_url}{ROOT}{path}", data=content, headers=given, params=query
        ) as response:
            text = await response.text()
            found = {name.lower(): value for name, value in response.headers.items()}
            is_json = found.get("content-type", "").endswith(("/json", "+json")) and text
            assert found.get("x-signalbox-request-id"), (verb, path, response.status)
            return Answered(response.status, json.loads(text) if is_json else None, found, text)

    async def audited(self) -> list[str]:
        """The actions of the tenant's audit trail; reading them is one more."""
        exported = await self("GET", "/audit/export")
        assert exported.status == 200, exported.text
        lines = [json.loads(line) for line in exported.text.splitlines()]
        events = [json.loads(base64.b64decode(line["payload"])) for line in lines if line["record"] == "event"]
        return [event["action"] for event in events]
