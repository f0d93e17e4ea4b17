"""Form tokens and the way back after signing in."""

import pytest

from dashboard.access import STAFF_DOOR, TENANT_DOOR, form_token, safe_next


def test_two_tokens_of_one_secret_differ() -> None:
    assert form_token("secret") != form_token("secret")


@pytest.mark.parametrize("wanted", ["/console", "/console?range=7d", "/console/requests?before=1&model=a%2Fb"])
def test_signing_in_leads_back_to_a_page_of_the_console(wanted: str) -> None:
    assert safe_next(TENANT_DOOR, wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "", "//evil.test", "https://evil.test/console", "/operator", "/consoles", "/console/\\evil.test",
        "/console/\r\nset-cookie: a=b", "javascript:alert(1)", "\t/console",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(wanted: str) -> None:
    assert safe_next(TENANT_DOOR, wanted) == "/console"
    assert safe_next(STAFF_DOOR, "/console") == "/operator"
