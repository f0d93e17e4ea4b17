"""What Prometheus reads: sums over processes, closed labels, no tenant."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics
from billing import AttemptRecord, CredentialOwner, Outcome, RequestRecord, Usage

TENANT = UUID(int=77)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def attempt(*, owner: CredentialOwner = "platform", model: str = "gpt-4o-mini", latency_ms: int = 15) -> AttemptRecord:
    return AttemptRecord(
        attempt_id=UUID(int=1),
        attempt_number=1,
        provider_name="openai",
        model=model,
        credential_id=UUID(int=2),
        credential_owner=owner,
        started_at=NOW,
        outcome=Outcome.OK,
        latency_ms=latency_ms,
        first_token_ms=9,
        reserved_nano_usd=10,
        usage=Usage(input_tokens=100, output_tokens=7),
        billed_nano_usd=1_500_000_000,
        provider_cost_nano_usd=1,
    )


def record(*attempts: AttemptRecord) -> RequestRecord:
    return RequestRecord(
        tenant_id=TENANT,
        request_id=UUID(int=3),
        project_id=UUID(int=4),
        api_key_id=UUID(int=5),
        operation_name="chat",
        surface="openai",
        is_streamed=False,
        started_at=NOW,
        request_model="auto",
        outcome=Outcome.OK,
        http_status=200,
        latency_ms=20,
        attempts=attempts,
        overhead_ms=1.5,
    )


class Samples(dict[tuple[str, frozenset[str]], float]):
    """Every sample by its name and its labels' values, in any order."""

    def of(self, name: str, *labels: str) -> float:
        """One sample."""
        return self[name, frozenset(labels)]


def samples(metrics: Metrics) -> Samples:
    families = text_string_to_metric_families(metrics.text(metrics.counted()).decode())
    return Samples(
        ((sample.name, frozenset(sample.labels.values())), sample.value)
        for family in families
        for sample in family.samples
    )


def test_a_request_is_counted_with_its_calls_tokens_and_amount() -> None:
    metrics = Metrics("a")
    metrics.count(record(attempt(), attempt()))
    found = samples(metrics)
    target = ("chat", "openai", "gpt-4o-mini")
    assert found.of("signalbox_requests_total", "openai", "chat", "ok", "200") == 1
    assert found.of("signalbox_attempts_total", *target, "ok") == 2
    assert found.of("gen_ai_client_token_usage_total", *target, "input") == 200
    assert found.of("signalbox_billed_nano_usd_total") == 3_000_000_000
    assert found.of("gen_ai_client_operation_duration_seconds_bucket", *target, "", "0.01") == 0
    assert found.of("gen_ai_client_operation_duration_seconds_bucket", *target, "", "0.02") == 2
    assert found.of("gen_ai_client_operation_duration_seconds_count", *target, "") == 2


def test_no_label_tells_a_tenant_or_a_name_that_a_tenant_gave() -> None:
    metrics = Metrics("a")
    metrics.count(record(attempt(owner="tenant", model="acme-secret-project")))
    text = metrics.text(metrics.counted()).decode()
    assert str(TENANT) not in text
    assert "acme" not in text
    assert 'gen_ai_request_model="tenants-own"' in text


@given(st.lists(st.integers(0, 400_000), max_size=20))
def test_buckets_add_up_whatever_was_observed(latencies_ms: list[int]) -> None:
    metrics = Metrics("a")
    for latency_ms in latencies_ms:
        metrics.count(record(attempt(latency_ms=latency_ms)))
    found = samples(metrics)
    buckets = [value for (name, _), value in found.items() if name == "gen_ai_client_operation_duration_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert (buckets[-1] if buckets else 0) == len(latencies_ms)


def test_whoever_is_asked_tells_what_all_have_counted(tmp_path: Path) -> None:
    first, second = Metrics("first", folder=tmp_path), Metrics("second", folder=tmp_path)
    second.watch("signalbox_settlements_waiting", lambda: 4)
    for _ in range(3):
        second.count(record(attempt()))
    second.leave()
    first.count(record(attempt()))
    first.leave()
    (tmp_path / "old.json").write_text('{"of":"another version"}')
    found = samples(first)
    assert found.of("signalbox_requests_total", "openai", "chat", "ok", "200") == 4
    assert found.of("signalbox_settlements_waiting") == 4
    assert samples(second) == found


def test_a_name_with_a_space_is_one_label() -> None:
    metrics = Metrics("a")
    metrics.count(record(attempt(model="Some Model 7B")))
    assert samples(metrics).of("signalbox_attempts_total", "chat", "openai", "Some Model 7B", "ok") == 1


def test_what_is_being_written_does_not_move() -> None:
    metrics = Metrics("a")
    metrics.count(record(attempt()))
    counted = metrics.counted()
    metrics.count(record(attempt(model="another")))
    assert b"another" not in metrics.text(counted)


def test_a_folder_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    metrics = Metrics("a", folder=tmp_path / "gone")
    metrics.leave()
    assert samples(metrics).of("signalbox_billed_nano_usd_total") == 0


def test_only_known_numbers_are_watched() -> None:
    with pytest.raises(AssertionError):
        Metrics("a").watch("anything", lambda: 1)
