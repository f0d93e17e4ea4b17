"""The offline verifier of an audit export: `signalbox audit verify FILE`.

Needs the file, the standard library and one signature check; no database, no network, no settings.
Invariant: the first record that does not fit is named, whatever was done to the file; without a pinned
public key the file is only shown to be whole as of the key that it carries itself.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tenants.audit_chain import (
    CHECKPOINT_KIND,
    EXPORT_KIND,
    GENESIS,
    checkpoint_line,
    event_line,
    export_line,
    link_hash,
    statement_hash,
)
from tenants.crypto import is_signed_by, public_key_id
from tenants.errors import AuditBroken

LINE_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What a verification found; `broken` names the first record that does not fit."""

    tenant_id: str | None
    tenant_name: str | None
    event_count: int
    checkpoint_count: int
    head_hash: str | None
    exported_at: str | None
    public_key_id: str | None
    is_key_pinned: bool
    broken: AuditBroken | None

    @property
    def is_intact(self) -> bool:
        """Whether every record fits."""
        return self.broken is None


def verify_audit(path: Path, *, public_key: bytes | None = None) -> AuditReport:
    """Verify an export. With `public_key` (32 bytes, learnt elsewhere) a re-signed forgery is found too."""
    verifier = _Verifier(pinned_key=public_key)
    broken = None
    try:
        with path.open("rb") as file:
            verifier.run(file)
    except AuditBroken as error:
        broken = error
    except OSError as error:
        broken = AuditBroken(f"{path} cannot be read ({type(error).__name__}). Check the path.")
    return verifier.report(broken)


class _Verifier:
    """Walks the lines once, holding only where the chain stands."""

    def __init__(self, *, pinned_key: bytes | None) -> None:
        self._pinned_key = pinned_key
        self._line = 0
        self._export: Mapping[str, object] | None = None
        self._public_key = b""
        self._sequence = 0
        self._head = GENESIS
        self._checkpoint_count = 0
        self._checkpoint_sequence = 0
        self._checkpoint_hash = GENESIS

    def run(self, file: BinaryIO) -> None:
        """Raise AuditBroken at the first line that does not fit."""
        while line := file.readline(LINE_BYTES_MAX + 1):
            self._line += 1
            record = self._parse(line)
            match record.get("record"):
                case "export":
                    self._check_export(line, record)
                case "event":
                    self._check_event(line, record)
                case "checkpoint":
                    self._check_checkpoint(line, record)
                case _:
                    raise self._broken("is neither export, event nor checkpoint")
        self._line += 1
        self._check_end()

    def report(self, broken: AuditBroken | None) -> AuditReport:
        """What was found up to here."""
        export = self._export or {}
        return AuditReport(
            tenant_id=_text_or_none(export.get("tenant_id")),
            tenant_name=_text_or_none(export.get("tenant_name")),
            event_count=self._sequence,
            checkpoint_count=self._checkpoint_count,
            head_hash=self._head.hex() if self._sequence else None,
            exported_at=_text_or_none(export.get("at")),
            public_key_id=public_key_id(self._public_key) if self._public_key else None,
            is_key_pinned=self._pinned_key is not None,
            broken=broken,
        )

    def _check_export(self, line: bytes, record: Mapping[str, object]) -> None:
        if self._line != 1:
            raise self._broken("is a second export statement")
        statement, signature = self._text(record, "statement").encode(), self._bytes(record, "signature")
        public_key = self._bytes(record, "public_key")
        self._require_spelling(line, export_line(statement, signature, public_key))
        if self._pinned_key is not None and public_key != self._pinned_key:
            ours, expected = public_key_id(public_key), public_key_id(self._pinned_key)
            raise self._broken(f"is signed with the key {ours}, not with the expected {expected}")
        export = self._signed(statement, signature, public_key, EXPORT_KIND)
        self._public_key, self._export = public_key, export

    def _check_event(self, line: bytes, record: Mapping[str, object]) -> None:
        export = self._require_export()
        sequence, payload = record.get("sequence"), self._bytes(record, "payload")
        stated = self._hash(record)
        expected = self._sequence + 1
        if sequence != expected:
            found = f"event {sequence}" if isinstance(sequence, int) else "an event without number"
            raise self._broken(f"is {found} where event {expected} must stand", sequence=expected)
        self._require_spelling(line, event_line(expected, stated, payload), sequence=expected)
        if expected > _number(export, "sequence_max"):
            raise self._broken(f"is event {expected}, more than the export was signed with", sequence=expected)
        if link_hash(self._head, payload) != stated:
            raise self._broken(f"(event {expected}) does not have the hash that the chain needs", sequence=expected)
        if self._parse_payload(payload, expected).get("tenant_id") != export["tenant_id"]:
            raise self._broken(f"(event {expected}) belongs to another tenant", sequence=expected)
        self._sequence, self._head = expected, stated

    def _check_checkpoint(self, line: bytes, record: Mapping[str, object]) -> None:
        export = self._require_export()
        at = self._sequence
        statement, signature = self._text(record, "statement").encode(), self._bytes(record, "signature")
        self._require_spelling(line, checkpoint_line(statement, signature), sequence=at)
        checkpoint = self._signed(statement, signature, self._public_key, CHECKPOINT_KIND)
        if checkpoint.get("tenant_id") != export["tenant_id"]:
            raise self._broken("is a checkpoint of another tenant", sequence=at)
        if checkpoint.get("previous_checkpoint_hash") != self._checkpoint_hash.hex():
            raise self._broken("is a checkpoint that does not follow the one before", sequence=at)
        if checkpoint.get("sequence") != at or checkpoint.get("head_hash") != self._head.hex():
            raise self._broken(
                f"is a checkpoint of event {checkpoint.get('sequence')} and does not match event {at}", sequence=at
            )
        self._checkpoint_count += 1
        self._checkpoint_sequence, self._checkpoint_hash = at, statement_hash(statement)

    def _check_end(self) -> None:
        export = self._require_export()
        declared = _number(export, "sequence_max")
        if self._sequence < declared:
            raise self._broken(
                f"is missing: the export was signed with {declared} events and ends after {self._sequence}",
                sequence=self._sequence + 1,
            )
        if self._head.hex() != export.get("head_hash"):
            raise self._broken("ends with another hash than the export was signed with", sequence=self._sequence)
        counted = _number(export, "checkpoint_count")
        if self._checkpoint_count != counted or self._checkpoint_sequence != self._sequence:
            raise self._broken(
                f"is missing: the export was signed with {counted} checkpoints, the last at event {declared}, "
                f"and has {self._checkpoint_count}, the last at event {self._checkpoint_sequence}",
                sequence=self._sequence,
            )

    def _require_export(self) -> Mapping[str, object]:
        if self._export is None:
            raise self._broken("must be the export statement")
        return self._export

    def _require_spelling(self, line: bytes, expected: bytes, *, sequence: int | None = None) -> None:
        # JSON and base64 have many spellings of one value; only ours is accepted, so that no byte is free.
        if line != expected:
            raise self._broken("is not spelled the way an export is written", sequence=sequence)

    def _signed(self, statement: bytes, signature: bytes, key: bytes, kind: str) -> Mapping[str, object]:
        if not is_signed_by(key, statement, signature):
            raise self._broken("has a signature that does not hold", sequence=self._sequence or None)
        parsed = self._parse(statement)
        if parsed.get("kind") != kind:
            raise self._broken(f"is not a statement of the kind '{kind}'", sequence=self._sequence or None)
        return parsed

    def _parse(self, text: bytes) -> Mapping[str, object]:
        if len(text) > LINE_BYTES_MAX:
            raise self._broken(f"is longer than {LINE_BYTES_MAX:,} bytes")
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._broken("is not JSON", sequence=self._sequence + 1) from error
        if not isinstance(parsed, dict):
            raise self._broken("is not a JSON object", sequence=self._sequence + 1)
        return parsed

    def _parse_payload(self, payload: bytes, sequence: int) -> Mapping[str, object]:
        try:
            parsed = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise self._broken(f"(event {sequence}) does not hold JSON", sequence=sequence) from error
        return parsed if isinstance(parsed, dict) else {}

    def _text(self, record: Mapping[str, object], field: str) -> str:
        value = record.get(field)
        if not isinstance(value, str) or not value.isascii():
            raise self._broken(f"has no readable '{field}'", sequence=self._sequence + 1)
        return value

    def _bytes(self, record: Mapping[str, object], field: str) -> bytes:
        try:
            return base64.b64decode(self._text(record, field), validate=True)
        except binascii.Error as error:
            raise self._broken(f"has no readable '{field}'", sequence=self._sequence + 1) from error

    def _hash(self, record: Mapping[str, object]) -> bytes:
        try:
            return bytes.fromhex(self._text(record, "hash"))
        except ValueError as error:
            raise self._broken("has no readable 'hash'", sequence=self._sequence + 1) from error

    def _broken(self, what: str, *, sequence: int | None = None) -> AuditBroken:
        return AuditBroken(f"Line {self._line} {what}.", line=self._line, sequence=sequence)


def _number(statement: Mapping[str, object], field: str) -> int:
    # The statement is signed by the key that is trusted here, so its shape is ours.
    value = statement.get(field)
    return value if isinstance(value, int) else 0


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
