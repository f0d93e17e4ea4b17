"""Fields are stored as they should be, or refused with their name, their value and what to do."""

from collections.abc import Callable

import pytest

from tenants import FieldInvalid
from tenants.fields import base_url_of, email_of, name_of, password_of, secret_of, slug_of


@pytest.mark.parametrize(
    ("check", "value", "stored"),
    [
        (name_of, "  Acme GmbH & Söhne ", "Acme GmbH & Söhne"),
        (slug_of, "cheap-first_2", "cheap-first_2"),
        (email_of, " Ada@Example.COM ", "ada@example.com"),
        (email_of, "operator@localhost", "operator@localhost"),
        (secret_of, " sk-123\n", "sk-123"),
        (base_url_of, "https://api.example.com/v1/", "https://api.example.com/v1"),
        (base_url_of, "http://127.0.0.1:8099", "http://127.0.0.1:8099"),
        (base_url_of, "https://[2001:db8::1]:8443/v1", "https://[2001:db8::1]:8443/v1"),
    ],
)
def test_a_sensible_value_is_stored(check: Callable[[str, str], str], value: str, stored: str) -> None:
    assert check("field", value) == stored


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (name_of, "a\u202eb"), (name_of, "\ud800"),
        (slug_of, ""), (slug_of, "-a"), (slug_of, "A"), (slug_of, "a b"),
        (slug_of, "a" * 65), (slug_of, "a\n"), (slug_of, "ä"),
        (email_of, ""), (email_of, "ada"), (email_of, "ada@"), (email_of, "@x.test"), (email_of, "a b@x.test"),
        (email_of, "a@b@x.test"), (email_of, "ädа@x.test"), (email_of, "a@" + "x" * 260), (email_of, "a\x00@x.test"),
        (password_of, "short"), (password_of, "x" * 257),
        (secret_of, ""), (secret_of, "sk\r\nx-evil: 1"), (secret_of, "schlüssel"), (secret_of, "x" * 16_385),
        (base_url_of, ""), (base_url_of, "api.example.com"), (base_url_of, "ftp://example.com"),
        (base_url_of, "file:///etc/passwd"), (base_url_of, "https://"), (base_url_of, "https:///v1"),
        (base_url_of, "https://user:pw@example.com"), (base_url_of, "https://@example.com"),
        (base_url_of, "https://example.com?a=1"), (base_url_of, "https://example.com#a"),
        (base_url_of, "https://example.com:99999"), (base_url_of, "https://example.com:0"),
        (base_url_of, "https://exa mple.com"), (base_url_of, "https://example.com\\@evil.test"),
        (base_url_of, "https://[::1"), (base_url_of, "https://bücher.example"),
        (base_url_of, "https://x/" + "y" * 2_048),
        (base_url_of, " https://example.com"), (base_url_of, "https://example.com/\n"),
    ],
)  # fmt: skip
def test_a_senseless_value_is_refused_by_its_field(check: Callable[[str, str], str], value: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        check("the_field", value)
    assert caught.value.field == "the_field"
    assert "the_field" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "value", ["https://user:hunter22@example.com", "https://" + "u" * 70 + ":hunter22@example.com"]
)
def test_a_password_in_an_address_is_not_repeated(value: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        base_url_of("base_url", value)
    assert "hunter" not in str(caught.value)


def test_a_secret_is_not_repeated() -> None:
    with pytest.raises(FieldInvalid) as caught:
        secret_of("secret", "sk-hunter22\nb")
    assert "hunter" not in str(caught.value)
