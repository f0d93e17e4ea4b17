"""What the fields of tenancy may hold. Each check returns the value as stored, or raises FieldInvalid.

Used by the services. A message shows the value, cut short, unless the field is a secret.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlsplit

from tenants.errors import FieldInvalid

NAME_CHARACTERS_MAX: Final = 120
EMAIL_CHARACTERS_MAX: Final = 254
PASSWORD_CHARACTERS_MIN: Final = 12
PASSWORD_CHARACTERS_MAX: Final = 256
SECRET_CHARACTERS_MAX: Final = 16_384
BASE_URL_CHARACTERS_MAX: Final = 2_048
VALUE_CHARACTERS_SHOWN: Final = 80

_EMAIL: Final = re.compile(r"[!-?A-~]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)

Choice = TypeVar("Choice", bound=StrEnum)


def name_of(field: str, value: str) -> str:
    """A name for people: 1 to 120 characters on one line."""
    name = value.strip()
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise FieldInvalid(
            field,
            f"{field} is '{_shown(value)}'; give 1 to {NAME_CHARACTERS_MAX} printable characters on one line.",
        )
    return name


def text_of(field: str, value: str, characters_max: int) -> str:
    """Text of several lines, without control characters that a database or a page cannot hold."""
    text = value.strip()
    if not 1 <= len(text) <= characters_max or any(
        not character.isprintable() and character not in "\n\r\t" for character in text
    ):
        raise FieldInvalid(
            field, f"{field} has {len(text):,} characters; give 1 to {characters_max:,}, without control characters."
        )
    return text


def slug_of(field: str, value: str) -> str:
    """A name for programs: lower-case letters, digits, '-' and '_'."""
    if not _SLUG.fullmatch(value):
        raise FieldInvalid(
            field,
            f"{field} is '{_shown(value)}'; give 1 to 64 lower-case letters, digits, '-' or '_', "
            "beginning with a letter or digit.",
        )
    return value


def whole_of(field: str, value: int, *, least: int, most: int) -> int:
    """A whole number within bounds."""
    if not least <= value <= most:
        raise FieldInvalid(field, f"{field} is {value}; give a whole number from {least} to {most}.")
    return value


def email_of(field: str, value: str) -> str:
    """An email in lower case. ASCII only, so that Python and PostgreSQL agree about lower case."""
    email = value.strip().lower()
    if len(email) > EMAIL_CHARACTERS_MAX or not _EMAIL.fullmatch(email):
        raise FieldInvalid(field, f"{field} is '{_shown(value)}', which is not an email address like ada@example.com.")
    return email


def password_of(field: str, value: str) -> str:
    """A password that someone chose."""
    if not PASSWORD_CHARACTERS_MIN <= len(value) <= PASSWORD_CHARACTERS_MAX:
        raise FieldInvalid(
            field,
            f"{field} has {len(value)} characters; "
            f"give {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX}, a sentence is fine.",
        )
    return value


def secret_of(field: str, value: str) -> str:
    """A provider's key, which goes into a header: visible ASCII without line breaks."""
    secret = value.strip()
    if not 1 <= len(secret) <= SECRET_CHARACTERS_MAX or not (secret.isascii() and secret.isprintable()):
        raise FieldInvalid(
            field,
            f"{field} has {len(secret)} characters; give 1 to {SECRET_CHARACTERS_MAX:,} visible ASCII characters "
            "on one line, just as the provider shows the key.",
        )
    return secret


def base_url_of(field: str, value: str) -> str:
    """An http or https address without user, query or fragment; a final slash is dropped."""
    try:
        parts = urlsplit(value)
        is_well_formed = (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0  # raises ValueError beyond 65535
            and "@" not in parts.netloc
            and not any(mark in value for mark in "?#\\")
            and len(value) <= BASE_URL_CHARACTERS_MAX
            and value.isascii()
            and value.isprintable()
            and " " not in value
        )
    except ValueError:
        is_well_formed = False
    if not is_well_formed:
        raise FieldInvalid(
            field,
            f"{field} is '{_shown(_without_user(value))}'; give an address like https://api.example.com/v1, "
            "without user, query or fragment.",
        )
    return value.rstrip("/")


def choice_of(field: str, value: str, choices: Collection[Choice]) -> Choice:
    """One of a closed set."""
    for choice in choices:
        if choice == value:
            return choice
    allowed = ", ".join(choices)
    raise FieldInvalid(field, f"{field} is '{_shown(value)}'; choose one of: {allowed}.")


def future_of(field: str, value: datetime) -> datetime:
    """A moment that is still to come, with a time zone."""
    if value.tzinfo is None or value <= datetime.now(UTC):
        raise FieldInvalid(
            field, f"{field} is {value.isoformat()}; give a moment in the future with its time zone, best in UTC."
        )
    return value


def _shown(value: str) -> str:
    cut = value if len(value) <= VALUE_CHARACTERS_SHOWN else value[:VALUE_CHARACTERS_SHOWN] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)


def _without_user(address: str) -> str:
    # What stands before an '@' may be a password that someone pasted into the address.
    scheme, mark, rest = address.rpartition("@")
    return f"{scheme.partition('//')[0]}//…@{rest}" if mark else address
