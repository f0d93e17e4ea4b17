"""The official Node SDKs, through both provider dialects: one column of the matrix each. A part of `make prove`."""

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.contract.cases import AT_ONCE_MAX, Case
from tests.contract.conftest import Served
from tests.contract.matrix import (
    ANTHROPIC_NODE,
    OPENAI_NODE,
    PROPERTY,
    PROVIDERS,
    SDK,
    cases_for,
    column_json,
    judge,
    outcome_problems,
)
from tests.contract.seen import ProviderName, Seen

HERE: Final = Path(__file__).parent
# Filled by `make build/node`, ignored by git.
INSTALLED: Final = HERE.parents[2] / "build" / "node"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("sdk", [OPENAI_NODE, ANTHROPIC_NODE], ids=lambda sdk: sdk.name)
async def test_every_case_is_as_the_sdk_expects(
    served: Served, sdk: SDK, provider: ProviderName, record_property: Callable[[str, object], None]
) -> None:
    cases = cases_for(sdk, provider)
    seen = await _run(served, sdk, cases)
    cells = judge(sdk, provider, cases, seen) | await outcome_problems(cases, seen, served.outcome_of)
    record_property(PROPERTY, column_json(sdk, provider, cells))
    assert not {name: wrong for name, wrong in cells.items() if wrong}


async def _run(served: Served, sdk: SDK, cases: Sequence[Case]) -> list[Seen]:
    assert (INSTALLED / "node_modules").is_dir(), "the Node SDKs are not installed; run `make build/node`"
    # Node looks for packages beside the script.
    script = shutil.copy(HERE / "run.mjs", INSTALLED)
    asked = {
        "surface": sdk.surface,
        "base_url": served.base_url,
        "keys": served.keys,
        "at_once_max": AT_ONCE_MAX,
        "cases": cases,
    }
    node = await asyncio.create_subprocess_exec("node", script, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    output, complaint = await node.communicate(msgspec.json.encode(asked))
    assert node.returncode == 0, complaint.decode()[-2_000:]
    return msgspec.json.decode(output, type=list[Seen])
