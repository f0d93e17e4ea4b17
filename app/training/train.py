"""Train the classifier and write its weights: `make train`. The same examples give the same file.

Styles are left out first, one after another, to learn how far a guess can be trusted; then all are learnt.
"""

from collections.abc import Sequence

from app.training.artifact import quantised, write
from app.training.calibrate import calibrate
from app.training.examples import Example, measured, read_examples, say, weights_of
from app.training.languages import learn_languages, write_languages
from app.training.leave_out import predict_unseen
from app.training.linear import Labels, labels_of, sparse_of, train
from app.training.quality import main as train_quality


def main() -> None:
    """Train on everything there is."""
    examples = read_examples()
    prompts = sparse_of([example.text for example in examples])
    labels = labels_for(examples)
    held_out = measured(examples)
    calibration = calibrate(held_out, labels.of(range(len(held_out))), predict_unseen(examples, prompts, labels))
    weights = train(prompts, labels, range(len(examples)))
    written = quantised(weights, sharpness=calibration.sharpness, confidence=calibration.confidence)
    size = write(written)
    languages = learn_languages(held_out)
    say(f"{len(languages.languages)} languages; {write_languages(languages):,} bytes")
    say(f"{len(examples):,} prompts learnt; version {written.version}, {size:,} bytes; {calibration}")
    train_quality()


def labels_for(examples: Sequence[Example]) -> Labels:
    """Number the labels of examples and weigh them."""
    return labels_of([each.task for each in examples], [each.domain for each in examples], weights_of(examples))


if __name__ == "__main__":
    main()
