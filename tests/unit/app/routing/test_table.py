"""A route table answers as if it were made anew for each request."""

from app.routing import RouteTable, decide
from tests.unit.app.routing.builders import make_candidate, make_policy, make_signals


def table() -> RouteTable:
    policy = make_policy(
        ["sandbox/*"],
        rules=[{"name": "default", "when": {"tags": "vip"}, "then": {"candidates": ["x/vip"], "strategy": "ordered"}}],
        aliases={"smart": "x/vip"},
    )
    candidates = (make_candidate("sandbox/a"), make_candidate("sandbox/b", usd_per_million=2), make_candidate("x/vip"))
    return RouteTable(policy, candidates, plan_allows=lambda _: True, plan_id="pro")


def test_what_is_remembered_of_one_request_does_not_reach_another() -> None:
    kept = table()
    requests = [
        make_signals(tags=("vip",)),
        make_signals(),
        make_signals(request_model="smart"),
        make_signals(request_model="vip"),
        make_signals("translation", has_tools=True),
        make_signals(output_tokens_wanted=5, cost_nano_usd_max=1_500_000),
    ]
    for signals in requests * 2:
        fresh = decide(signals, table(), headroom_nano_usd=10**9, unspent_nano_usd=10**9)
        assert decide(signals, kept, headroom_nano_usd=10**9, unspent_nano_usd=10**9) == fresh


def test_a_rule_called_default_is_not_the_default() -> None:
    kept = table()
    assert decide(make_signals(), kept, headroom_nano_usd=None, unspent_nano_usd=None).ranked[0].candidate.name == (
        "sandbox/a"
    )
    decision = decide(make_signals(tags=("vip",)), kept, headroom_nano_usd=None, unspent_nano_usd=None)
    assert decision.ranked[0].candidate.name == "x/vip"
