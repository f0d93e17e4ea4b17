"""What is assured of a credential's calls: a vendor's terms at the vendor's address, and contracts."""

from typing import Any
from uuid import UUID

from app.providers.assurances import ROWS, assurances_of
from app.providers.vendors import VENDORS
from app.routing import Assurances, Region
from tenants import Contract, CredentialFacts

OPENAI, FIREWORKS, SANDBOX = VENDORS["openai"], VENDORS["fireworks"], VENDORS["sandbox"]
BAA = Contract(baa=True, zero_retention=True, regions=("eu",), certified_for=("medical",), reference="no. 7")


def credential(**fields: Any) -> CredentialFacts:
    given = {"provider_name": "any", "name": "any", "base_url": None, **fields}
    return CredentialFacts(tenant_id=UUID(int=1), credential_id=UUID(int=2), **given)


def test_every_row_is_of_a_vendor_and_names_its_source() -> None:
    assert all(row.vendor_name in VENDORS and row.source and row.read_on for row in ROWS)
    assert len({row.vendor_name for row in ROWS}) == len(ROWS)


def test_without_row_and_contract_nothing_is_assured() -> None:
    assert assurances_of(OPENAI, "gpt-5", [credential()]) == Assurances()


def test_a_vendors_terms_hold_at_its_own_address_and_for_the_models_they_name() -> None:
    assert assurances_of(FIREWORKS, "accounts/fireworks/models/llama-v3p1-8b", [credential()]).zero_retention
    assert not assurances_of(FIREWORKS, "accounts/fireworks/models/firefunction-v2", [credential()]).zero_retention
    elsewhere = credential(base_url="https://proxy.example/v1")
    assert assurances_of(FIREWORKS, "accounts/fireworks/models/llama-v3p1-8b", [elsewhere]) == Assurances()
    assert assurances_of(SANDBOX, "swift-mini", [credential(base_url="http://127.0.0.1:1/v1")]).zero_retention


def test_a_contract_is_added_to_the_terms() -> None:
    assured = assurances_of(OPENAI, "gpt-5", [credential(contract=BAA)])
    assert assured.baa
    assert assured.regions == {Region.EU}


def test_a_pool_is_as_good_as_the_worst_credential_that_may_be_called() -> None:
    assert assurances_of(OPENAI, "gpt-5", [credential(contract=BAA), credential()]) == Assurances()
