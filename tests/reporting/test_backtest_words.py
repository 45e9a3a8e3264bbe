"""What a backtest came to, in a sentence."""

from studyml.reporting.backtest_words import assumptions, headline
from tests.reporting.backtest_documents import document, silent_document


def test_the_headline_counts_and_compares() -> None:
    assert headline(document()) == (
        "In 4 nights this would have paged you 1 time and opened 0 tickets; 1 network was promoted; the predictions"
        " served had a mean absolute error of 0.90 h, against 1.30 h of the median and 1.10 h of the topic's estimate."
    )


def test_without_outcomes_it_compares_nothing() -> None:
    assert headline(silent_document()).endswith("; no session that was predicted had an outcome.")


def test_the_delay_of_labels_is_stated() -> None:
    assert "A label arrives 1.5 hours after the end of its session (--label-delay)" in assumptions(1.5, 30)[0]
