"""The management API: what a tenant's programs do with its account, by management key, under `/api/v1`."""

from app.http.api.problems import answer_unrouted
from app.http.api.routes import management_routes
from app.http.api.services import ManagementServices

__all__ = ["ManagementServices", "answer_unrouted", "management_routes"]
