"""The management API as routers: every route behind the guards, every error a problem.

Called by the composition root. Invariant: nothing but its own description is public.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from litestar import Router, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from app.http.api.access import ROOT, only_with_key, provide_caller
from app.http.api.audit import Audit
from app.http.api.bounds import only_known_parameters
from app.http.api.budgets import Budgets
from app.http.api.credentials import Credentials
from app.http.api.credit import Credit
from app.http.api.examples import LabelledExamples
from app.http.api.keys import Keys
from app.http.api.limits import Limits
from app.http.api.marks import marked
from app.http.api.once import answers_kept, turn_taker
from app.http.api.openapi import SCHEMA_PATH, describe
from app.http.api.policies import Policies
from app.http.api.problems import answer_problem
from app.http.api.projects import Projects
from app.http.api.quality import Evaluations, FeedbackList, Quality
from app.http.api.requests import Requests
from app.http.api.services import ManagementServices
from app.http.api.usage import UsageReports
from app.http.api.whoami import WhoAmI

CONTROLLERS: Final = (
    WhoAmI,
    UsageReports,
    Requests,
    Projects,
    Keys,
    Credentials,
    Policies,
    LabelledExamples,
    Budgets,
    Credit,
    Limits,
    Quality,
    Evaluations,
    FeedbackList,
    Audit,
)
# A policy is the largest thing that is sent, and half of this.
BODY_BYTES_MAX: Final = 524_288


def management_routes(services: ManagementServices) -> Sequence[Router]:
    """The API and its description, ready to be mounted at the root of an application."""
    api = Router(
        path=ROOT,
        route_handlers=CONTROLLERS,
        guards=[only_with_key(services), only_known_parameters],
        before_request=turn_taker(services.idempotency_keys),
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False, use_cache=True),
            "caller": Provide(provide_caller, sync_to_thread=False),
        },
        exception_handlers={Exception: answer_problem},
        middleware=[marked, answers_kept(services.idempotency_keys)],
        request_max_body_size=BODY_BYTES_MAX,
    )
    description = Router(
        path="/",
        route_handlers=[_description_route(api)],
        exception_handlers={Exception: answer_problem},
        middleware=[marked],
    )
    return api, description


def _description_route(api: Router) -> HTTPRouteHandler:
    described = cache(describe)

    # Made when it is first asked for, and in a thread: it takes longer than starting all the rest.
    @get(SCHEMA_PATH, media_type="application/json", sync_to_thread=True)
    def description() -> bytes:
        return described(api)

    return description
