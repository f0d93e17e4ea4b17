"""The official SDKs talk to the same served gateway as the integration tests."""

from tests.integration.app.conftest import sandbox, world

__all__ = ["sandbox", "world"]
