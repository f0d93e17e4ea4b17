"""Errors tell what happened without telling secrets."""

from app.providers import FailureKind, UpstreamRefused, UpstreamTimeout
from app.providers.errors import UpstreamError


def test_every_failed_call_has_a_kind() -> None:
    assert all(kind.kind in FailureKind for kind in UpstreamError.__subclasses__())


def test_a_refusal_names_status_code_and_parameter() -> None:
    error = UpstreamRefused(FailureKind.INVALID, 400, code="unsupported_value", param="temperature")
    assert str(error) == (
        "The provider refused the call: invalid (status 400, code 'unsupported_value', parameter 'temperature')."
    )


def test_a_time_out_names_its_phase_and_limit() -> None:
    assert "first_byte time-out of 1.5 s" in str(UpstreamTimeout("first_byte", 1.5))
