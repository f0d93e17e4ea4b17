"""Which candidate and credential is tried next, and what never is."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.breaker import FAILURES_LEAST
from app.gateway.health import REPEATS_BURST, Health
from app.gateway.tries import WAIT_S_MAX, Tries, Try
from app.providers import ConnectFailed, FailureKind, UpstreamError, UpstreamRefused, UpstreamTimeout
from app.providers.errors import TimeoutPhase
from app.routing import Candidate, Evidence, Ranked, RequestFacts, RouteDecision, Signals
from billing import Price
from tenants import CredentialFacts

TENANT = UUID(int=9)
SERVER = UpstreamRefused(FailureKind.SERVER, 500)


def limited(retry_after_s: float | None = None) -> UpstreamRefused:
    error = UpstreamRefused(FailureKind.RATE_LIMITED, 429)
    error.retry_after_s = retry_after_s
    return error


def ranked(number: int, *, context_tokens: int | None = None) -> Ranked:
    price = Price(
        price_version_id=TENANT,
        provider_name=f"p{number}",
        model=f"m{number}",
        input_nano_usd_per_million=1,
        output_nano_usd_per_million=1,
        context_tokens=context_tokens,
    )
    candidate = Candidate(
        provider_name=f"p{number}",
        model=f"m{number}",
        credential_id=UUID(int=number),
        credential_owner="platform",
        price=price,
        rate_ppm=1_000_000,
    )
    return Ranked(candidate=candidate, bound_nano_usd=1, output_tokens_limit=None)


def decision(*candidates: Ranked, moves_on_refusal: bool = False) -> RouteDecision:
    evidence = Evidence(value="open_qa", confidence=1.0, decided_by="tag", because="")
    facts = RequestFacts(request_model="auto", instruction="", input_tokens_bound=1, input_tokens_estimate=1)
    return RouteDecision(
        policy_name="default",
        policy_version=1,
        rule="default",
        reason="",
        signals=Signals(task=evidence, domain=evidence, facts=facts),
        verdicts=(),
        ranked=candidates,
        first_token_ms_max=1_000,
        moves_on_refusal=moves_on_refusal,
    )


def credential(number: int, *, weight: int = 1) -> CredentialFacts:
    return CredentialFacts(
        tenant_id=TENANT,
        credential_id=UUID(int=number),
        provider_name="p",
        name=str(number),
        base_url=None,
        weight=weight,
    )


def tries(
    *candidates: Ranked,
    health: Health | None = None,
    tries_max: int = 5,
    pools: Mapping[UUID, Sequence[CredentialFacts]] | None = None,
    moves_on_refusal: bool = False,
) -> Tries:
    alone = {each.candidate.credential_id: (credential(each.candidate.credential_id.int),) for each in candidates}
    return Tries(
        decision(*candidates, moves_on_refusal=moves_on_refusal),
        alone | dict(pools or {}),
        health or Health(),
        tries_max=tries_max,
    )


def models(of: Tries, *errors: UpstreamError) -> list[str]:
    """The models tried while one error after the other comes back."""
    found = []
    for error in errors:
        next_try = of.next(0.0)
        if next_try is None:
            break
        found.append(next_try.ranked.candidate.model)
        of.failed(error)
    return found


def test_candidates_are_tried_in_their_order() -> None:
    assert models(tries(ranked(1), ranked(2), ranked(3)), SERVER, SERVER, SERVER) == ["m1", "m2", "m3"]


def test_the_number_of_tries_is_kept() -> None:
    assert models(tries(ranked(1), ranked(2), ranked(3), tries_max=2), SERVER, SERVER, SERVER) == ["m1", "m2"]


def test_what_the_caller_did_wrong_stops() -> None:
    assert models(tries(ranked(1), ranked(2)), UpstreamRefused(FailureKind.INVALID, 400), SERVER) == ["m1"]


@pytest.mark.parametrize(("moves", "tried"), [(False, ["m1"]), (True, ["m1", "m2"])])
def test_a_content_refusal_moves_only_where_the_policy_says_so(moves: bool, tried: list[str]) -> None:
    refused = UpstreamRefused(FailureKind.CONTENT_REFUSED, 400)
    assert models(tries(ranked(1), ranked(2), moves_on_refusal=moves), refused, SERVER) == tried


def test_what_is_too_long_moves_to_a_longer_context_alone() -> None:
    shorter, same, longer, unknown = (
        ranked(number, context_tokens=size) for number, size in ((2, 1_000), (3, 8_000), (4, 32_000), (5, None))
    )
    too_long = UpstreamRefused(FailureKind.CONTEXT_EXCEEDED, 400)
    moving = tries(ranked(1, context_tokens=8_000), shorter, same, longer, unknown)
    assert models(moving, too_long, SERVER, SERVER, SERVER) == ["m1", "m4", "m5", "m4"]


def test_another_credential_stands_in_before_another_candidate() -> None:
    pool = {UUID(int=1): (credential(1), credential(11))}
    standing = tries(ranked(1), ranked(2), pools=pool)
    used = []
    for _ in range(3):
        next_try = standing.next(0.0)
        assert next_try is not None
        used.append((next_try.ranked.candidate.model, next_try.credential.credential_id.int))
        standing.failed(UpstreamRefused(FailureKind.AUTH, 401))
    assert {number for model, number in used[:2]} == {1, 11}
    assert used[2] == ("m2", 2)


def test_credentials_share_the_calls_by_weight() -> None:
    pool = (credential(1, weight=9), credential(2, weight=1))
    health = Health()
    chosen = [health.choose(pool, "m", frozenset(), 0.0) for _ in range(2_000)]
    assert 0.85 < sum(one is pool[0] for one in chosen) / len(chosen) < 0.95


def test_a_credential_without_credit_rests_for_every_model() -> None:
    health = Health()
    health.begin(UUID(int=1), "m1", 0.0)
    health.end(UUID(int=1), "m1", 0.0, UpstreamRefused(FailureKind.OUT_OF_CREDIT, 429))
    assert health.choose((credential(1),), "m2", frozenset(), 1.0) is None
    assert health.choose((credential(1),), "m2", frozenset(), 61.0) is not None


def test_a_rate_limit_rests_the_model_for_as_long_as_the_provider_asks() -> None:
    health = Health()
    health.end(UUID(int=1), "m1", 0.0, limited(7))
    assert health.wait_s(UUID(int=1), "m1", 0.0) == 7
    assert health.wait_s(UUID(int=1), "m2", 0.0) == 0
    assert models(tries(ranked(1), ranked(2), health=health), SERVER) == ["m2"]


def test_an_open_breaker_is_passed_by_while_another_candidate_is_left() -> None:
    health = Health()
    for _ in range(FAILURES_LEAST):
        health.begin(UUID(int=1), "m1", 0.0)
        health.end(UUID(int=1), "m1", 0.0, ConnectFailed("refused"))
    assert models(tries(ranked(1), ranked(2), health=health), SERVER) == ["m2"]
    alone = tries(ranked(1), health=health).next(0.0)
    assert alone is not None
    assert alone.wait_s > 0


def test_what_rests_for_long_is_not_waited_for() -> None:
    health = Health()
    health.end(UUID(int=1), "m1", 0.0, limited(30))
    alone = tries(ranked(1), health=health)
    assert alone.next(0.0) is None
    assert alone.soonest_s(0.0) == 30


def test_an_hour_that_a_provider_asks_for_is_not_believed_for_longer_than_a_minute() -> None:
    health = Health()
    health.end(UUID(int=1), "m1", 0.0, limited(3_600))
    assert health.wait_s(UUID(int=1), "m1", 0.0) == 60


def test_a_last_candidate_is_repeated_after_a_pause() -> None:
    alone = tries(ranked(1))
    assert alone.next(0.0) is not None
    alone.failed(limited(2))
    again = alone.next(0.0)
    assert again is not None
    assert again.wait_s >= 2


def test_who_asks_for_a_long_wait_is_not_repeated() -> None:
    alone = tries(ranked(1))
    assert alone.next(0.0) is not None
    alone.failed(limited(WAIT_S_MAX + 1))
    assert alone.next(0.0) is None


def test_a_time_out_is_not_repeated() -> None:
    assert models(tries(ranked(1)), UpstreamTimeout("first_byte", 1.0), SERVER) == ["m1"]


def test_repeats_run_out_in_a_storm() -> None:
    health, repeats = Health(), 0
    for _ in range(100):
        storm = tries(ranked(1), health=health, tries_max=2)
        assert storm.next(0.0) is not None
        storm.failed(SERVER)
        repeats += storm.next(0.0) is not None
    assert repeats == REPEATS_BURST


def test_a_candidate_without_room_in_the_budget_is_passed_by() -> None:
    passing = tries(ranked(1), ranked(2), tries_max=1)
    assert passing.next(0.0) is not None
    passing.pass_over(whole_candidate=True)
    second = passing.next(0.0)
    assert second is not None
    assert second.ranked.candidate.model == "m2"


def test_the_last_candidate_knows_that_it_is() -> None:
    two = tries(ranked(1), ranked(2))
    first = two.next(0.0)
    assert first is not None
    assert first.has_next
    two.failed(SERVER)
    second = two.next(0.0)
    assert second is not None
    assert not second.has_next


KINDS = st.sampled_from(list(FailureKind))


@given(st.integers(1, 5), st.integers(1, 6), st.lists(KINDS, min_size=20, max_size=20))
def test_whatever_fails_the_tries_end_and_stay_among_the_ranked(
    count: int, tries_max: int, kinds: list[FailureKind]
) -> None:
    running = tries(*(ranked(number) for number in range(1, count + 1)), tries_max=tries_max)
    made: list[Try] = []
    for kind in kinds:
        next_try = running.next(0.0)
        if next_try is None:
            break
        made.append(next_try)
        running.failed(UpstreamRefused(kind, 500))
    assert 1 <= len(made) <= tries_max
    assert {each.ranked.candidate.model for each in made} <= {f"m{number}" for number in range(1, count + 1)}


@pytest.mark.parametrize("kind", [FailureKind.AUTH, FailureKind.MODEL_NOT_FOUND])
def test_a_refusal_that_one_request_may_have_earned_closes_nothing_while_others_are_answered(kind: FailureKind) -> None:
    health = Health()
    health.end(UUID(int=1), "m1", 0.0, None)
    health.end(UUID(int=1), "m1", 1.0, UpstreamRefused(kind, 403))
    assert health.wait_s(UUID(int=1), "m1", 1.0) == 0
    health.end(UUID(int=1), "m1", 100.0, UpstreamRefused(kind, 403))
    assert health.wait_s(UUID(int=1), "m1", 100.0) == 60


@pytest.mark.parametrize(("phase", "is_open"), [("first_token", False), ("first_byte", True)])
def test_the_impatience_of_one_tenant_opens_no_breaker_for_the_others(phase: TimeoutPhase, is_open: bool) -> None:
    health = Health()
    for _ in range(FAILURES_LEAST):
        assert health.begin(UUID(int=1), "m1", 0.0)
        health.end(UUID(int=1), "m1", 0.0, UpstreamTimeout(phase, 0.001))
    assert (health.wait_s(UUID(int=1), "m1", 0.0) > 0) is is_open
