"""The routes that answer somebody who is not known. Every other route refuses, or leads to the way in.

Read by tests, which hold this list against the application's own routes in both directions.
"""

from typing import Final

# Verb and path.
PUBLIC_ROUTES: Final = frozenset(
    {
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/"),
        ("GET", "/api/openapi.json"),
        ("GET", "/console/sign-in"),
        ("GET", "/operator/sign-in"),
        # What the sign-in page is drawn with.
        ("GET", "/console/assets/{file_name}"),
        # Any other address under a console: that there is no such page.
        ("GET", "/console/{path}"),
        ("GET", "/operator/{path}"),
    }
)
