"""What a log line may not hold."""

import pytest

from app.telemetry import REDACTED, redact


@pytest.mark.parametrize(
    "text", ["key sbx_live_abcdefgh12 here", "sbm_abcdefgh1234", "sk-proj-abcdefgh", "Bearer abcdefghij"]
)
def test_what_looks_like_a_key_is_redacted(text: str) -> None:
    event = redact(None, "", {"event": text, "reason": text})
    assert "abcdefgh" not in str(event)
    assert REDACTED in event["event"]


def test_fields_that_hold_secrets_or_content_are_redacted() -> None:
    event = redact(None, "", {"event": "x", "prompt": "my secret", "password": "p", "count": 3})
    assert event == {"event": "x", "prompt": REDACTED, "password": REDACTED, "count": 3}


def test_a_database_error_loses_its_statement_and_its_rows() -> None:
    trace = (
        "asyncpg.UniqueViolationError: duplicate key\nDETAIL:  Key (email)=(jo@acme.test) already exists.\n\n"
        "sqlalchemy.exc.IntegrityError: duplicate key\n[SQL: INSERT INTO member\nVALUES (now()[1])]\n"
        "[parameters: ('jo@acme.test',)]\n(Background on this error elsewhere)"
    )
    event = redact(None, "", {"event": "job_failed", "exception": trace})
    assert "jo@acme.test" not in event["exception"]
    assert "INSERT" not in event["exception"]
    assert "duplicate key" in event["exception"]
    assert "Background" in event["exception"]
