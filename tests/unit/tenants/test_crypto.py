"""The vault: what is sealed opens in its own place, with its own keys, and nowhere else."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants import MasterKeyWrong, SecretRejected, Vault
from tenants.crypto import Place, is_signed_by, seal, sealed_key_version, unseal

TENANT_ID, OTHER_TENANT_ID = UUID(int=1), UUID(int=2)
VAULT = Vault(bytes(range(32)))
WRAPPED = VAULT.new_tenant_key(TENANT_ID, version=3)
KEY = VAULT.open_tenant_key(WRAPPED)
PLACE = Place(tenant_id=TENANT_ID, table="provider_credential", column="secret", row="7")


@given(secret=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_secret_opens_in_its_place(secret: str) -> None:
    sealed = seal(KEY, secret, PLACE)
    assert unseal(KEY, sealed, PLACE) == secret
    assert sealed_key_version(sealed) == 3


@pytest.mark.parametrize(
    "moved", [{"tenant_id": OTHER_TENANT_ID}, {"table": "other"}, {"column": "other"}, {"row": "8"}]
)
def test_a_secret_opens_nowhere_else(moved: dict[str, object]) -> None:
    with pytest.raises(SecretRejected):
        unseal(KEY, seal(KEY, "sk-secret", PLACE), replace(PLACE, **moved))


@settings(max_examples=200)
@given(data=st.data())
def test_a_secret_with_a_changed_byte_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, "sk-secret", PLACE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecretRejected):
        unseal(KEY, bytes(sealed), PLACE)


@pytest.mark.parametrize("length", [0, 1, 50, 100])
def test_a_secret_cut_short_does_not_open(length: int) -> None:
    with pytest.raises(SecretRejected):
        unseal(KEY, seal(KEY, "sk-secret", PLACE)[:length], PLACE)


def test_a_secret_does_not_open_with_another_version_of_the_tenants_key() -> None:
    other = VAULT.open_tenant_key(VAULT.new_tenant_key(TENANT_ID, version=4))
    with pytest.raises(SecretRejected):
        unseal(other, seal(KEY, "sk-secret", PLACE), PLACE)


def test_two_sealings_of_one_secret_share_nothing() -> None:
    assert seal(KEY, "sk-secret", PLACE)[5:] != seal(KEY, "sk-secret", PLACE)[5:]


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant_id": OTHER_TENANT_ID},
        {"version": 4},
        {"master_key_id": "other"},
        {"wrapped": b""},
        {"wrapped": b"x" * 60},
    ],
)
def test_a_tenant_key_opens_as_it_was_stored_only(changed: dict[str, object]) -> None:
    with pytest.raises(MasterKeyWrong):
        VAULT.open_tenant_key(replace(WRAPPED, **changed))


def test_another_master_key_opens_nothing_and_the_message_names_both() -> None:
    other = Vault(bytes(32))
    with pytest.raises(MasterKeyWrong) as caught:
        other.open_tenant_key(WRAPPED)
    assert VAULT.master_key_id in str(caught.value)
    assert other.master_key_id in str(caught.value)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_key_has_32_bytes(length: int) -> None:
    with pytest.raises(MasterKeyWrong):
        Vault(bytes(length))


def test_no_key_shows_itself() -> None:
    material = KEY.material
    for shown in (repr(VAULT), str(vars(VAULT)), repr(KEY), repr(WRAPPED)):
        assert material.hex() not in shown
        assert repr(material) not in shown
    assert repr(bytes(range(32))) not in str(vars(VAULT))


def test_api_keys_hash_by_master_key() -> None:
    assert VAULT.api_key_hash("sbx_live_a") == VAULT.api_key_hash("sbx_live_a")
    assert VAULT.api_key_hash("sbx_live_a") != VAULT.api_key_hash("sbx_live_b")
    assert VAULT.api_key_hash("sbx_live_a") != Vault(bytes(32)).api_key_hash("sbx_live_a")


def test_a_signature_holds_for_its_statement_and_key() -> None:
    signature = VAULT.sign_audit(b"statement")
    assert is_signed_by(VAULT.audit_public_key, b"statement", signature)
    assert not is_signed_by(VAULT.audit_public_key, b"another", signature)
    assert not is_signed_by(Vault(bytes(32)).audit_public_key, b"statement", signature)
    assert not is_signed_by(b"short", b"statement", signature)
