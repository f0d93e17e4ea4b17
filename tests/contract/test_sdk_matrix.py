"""The official Python SDKs, through both provider dialects: one column of the matrix each."""

from collections.abc import Callable

import pytest

from tests.contract import run_anthropic, run_openai
from tests.contract.conftest import Served
from tests.contract.matrix import (
    ANTHROPIC_PYTHON,
    OPENAI_PYTHON,
    PROPERTY,
    PROVIDERS,
    SDK,
    cases_for,
    column_json,
    judge,
    outcome_problems,
)
from tests.contract.seen import ProviderName

RUN_BY_SDK = {OPENAI_PYTHON.name: run_openai.run, ANTHROPIC_PYTHON.name: run_anthropic.run}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("sdk", [OPENAI_PYTHON, ANTHROPIC_PYTHON], ids=lambda sdk: sdk.name)
async def test_every_case_is_as_the_sdk_expects(
    served: Served, sdk: SDK, provider: ProviderName, record_property: Callable[[str, object], None]
) -> None:
    run, cases = RUN_BY_SDK[sdk.name], cases_for(sdk, provider)
    seen = await run(served.base_url, served.keys, cases)
    cells = judge(sdk, provider, cases, seen) | await outcome_problems(cases, seen, served.outcome_of)
    record_property(PROPERTY, column_json(sdk, provider, cells))
    assert not {name: wrong for name, wrong in cells.items() if wrong}
