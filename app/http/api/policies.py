"""`/policies`: the tenant's routing policies. What would not work on the request path is not published.

Invariant: with `if-match` a version is replaced by whoever read it, or not at all.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post, put
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from app.gateway.errors import HeaderInvalid
from app.http.api.access import AnyRequest, Caller
from app.http.api.answers import PAGE, Limit, Page, answer_of, page_within
from app.http.api.services import ManagementServices, Services
from app.routing import PolicyDraft, PolicyInvalid, check_policy, load_default_policy, write_policy
from tenants import PLATFORM_TENANT_ID, NotFound, PublishedPolicy, find_policy, list_policies, publish_policy

VERSION: Final = re.compile(r'"([1-9][0-9]{0,8})"')
NAME_CHARACTERS_MAX: Final = 64

AfterName = Annotated[
    str | None, QueryParameter(max_length=NAME_CHARACTERS_MAX, description="The `last_id` of the page before.")
]
IfMatch = Annotated[
    str | None, HeaderParameter(name="if-match", description="The ETag of the version that this one replaces.")
]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="if-none-match", description="`*`: only if the name is new.")]


class PolicyLine(msgspec.Struct, frozen=True, kw_only=True):
    """The active version of a policy, without its document."""

    name: str
    version: int
    created_by: str
    created_at: datetime


class PolicyAnswer(PolicyLine, frozen=True, kw_only=True):
    """The active version of a policy."""

    document: msgspec.Raw


class PlainWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants, as they would say it: "route all customer support to Mistral 7B"."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)]


class Policies(Controller):
    """The tenant's own policies; where it has none called `default`, the platform's serves it."""

    path = "/policies"
    tags = ("Policies",)

    @get(summary="List policies by name")
    async def list_policies(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: AfterName = None
    ) -> Page[PolicyLine]:
        """The active version of each."""
        policies = await list_policies(services.database, caller.tenant_id)
        lines = [answer_of(PolicyLine, each) for each in policies]
        return page_within(lines, lambda policy: policy.name, limit=limit, after=after)

    @get("/{policy_name:str}", summary="Show a policy")
    async def show_policy(
        self, caller: Caller, services: Services, policy_name: FromPath[str]
    ) -> Response[PolicyAnswer]:
        """The active version with its document; the ETag is what `if-match` takes."""
        return _response(await find_policy(services.database, caller.tenant_id, policy_name))

    @post("/{policy_name:str}/draft", status_code=200, summary="Draft a policy from plain words")
    async def draft_policy(
        self, caller: Caller, services: Services, policy_name: FromPath[str], data: JSONBody[PlainWords]
    ) -> PolicyDraft:
        """Work what is said into the policy in force, for review: nothing is changed.

        Each clause is told back as it was understood; what was not understood makes no rule.
        """
        in_force = await _in_force(services, caller.tenant_id, policy_name)
        return write_policy(data.text, in_force, await services.known_models(caller.tenant_id))

    @put("/{policy_name:str}", summary="Publish a policy")
    async def publish_policy(
        self,
        caller: Caller,
        services: Services,
        policy_name: FromPath[str],
        request: AnyRequest,
        data: JSONBody[dict[str, Any]],
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[PolicyAnswer]:
        """Add a version and put it in force within a second. Every problem is told, with its place."""
        # As it was sent: the audit trail holds its hash.
        document = await request.body()
        replaces = _replaced(if_match, if_none_match)
        problems = check_policy(document, await services.known_models(caller.tenant_id))
        if problems:
            raise PolicyInvalid(problems)
        published = await publish_policy(
            services.database, caller.principal.actor, caller.tenant_id, policy_name, document, replaces=replaces
        )
        return _response(published)


async def _in_force(services: ManagementServices, tenant_id: UUID, policy_name: str) -> bytes:
    """The document that serves the tenant under this name: its own, the platform's, or the one to begin with."""
    for owner in (tenant_id, PLATFORM_TENANT_ID):
        try:
            return (await find_policy(services.database, owner, policy_name)).document
        except NotFound:
            continue
    return load_default_policy()


def _replaced(if_match: str | None, if_none_match: str | None) -> int | None:
    """The version that the caller means to replace; 0: none, None: whichever there is."""
    if if_match is not None:
        version = VERSION.fullmatch(if_match.strip())
        if version is None:
            raise HeaderInvalid("if-match", 'the ETag of one version, such as "3"')
        return int(version[1])
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise HeaderInvalid("if-none-match", "'*'")
        return 0
    return None


def _response(policy: PublishedPolicy) -> Response[PolicyAnswer]:
    answer = answer_of(PolicyAnswer, policy, document=msgspec.Raw(policy.document))
    return Response(answer, headers={"etag": f'"{policy.version}"'})
