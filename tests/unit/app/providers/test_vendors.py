"""The table of vendors agrees with the price book's source and gives each vendor its own key shape."""

import re
from uuid import UUID

import pytest
from genai_prices.data_snapshot import get_snapshot

from app.providers import DIALECTS, VENDORS, VendorUnknown, endpoint_url, request_headers, vendor_of
from app.providers.addresses import AllowList, check_target, read_target
from app.providers.capabilities import capabilities_of, is_chat_model

ATTEMPT_ID, REQUEST_ID = UUID(int=1), UUID(int=2)


def test_every_vendor_that_is_real_is_priced_under_its_own_name() -> None:
    real = {row.name for row in VENDORS.values() if not row.is_simulated}
    assert real <= {provider.id for provider in get_snapshot().providers}


@pytest.mark.parametrize("vendor", [row for row in VENDORS.values() if row.base_url], ids=lambda row: row.name)
def test_a_vendors_address_is_the_one_its_prices_are_for(vendor) -> None:
    pattern = next(provider.api_pattern for provider in get_snapshot().providers if provider.id == vendor.name)
    assert re.match(pattern, vendor.base_url)
    check_target(read_target(vendor.base_url), AllowList())


def test_every_claude_model_of_the_price_book_chats_and_is_known() -> None:
    models = [
        model.id for provider in get_snapshot().providers if provider.id == "anthropic" for model in provider.models
    ]
    assert models
    assert [model for model in models if not is_chat_model(model) or capabilities_of(model) is None] == []


def test_every_vendor_speaks_a_dialect_that_exists() -> None:
    assert {row.dialect for row in VENDORS.values()} <= set(DIALECTS)


def test_an_unknown_vendor_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(VendorUnknown, match=r"'nope'.*openai"):
        vendor_of("nope")


def test_a_credentials_base_address_wins_over_the_vendors() -> None:
    openai = vendor_of("openai")
    assert endpoint_url(openai, None, "/chat/completions") == "https://api.openai.com/v1/chat/completions"
    assert (
        endpoint_url(openai, "https://proxy.test/v1/", "/chat/completions") == "https://proxy.test/v1/chat/completions"
    )


def test_the_sandbox_has_no_address_of_its_own() -> None:
    with pytest.raises(VendorUnknown, match="base address"):
        endpoint_url(vendor_of("sandbox"), None, "/chat/completions")


@pytest.mark.parametrize("name", list(VENDORS))
def test_only_the_sandboxes_are_told_our_ids(name: str) -> None:
    vendor = vendor_of(name)
    headers = request_headers(vendor, "key-1", attempt_id=ATTEMPT_ID, request_id=REQUEST_ID)
    assert headers[vendor.auth_header] == vendor.auth_prefix + "key-1"
    assert ("x-signalbox-attempt-id" in headers) is vendor.is_simulated
    assert any(str(REQUEST_ID) in value for value in headers.values()) is vendor.is_simulated


@pytest.mark.parametrize("name", ["anthropic", "sandbox-anthropic"])
def test_anthropic_is_given_its_key_bare_and_a_version(name: str) -> None:
    headers = request_headers(vendor_of(name), "key-1", attempt_id=ATTEMPT_ID, request_id=REQUEST_ID)
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("key-1", "2023-06-01")
    assert "authorization" not in headers
