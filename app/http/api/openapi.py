"""`/api/openapi.json`: the management API described in OpenAPI 3.1, made from the routes themselves.

Built once a process, when it is first asked for. Invariant: it describes the API and nothing else, and
names no other site.
"""

import re
from typing import Final

import msgspec
from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from app.http.api.problems import MEDIA_TYPE, Problem

SCHEMA_PATH: Final = "/api/openapi.json"
VERSION: Final = "1"
# The framework spells a page's whole module path.
PAGE_NAME: Final = re.compile(rb"Page_[\w.]+\.(\w+)_(?=\")")
REFERENCE: Final = "#/components/schemas/{name}"
CONFIG: Final = OpenAPIConfig(
    title="Signalbox management API",
    version=VERSION,
    description="Usage, requests, projects, keys, credentials, policies, budgets and the audit trail of a tenant.",
    use_handler_docstrings=True,
    security=[{"key": []}],
    components=Components(
        security_schemes={
            "key": SecurityScheme(type="http", scheme="bearer", description="A management key, sbm_…"),
        }
    ),
)


def describe(router: Router) -> bytes:
    """The description of a router's routes, with the one shape in which all of them refuse."""
    # An application of its own, so that the surfaces for models stay out of it.
    schema = Litestar([router], openapi_config=CONFIG).openapi_schema.to_schema()
    _, problem_schemas = msgspec.json.schema_components([Problem], ref_template=REFERENCE)
    schema["components"]["schemas"] |= problem_schemas
    refusal = {
        "description": "What went wrong and what to do.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(name=Problem.__name__)}}},
    }
    for operations in schema["paths"].values():
        for operation in operations.values():
            # The framework describes its own shape here, which this API never answers with.
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = refusal
    return PAGE_NAME.sub(rb"PageOf\1", msgspec.json.encode(schema))
