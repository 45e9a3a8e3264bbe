"""What a backtest came to, in a sentence."""

from studyml.reporting.backtest_words import assumptions, findings, headline
from tests.reporting.backtest_documents import document, night, silent_document


def test_the_headline_counts_and_compares() -> None:
    assert headline(document()) == (
        "In 4 nights this would have paged you 1 time and opened 0 tickets; 1 network was promoted; the predictions"
        " served had a mean absolute error of 0.90 h, against 1.30 h of the median and 1.10 h of the topic's estimate."
    )


def test_without_outcomes_it_compares_nothing() -> None:
    assert headline(silent_document()).endswith("; no session that was predicted had an outcome.")


def test_the_delay_of_labels_is_stated() -> None:
    assert "A label arrives 1.5 hours after the end of its session (--label-delay)" in assumptions(1.5, 30)[0]


def test_a_limit_far_above_all_errors_is_said_to_be_no_guard() -> None:
    (found,) = findings(document(nights=[night(1, rolling_mae=0.4), night(2, rolling_mae=0.3)]))

    assert found.startswith("The rolling error was never above 0.40 h, and the guide's rule speaks from 1.19 h on")
    assert "3.0 times" in found


def test_predictions_no_better_than_a_naive_one_are_said_to_be() -> None:
    served = document()["served"]
    level = {"median": {"ratio": 0.99, "upper_bound": 1.1}, "estimate": {"ratio": 0.8, "upper_bound": 0.9}}

    assert findings(document()) == []
    assert findings(document(served=served | {"against": level})) == [
        "What was served is hardly better than the median: on this log a network has little to learn from."
    ]
    assert findings(silent_document()) == []
