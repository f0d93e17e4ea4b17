"""What can be called, at which price, with whose credential; and the forms that add and disable credentials.

Routed by `dashboard.routes`. Invariant: a provider's secret goes in and never out: no answer holds it, not even
the form that it was typed into.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from billing import Feature
from dashboard import access
from dashboard.access import checked_form
from dashboard.catalogue import MODELS_SHOWN_MAX, ModelFilter
from dashboard.flash import leave_flash
from dashboard.pages.shell import tenant_shell, uuid_or_none
from dashboard.render import AnyRequest, go_to, page
from dashboard.services import ConsoleServices, Services, Session
from tenants import (
    ROLE_SCOPES,
    ConsoleSession,
    FieldInvalid,
    LimitReached,
    NameTaken,
    NotFound,
    Scope,
    add_credential,
    disable_credential,
    list_credentials,
)

FILTERS: Final = ("provider", "capability", "name")
FILTER_CHARACTERS_MAX: Final = 200
CAPABILITIES: Final = {"tools": "tools", "json_schema": "JSON schema", "images": "images"}
WEIGHT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialForm:
    """The form of a new credential as it was typed, without its secret, and what was wrong with it."""

    provider_name: str = ""
    name: str = ""
    base_url: str = ""
    weight: str = str(WEIGHT)
    problems: Mapping[str, str] = field(default_factory=dict)


@get("/console/models")
async def models(request: AnyRequest, services: Services, session: Session) -> Response[str]:
    """The models that this tenant's requests can reach, and the tenant's credentials."""
    return await _models(request, services, session)


@post("/console/models/credentials")
async def bring_credential(request: AnyRequest, services: Services, session: Session) -> Response[Any]:
    """Seal a provider's key; requests can use it within a second."""
    form = await checked_form(request, session.csrf_token)
    session.require(Scope.CREDENTIALS_WRITE)
    await services.require_feature(session.tenant_id, Feature.OWN_CREDENTIALS)
    read = partial(access.field, form)
    typed = CredentialForm(
        provider_name=read("provider_name"),
        name=read("name").strip() or read("provider_name"),
        base_url=read("base_url").strip(),
        weight=read("weight").strip(),
    )
    base_url = typed.base_url or None
    try:
        if base_url is None:
            await services.check_offer(typed.provider_name, None)
        added = await add_credential(
            services.database,
            services.vault,
            session.actor,
            session.tenant_id,
            provider_name=typed.provider_name,
            name=typed.name,
            secret=read("secret").strip(),
            base_url=base_url,
            weight=_weight(typed.weight),
            check_address=partial(services.check_offer, typed.provider_name),
        )
    except (FieldInvalid, NameTaken, LimitReached) as error:
        where = "name" if isinstance(error, NameTaken) else getattr(error, "field", "provider_name")
        return await _models(request, services, session, form=_with_problem(typed, where, str(error)))
    response = go_to(request, "/console/models")
    leave_flash(response, services, session, f"The credential “{added.name}” is kept, sealed. Requests use it now.")
    return response


@post("/console/models/credentials/{credential_id:str}/disable")
async def end_credential(
    request: AnyRequest, services: Services, session: Session, credential_id: FromPath[str]
) -> Response[Any]:
    """Use a credential no more."""
    await checked_form(request, session.csrf_token)
    session.require(Scope.CREDENTIALS_WRITE)
    wanted = uuid_or_none(credential_id)
    if wanted is None:
        raise NotFoundException
    try:
        await disable_credential(services.database, session.actor, session.tenant_id, wanted)
    except NotFound as error:
        raise NotFoundException from error
    response = go_to(request, "/console/models")
    leave_flash(response, services, session, "The credential is disabled; no request uses it from now on.")
    return response


async def _models(
    request: AnyRequest, services: ConsoleServices, session: ConsoleSession, *, form: CredentialForm | None = None
) -> Response[str]:
    query = request.query_params
    state = {name: value[:FILTER_CHARACTERS_MAX] for name in FILTERS if (value := query.get(name, "").strip())}
    async with services.database.tenant(session.tenant_id) as database_session:
        shell = await tenant_shell(request, services, session, database_session, filters=state)
    credentials = await list_credentials(services.database, session.tenant_id)
    lines = await services.models(session.tenant_id)
    wanted = ModelFilter(**state)
    left = wanted.leaves(lines)
    return page(
        request,
        "models.html",
        status=200 if form is None else 422,
        shell=shell,
        wanted=wanted,
        form=form or CredentialForm(),
        credentials=sorted(credentials, key=lambda each: (each.disabled_at is not None, each.provider_name)),
        may_write=Scope.CREDENTIALS_WRITE in ROLE_SCOPES[session.role],
        choices=services.provider_choices,
        lines=left[:MODELS_SHOWN_MAX],
        left_count=len(left),
        all_count=len(lines),
        provider_names=sorted({line.provider_name for line in lines} | ({wanted.provider} - {""})),
        capabilities=CAPABILITIES,
        now=services.now(),
    )


def _weight(text: str) -> int:
    if not text.isdecimal() or len(text) > 4:
        raise FieldInvalid("weight", f"The weight is '{text[:20]}'; give a whole number from 1 on.")
    return int(text)


def _with_problem(form: CredentialForm, where: str, problem: str) -> CredentialForm:
    return CredentialForm(
        provider_name=form.provider_name,
        name=form.name,
        base_url=form.base_url,
        weight=form.weight,
        problems={where: problem},
    )
