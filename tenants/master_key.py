"""Where the master key comes from, and whether it is the one that this database was written with.

Called at start-up. Invariant: a key file that is made here can be read by its owner only, and is never
overwritten, however many starters race.
"""

import base64
import binascii
import os
import re
import secrets
from pathlib import Path
from typing import Final

from tenants.crypto import KEY_BYTES, Vault
from tenants.database import Database
from tenants.errors import MasterKeyWrong
from tenants.snapshot_repository import find_any_tenant_key

_HEX: Final = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")
_HOW_TO: Final = (
    f"The master key is {KEY_BYTES} random bytes, written as base64 or as {2 * KEY_BYTES} hexadecimal digits; "
    "`openssl rand -base64 32` makes one."
)


def load_master_key(*, text: str | None = None, path: Path | None = None, is_created: bool = False) -> bytes:
    """The master key from its text, else from its file, which is made if `is_created` and it is missing.

    Raises MasterKeyWrong, never showing what was read.
    """
    if text is not None:
        return _parse(text, "The master key")
    if path is None:
        raise MasterKeyWrong(
            f"There is no master key. Set SIGNALBOX_MASTER_KEY or SIGNALBOX_MASTER_KEY_FILE. {_HOW_TO}"
        )
    try:
        if is_created and not path.exists():
            _create(path)
        content = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyWrong(
            f"The master key's file {path} cannot be {'made or ' * is_created}read ({type(error).__name__}). "
            f"Check the path and who may use it. {_HOW_TO}"
        ) from error
    return _parse(content, f"The master key in {path}")


async def check_master_key(database: Database, vault: Vault) -> None:
    """Raise MasterKeyWrong unless the key opens what the database stores; a new database takes any key."""
    async with database.snapshot() as session:
        stored = await find_any_tenant_key(session)
    if stored is not None:
        vault.open_tenant_key(stored)


def _parse(text: str, what: str) -> bytes:
    text = text.strip()
    try:
        key = bytes.fromhex(text) if _HEX.fullmatch(text) else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MasterKeyWrong(f"{what} is not base64 or hexadecimal. {_HOW_TO}") from error
    if len(key) != KEY_BYTES:
        raise MasterKeyWrong(f"{what} has {len(key)} bytes. {_HOW_TO}")
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link appears whole or not at all, and not over a key that another starter made first.
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
