"""Every remedy is a setting of this product, the guide's value of it, and none that leads the wrong way."""

import pytest

from studyml.evaluation import remedies
from studyml.evaluation.remedies import Remedy, settings_for
from studyml.hyperparameters import Hyperparameters

EVERY = sorted(
    {each for group in vars(remedies).values() if isinstance(group, tuple) for each in group},
    key=lambda each: each.words,
)


@pytest.mark.parametrize("remedy", EVERY, ids=lambda each: each.words)
def test_the_setting_is_understood(remedy: Remedy) -> None:
    given = {remedy.name: remedy.value}

    assert Hyperparameters(**given).model_dump(exclude_none=True) == given


def test_the_values_are_the_guides() -> None:
    values = {(each.name, each.value) for each in EVERY}

    assert values >= {
        *(("dropout", 0.4), ("l2", 0.01), ("stop_patience", 10)),
        *(("neurons", 256), ("dropout", 0.1), ("epochs", 300)),
        *(("learning_rate", 0.0001), ("schedule", "plateau"), ("clipnorm", 1.0), ("initializer", "he_normal")),
    }


@pytest.mark.parametrize(
    ("remedy", "current", "helps"),
    [
        (Remedy("", "l2", 0.01, "more"), 0.03, False),
        (Remedy("", "l2", 0.01, "more"), 0.0, True),
        (Remedy("", "stop_patience", 10, "less"), None, True),
        (Remedy("", "stop_patience", 10, "less"), 10, False),
        (Remedy("", "schedule", "plateau", "other"), "plateau", False),
        (Remedy("", "schedule", "plateau", "other"), "cosine", True),
    ],
)
def test_only_what_changes_something_for_the_better_is_offered(remedy: Remedy, current: object, helps: bool) -> None:
    assert remedy.helps(current) == helps
    assert len(settings_for([remedy], {remedy.name: current})) == helps


def test_what_is_set_already_stays_set() -> None:
    (line,) = settings_for(
        [Remedy("more dropout", "dropout", 0.4, "more")], {"dropout": 0.2}, {"l2": 0.03, "dropout": 0.2}
    )

    assert line == """more dropout: STUDYML_HYPERPARAMETERS='{"l2": 0.03, "dropout": 0.4}'"""


@pytest.mark.parametrize(("architecture", "offered"), [("mlp", 3), ("attention", 2), ("lstm", 1)])
def test_what_the_architecture_would_ignore_is_not_offered(architecture: str, offered: int) -> None:
    wanted = [each for each in remedies.OVERFITTING if each.name in ("neurons", "dropout", "l2")]
    current = {"architecture": architecture, "neurons": 128, "dropout": 0.1, "l2": 0.003}

    assert len(settings_for(wanted, current)) == offered
