"""The official SDKs talk to the same served gateway as the integration tests."""

from tests.integration.app.conftest import prepared, sandbox, world

__all__ = ["prepared", "sandbox", "world"]
