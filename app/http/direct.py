"""The shortest way to the routes that speak ASGI themselves: past the framework's router and middleware.

Put around the application by whoever serves it. Invariant: a request is answered as the framework would answer
it; these routes are found by their exact path, have no parameters and catch their own errors.
"""

from collections.abc import Awaitable, Callable

from litestar import Litestar
from litestar.routes import ASGIRoute
from litestar.types import Receive, Scope, Send

ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def direct(app: Litestar) -> ASGIApplication:
    """The application with its ASGI routes in front."""
    routes = {route.path: route.route_handler.fn for route in app.routes if isinstance(route, ASGIRoute)}

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        # A lifespan has no path.
        await (routes.get(scope.get("path"), app))(scope, receive, send)

    return dispatch
