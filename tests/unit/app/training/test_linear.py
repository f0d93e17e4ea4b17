"""Training gives the same weights bit for bit, and a prompt is never judged by weights that saw its style."""

import pytest

np = pytest.importorskip("numpy", reason="training alone needs numpy; `make train` installs it")

from app.training.artifact import quantised  # noqa: E402 - numpy may be missing
from app.training.examples import Example, measured, read_examples, weights_of  # noqa: E402 - numpy may be missing
from app.training.leave_out import folds_of  # noqa: E402 - numpy may be missing
from app.training.linear import labels_of, sparse_of, train  # noqa: E402 - numpy may be missing

EXAMPLES = read_examples()
SOME = EXAMPLES[::150]


def weights_for(examples: list[Example]) -> bytes:
    labels = labels_of([each.task for each in examples], [each.domain for each in examples], weights_of(examples))
    weights = train(sparse_of([each.text for each in examples]), labels, range(len(examples)))
    written = quantised(weights, sharpness={"task": 1.0, "domain": 1.0}, confidence=(0.0,) * 8)
    return written.table + written.flags


def test_the_same_prompts_give_the_same_weights_bit_for_bit() -> None:
    first = weights_for(SOME)
    assert weights_for(SOME) == first
    assert weights_for(SOME[:-1]) != first


def test_each_measured_style_is_left_out_once() -> None:
    styles = {each.style for each in measured(EXAMPLES)}
    folds = folds_of(EXAMPLES)
    assert sorted(style for fold in folds for style in fold) == sorted(styles)


def test_styles_and_tasks_of_any_size_are_heard() -> None:
    weights = weights_of(EXAMPLES)
    assert np.isclose(np.mean(weights), 1.0)
    assert min(weights) > 0
