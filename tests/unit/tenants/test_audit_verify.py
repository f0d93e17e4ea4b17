"""The offline verifier names the first record that does not fit, whatever was done to the file."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenants import AuditReport, Vault, verify_audit
from tenants.audit_chain import checkpoint_line, checkpoint_statement, event_line, link_hash
from tests.unit.tenants.audit_bundles import NOON, OTHER_TENANT_ID, TENANT_ID, VAULT, bundle

# Line 1 is the export statement; then events 1, 2, 3, a checkpoint, events 4, 5, 6, a checkpoint.
WHOLE = bundle()
OTHERS = bundle(tenant_id=OTHER_TENANT_ID)


def verify(folder: Path, lines: list[bytes], *, public_key: bytes | None = VAULT.audit_public_key) -> AuditReport:
    path = folder / "audit.jsonl"
    path.write_bytes(b"".join(lines))
    return verify_audit(path, public_key=public_key)


def first_broken(folder: Path, lines: list[bytes]) -> tuple[int | None, int | None]:
    report = verify(folder, lines)
    assert report.broken is not None
    return report.broken.line, report.broken.sequence


def test_an_untouched_export_is_intact(tmp_path: Path) -> None:
    report = verify(tmp_path, WHOLE)
    assert report.is_intact, report.broken
    assert (report.event_count, report.checkpoint_count) == (6, 2)
    assert (report.tenant_id, report.tenant_name, report.is_key_pinned) == (str(TENANT_ID), "Acme", True)


def test_an_edited_payload_is_named(tmp_path: Path) -> None:
    lines = list(WHOLE)
    record = json.loads(lines[3])
    lines[3] = event_line(3, bytes.fromhex(record["hash"]), b'{"tenant_id":"' + str(TENANT_ID).encode() + b'"}')
    assert first_broken(tmp_path, lines) == (4, 3)


def test_an_edit_that_mends_the_chain_behind_it_fails_at_the_checkpoint(tmp_path: Path) -> None:
    lines, payload = list(WHOLE), b'{"tenant_id":"' + str(TENANT_ID).encode() + b'"}'
    head = link_hash(bytes.fromhex(json.loads(lines[2])["hash"]), payload)
    lines[3] = event_line(3, head, payload)
    assert first_broken(tmp_path, lines) == (5, 3)


@pytest.mark.parametrize(("line", "sequence"), [(1, 1), (2, 2), (5, 4), (7, 6)])
def test_a_deleted_event_is_named(tmp_path: Path, line: int, sequence: int) -> None:
    assert first_broken(tmp_path, WHOLE[:line] + WHOLE[line + 1 :]) == (line + 1, sequence - (line == 7))


def test_a_deleted_checkpoint_is_named(tmp_path: Path) -> None:
    assert first_broken(tmp_path, WHOLE[:4] + WHOLE[5:]) == (8, 6)
    assert first_broken(tmp_path, WHOLE[:-1]) == (9, 6)


def test_an_inserted_event_is_named(tmp_path: Path) -> None:
    assert first_broken(tmp_path, [*WHOLE[:3], WHOLE[2], *WHOLE[3:]]) == (4, 3)


def test_swapped_events_are_named(tmp_path: Path) -> None:
    assert first_broken(tmp_path, [WHOLE[0], WHOLE[2], WHOLE[1], *WHOLE[3:]]) == (2, 1)


@pytest.mark.parametrize("kept", [1, 2, 5, 6, 8])
def test_a_cut_tail_is_named(tmp_path: Path, kept: int) -> None:
    report = verify(tmp_path, WHOLE[:kept])
    assert report.broken is not None
    assert report.broken.line == kept + 1
    assert "missing" in str(report.broken)


def test_an_appended_event_is_named(tmp_path: Path) -> None:
    longer = bundle(event_count=7)
    assert first_broken(tmp_path, [*WHOLE, longer[9]]) == (10, 7)


def test_a_forged_checkpoint_is_named(tmp_path: Path) -> None:
    forger, lines = Vault(bytes(32)), list(WHOLE)
    statement = json.loads(lines[4])["statement"].encode()
    lines[4] = checkpoint_line(statement, forger.sign_audit(statement))
    assert first_broken(tmp_path, lines) == (5, 3)


def test_a_checkpoint_of_ours_for_another_tenant_is_named(tmp_path: Path) -> None:
    assert first_broken(tmp_path, [*WHOLE[:4], OTHERS[4], *WHOLE[5:]]) == (5, 3)


def test_a_checkpoint_of_ours_that_does_not_follow_is_named(tmp_path: Path) -> None:
    head = bytes.fromhex(json.loads(WHOLE[3])["hash"])
    statement = checkpoint_statement(
        tenant_id=TENANT_ID, sequence=3, head=head, previous_checkpoint=bytes([7]) * 32, at=NOON
    )
    lines = [*WHOLE[:4], checkpoint_line(statement, VAULT.sign_audit(statement)), *WHOLE[5:]]
    assert first_broken(tmp_path, lines) == (5, 3)


def test_another_tenants_event_is_named(tmp_path: Path) -> None:
    assert first_broken(tmp_path, [*WHOLE[:2], OTHERS[2], *WHOLE[3:]]) == (3, 2)


def test_another_tenants_whole_chain_under_our_statement_is_named(tmp_path: Path) -> None:
    assert first_broken(tmp_path, [WHOLE[0], *OTHERS[1:]]) == (2, 1)


def test_an_older_statement_over_a_longer_chain_is_named(tmp_path: Path) -> None:
    assert first_broken(tmp_path, [bundle(event_count=3)[0], *WHOLE[1:]]) == (6, 4)


def test_a_file_signed_anew_by_a_forger_is_found_by_the_pinned_key_alone(tmp_path: Path) -> None:
    forged = bundle(vault=Vault(bytes(32)))
    pinned, unpinned = verify(tmp_path, forged), verify(tmp_path, forged, public_key=None)
    assert pinned.broken is not None
    assert pinned.broken.line == 1
    assert unpinned.is_intact
    assert not unpinned.is_key_pinned


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b"[1]\n", b"not json\n", b"\xff\xfe\n", b'{"record":"event"}\n']
)
def test_what_is_no_export_is_said_so(tmp_path: Path, content: bytes) -> None:
    assert first_broken(tmp_path, [content])[0] == 1


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    report = verify_audit(tmp_path / "absent.jsonl")
    assert "absent.jsonl cannot be read" in str(report.broken)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, len(b"".join(WHOLE)) - 1), change=st.integers(1, 255))
def test_no_byte_can_change_unseen(tmp_path: Path, position: int, change: int) -> None:
    content = bytearray(b"".join(WHOLE))
    content[position] ^= change
    report = verify(tmp_path, [bytes(content)])
    assert report.broken is not None
    assert report.broken.line is not None
    # The line that was changed is named; a changed line end shows there or at the next line.
    changed_line = bytes(content[:position]).count(b"\n") + 1
    assert report.broken.line in {changed_line, changed_line + 1}


@st.composite
def mutations(draw: st.DrawFn) -> list[bytes]:
    """The lines of an export after one to three deletions, copies, swaps, foreign lines or cuts."""
    lines = list(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        at, to = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["delete", "copy", "swap", "foreign", "cut"])):
            case "delete":
                del lines[at]
            case "copy":
                lines.insert(to, lines[at])
            case "swap":
                lines[at], lines[to] = lines[to], lines[at]
            case "foreign":
                lines[at] = OTHERS[to % len(OTHERS)]
            case _:
                lines = lines[:at]
        if not lines:
            break
    return lines


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=mutations())
def test_no_line_can_move_unseen(tmp_path: Path, lines: list[bytes]) -> None:
    report = verify(tmp_path, lines)
    if lines == WHOLE:
        assert report.is_intact
        return
    different = next((n for n, (a, b) in enumerate(zip(lines, WHOLE, strict=False), 1) if a != b), None)
    first_different = different or min(len(lines), len(WHOLE)) + 1
    assert report.broken is not None
    assert report.broken.line is not None
    # A checkpoint that is gone only shows at the next one; everything else at once.
    assert first_different <= report.broken.line <= first_different + 4
