"""`/credentials`: the tenant's own keys at providers. A secret goes in and never comes out."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post, put
from litestar.params import FromPath, JSONBody

from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of, page_of
from app.http.api.projects import Name
from app.http.api.services import Services
from app.providers import ConnectFailed, check_offer, vendor_of
from app.routing import Domain, Region
from tenants import Contract, FieldInvalid, add_credential, declare_contract, disable_credential, list_credentials

SECRET_CHARACTERS_MAX: Final = 16_384
BASE_URL_CHARACTERS_MAX: Final = 2_048
REFERENCE_CHARACTERS_MAX: Final = 200


class NewCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a credential is made of; `base_url` is for an address other than the provider's own."""

    provider_name: Name
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=SECRET_CHARACTERS_MAX)]
    name: Name | None = None
    base_url: Annotated[str, msgspec.Meta(min_length=1, max_length=BASE_URL_CHARACTERS_MAX)] | None = None
    weight: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1

    def __repr__(self) -> str:
        return f"NewCredential(provider_name={self.provider_name!r})"


class CredentialAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A credential as it can be shown."""

    credential_id: UUID
    provider_name: str
    name: str
    base_url: str | None
    weight: int
    last_four: str
    created_by: str
    created_at: datetime
    disabled_at: datetime | None
    contract: Contract | None


class NewContract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is agreed with the provider for a credential, on the tenant's own word."""

    regions: tuple[Region, ...] = ()
    zero_retention: bool = False
    baa: bool = False
    certified_for: tuple[Domain, ...] = ()
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=REFERENCE_CHARACTERS_MAX)]


class Credentials(Controller):
    """What the tenant brings of its own; the platform's credentials are not listed."""

    path = "/credentials"
    tags = ("Credentials",)

    @get(summary="List provider credentials, oldest first")
    async def list_credentials(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[CredentialAnswer]:
        """With those that are disabled."""
        found = await list_credentials(services.database, caller.tenant_id, after=after, limit=limit + 1)
        answers = [answer_of(CredentialAnswer, each) for each in found]
        return page_of(answers, lambda credential: credential.credential_id, limit=limit)

    @post(summary="Add a provider credential")
    async def add_credential(
        self, caller: Caller, services: Services, data: JSONBody[NewCredential]
    ) -> CredentialAnswer:
        """Requests can use it within a second."""
        vendor = vendor_of(data.provider_name)
        check_offer(vendor, data.base_url)
        try:
            added = await add_credential(
                services.database,
                services.vault,
                caller.principal.actor,
                caller.tenant_id,
                provider_name=vendor.name,
                name=data.name or vendor.name,
                secret=data.secret,
                base_url=data.base_url,
                weight=data.weight,
                check_address=services.check_address,
            )
        except ConnectFailed as error:
            # Nothing was called yet: it is the address that does not hold, not a provider that fails.
            raise FieldInvalid("base_url", f"{error} Check its spelling.") from error
        return answer_of(CredentialAnswer, added)

    @delete("/{credential_id:uuid}", summary="Disable a provider credential")
    async def disable_credential(self, caller: Caller, services: Services, credential_id: FromPath[UUID]) -> None:
        """It is used no more, and its name is free again. Disabling again changes nothing."""
        await disable_credential(services.database, caller.principal.actor, caller.tenant_id, credential_id)

    @put("/{credential_id:uuid}/contract", status_code=204, summary="Declare what is agreed with the provider")
    async def declare_contract(
        self, caller: Caller, services: Services, credential_id: FromPath[UUID], data: JSONBody[NewContract]
    ) -> None:
        """It takes the place of what was declared before. Policies that require it find it within a second."""
        contract = Contract(
            regions=data.regions,
            zero_retention=data.zero_retention,
            baa=data.baa,
            certified_for=data.certified_for,
            reference=data.reference,
        )
        await declare_contract(services.database, caller.principal.actor, caller.tenant_id, credential_id, contract)

    @delete("/{credential_id:uuid}/contract", summary="Withdraw what was declared")
    async def withdraw_contract(self, caller: Caller, services: Services, credential_id: FromPath[UUID]) -> None:
        """Requests that need it go elsewhere within a second, or are refused."""
        await declare_contract(services.database, caller.principal.actor, caller.tenant_id, credential_id, None)
