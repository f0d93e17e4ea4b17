"""Every setting of the program: one row each, read from the environment once, at start.

Called by the command line and by each gateway process. Invariant: a value that cannot be right stops
the program with the variable's name, what it holds and what it may hold; a secret is never shown.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from app.commands.errors import SettingInvalid
from app.providers import AllowList, AllowListInvalid

DATABASE_URL_SHAPE: Final = "an address like postgresql://user:password@host:5432/database"


class Environment(StrEnum):
    """Where the program runs: production refuses what is only safe on a desk."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class DemoPart(StrEnum):
    """What production refuses unless SIGNALBOX_ALLOW names it."""

    EMBEDDED_DATABASE = "embedded-database"
    LOCAL_KEY_FILE = "local-key-file"
    SANDBOX = "sandbox"
    DEMO_IDENTITIES = "demo-identities"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The program's settings. Times are in seconds, sizes in bytes."""

    home: Path
    host: str
    port: int
    public_url: str | None
    workers: int
    environment: Environment
    allow: frozenset[DemoPart]
    database_url: str | None = field(repr=False)
    database_connections_max: int
    master_key: str | None = field(repr=False)
    master_key_file: Path | None
    metrics_token: str | None = field(repr=False)
    metrics_folder: Path | None
    upstream_allow: str
    body_bytes_max: int
    request_deadline_s: float
    attempts_max: int
    connect_timeout_s: float
    first_byte_timeout_s: float
    answer_timeout_s: float
    idle_timeout_s: float

    @property
    def is_embedded(self) -> bool:
        """Whether the program runs its own PostgreSQL."""
        return self.database_url is None

    @property
    def postgres_folder(self) -> Path:
        """Where the embedded server lives."""
        return self.home / "postgres"

    @property
    def local_key_file(self) -> Path:
        """Where a master key is made when none is given."""
        return self.home / "master.key"

    def refuse_in_production(self, part: DemoPart, remedy: str) -> None:
        """Raise SettingInvalid when this part may not run here."""
        if self.environment is Environment.PRODUCTION and part not in self.allow:
            raise SettingInvalid(
                f"SIGNALBOX_ENV is production, where the {part.value.replace('-', ' ')} is refused. {remedy}, "
                f"or add '{part}' to SIGNALBOX_ALLOW if you mean it."
            )


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: its variable, its field, how its text is read, its default, and what it is for."""

    variable: str
    field: str
    read: Callable[[str], Any]
    default: Any
    meaning: str
    is_secret: bool = False
    file_variable: str | None = None  # names a file that holds the value


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read every row. Raises SettingInvalid."""
    known = {row.variable for row in ROWS} | {row.file_variable for row in ROWS if row.file_variable} | OTHERS
    unknown = sorted(name for name in environment if name.startswith("SIGNALBOX_") and name not in known)
    if unknown:
        raise SettingInvalid(f"There is no setting {unknown[0]}. The settings are: {', '.join(sorted(known))}.")
    return Settings(**{row.field: _value(row, environment) for row in ROWS})


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child that needs none of our secrets."""
    secret = {row.variable for row in ROWS if row.is_secret} | {"STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"}
    return {name: value for name, value in environment.items() if name not in secret}


def _value(row: Row, environment: Mapping[str, str]) -> Any:
    text = environment.get(row.variable)
    if not text and row.file_variable and (path := environment.get(row.file_variable)):
        text = _file_text(row.file_variable, path)
    if not text:
        return row.default
    try:
        return row.read(text)
    except ValueError as error:
        shown = "" if row.is_secret else f" and is '{text[:80]}'"
        raise SettingInvalid(f"{row.variable} must be {error}{shown}.") from None


def _file_text(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{variable} names {path}, which cannot be read ({type(error).__name__}).") from None


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _seconds(high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= high:
            raise ValueError(f"a number of seconds, more than 0 and at most {high:g}")
        return value

    return read


def _environment(text: str) -> Environment:
    if text not in list(Environment):
        raise ValueError("'development' or 'production'")
    return Environment(text)


def _parts(text: str) -> frozenset[DemoPart]:
    names = text.replace(",", " ").split()
    if any(name not in list(DemoPart) for name in names):
        raise ValueError(f"a list of {', '.join(DemoPart)}")
    return frozenset(map(DemoPart, names))


def _database_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+asyncpg") or not separator or not rest:
        raise ValueError(DATABASE_URL_SHAPE)
    try:
        _ = urlsplit(text).port
    except ValueError:
        raise ValueError(DATABASE_URL_SHAPE) from None
    return f"postgresql+asyncpg://{rest}"


def _upstream_allow(text: str) -> str:
    try:
        AllowList.parse(text)
    except AllowListInvalid:
        raise ValueError("a list of host:port and networks (CIDR), such as 'vllm.internal:8000, 10.1.0.0/16'") from None
    return text


def _web_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("an address like https://gateway.example.com")
    return text.rstrip("/")


ROWS: Final = (
    Row("SIGNALBOX_HOME", "home", Path, Path(".signalbox"), "Folder of all local state."),
    Row("SIGNALBOX_HOST", "host", str, "127.0.0.1", "Address to listen on."),
    Row("SIGNALBOX_PORT", "port", _whole(1, 65_535), 8080, "Port to listen on."),
    Row(
        "SIGNALBOX_PUBLIC_URL",
        "public_url",
        _web_url,
        None,
        "Address by which browsers reach the console; with https its cookies are bound to TLS.",
    ),
    Row("SIGNALBOX_WORKERS", "workers", _whole(1, 64), 1, "Gateway processes that share the port."),
    Row("SIGNALBOX_ENV", "environment", _environment, Environment.DEVELOPMENT, "`development` or `production`."),
    Row("SIGNALBOX_ALLOW", "allow", _parts, frozenset(), "Demo parts that production shall run all the same."),
    Row(
        "SIGNALBOX_DATABASE_URL",
        "database_url",
        _database_url,
        None,
        "PostgreSQL 15 to 18. Unset: the program runs its own.",
        is_secret=True,
        file_variable="SIGNALBOX_DATABASE_URL_FILE",
    ),
    Row(
        "SIGNALBOX_DATABASE_CONNECTIONS",
        "database_connections_max",
        _whole(1, 200),
        10,
        "Database connections of a process, for each database role.",
    ),
    # Its file is read by the loader of master keys, which also makes one.
    Row("SIGNALBOX_MASTER_KEY", "master_key", str, None, "32 random bytes, base64 or hexadecimal.", is_secret=True),
    Row("SIGNALBOX_MASTER_KEY_FILE", "master_key_file", Path, None, "File that holds the master key."),
    Row(
        "SIGNALBOX_METRICS_TOKEN",
        "metrics_token",
        str,
        None,
        "Bearer token for `/metrics` and for the reasons of `/readyz`. Unset: in development this machine needs none.",
        is_secret=True,
        file_variable="SIGNALBOX_METRICS_TOKEN_FILE",
    ),
    Row(
        "SIGNALBOX_METRICS_FOLDER",
        "metrics_folder",
        Path,
        None,
        "Where the processes of one port leave their counts for each other; `serve` and `up` set it.",
    ),
    Row(
        "SIGNALBOX_UPSTREAM_ALLOW",
        "upstream_allow",
        _upstream_allow,
        "",
        "`host:port` or networks (CIDR) that addresses set by tenants may reach besides public ones.",
    ),
    Row(
        "SIGNALBOX_BODY_BYTES_MAX", "body_bytes_max", _whole(1_000, 1_000_000_000), 10_000_000, "Largest request body."
    ),
    Row("SIGNALBOX_REQUEST_DEADLINE_S", "request_deadline_s", _seconds(86_400), 600.0, "Longest time of a request."),
    Row("SIGNALBOX_ATTEMPTS_MAX", "attempts_max", _whole(1, 10), 3, "Most calls to providers for one request."),
    Row("SIGNALBOX_CONNECT_TIMEOUT_S", "connect_timeout_s", _seconds(600), 5.0, "Longest wait for a connection."),
    Row(
        "SIGNALBOX_FIRST_BYTE_TIMEOUT_S",
        "first_byte_timeout_s",
        _seconds(3_600),
        60.0,
        "Longest wait for the first byte of a stream.",
    ),
    Row(
        "SIGNALBOX_ANSWER_TIMEOUT_S",
        "answer_timeout_s",
        _seconds(3_600),
        300.0,
        "Longest wait for a whole answer, whose first byte comes when all of it is written.",
    ),
    Row("SIGNALBOX_IDLE_TIMEOUT_S", "idle_timeout_s", _seconds(3_600), 60.0, "Longest silence inside an answer."),
)
# Read elsewhere: by the command line's client and by the sandbox.
OTHERS: Final = frozenset(
    {"SIGNALBOX_API_KEY", "SIGNALBOX_BASE_URL", "SIGNALBOX_SANDBOX_FAULTS", "SIGNALBOX_SANDBOX_KEY"}
)
