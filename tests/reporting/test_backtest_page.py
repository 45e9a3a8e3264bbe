"""The page of a backtest says what its document says, escapes what comes from the source, and needs nothing else."""

import re
from html.parser import HTMLParser

from studyml.reporting.backtest_page import backtest_page
from tests.reporting.backtest_documents import deployment, document, incident, retraining, silent_document


class Tags(HTMLParser):
    """Collects the words of a page, and whether its tags close in order."""

    VOID = ("meta", "br", "rect", "path")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data + " "


def words(page: str) -> str:
    tags = Tags(page)
    assert tags.open == []
    return re.sub(r"\s+", " ", tags.words)


def test_the_page_begins_with_what_it_came_to() -> None:
    shown = words(backtest_page(document(), {"timeline": "<svg></svg>"}))

    assert "2026-02-01 to 2026-02-04 It went well. 1 page 0 tickets 1 promoted network 0.90 h" in shown
    for part in (
        "MAE is up page 2026-02-03 still open",
        "Nobody slept.",
        "It was quiet.",
        "mlp guide",
        "it is better",
        "0.90 (20)",
    ):
        assert part in shown


def test_the_thresholds_that_were_set_are_marked_and_many_dates_are_counted() -> None:
    shown = words(backtest_page(document(), {}))

    assert "1.2 (as set) 10 6 of 4 6 2026-02-03 , 2026-02-03 , 2026-02-03 , 2026-02-03 and 2 more" in shown
    assert "1.5 10 0 of 4 0 never" in shown


def test_the_rule_beyond_chance_is_held_against_its_own_limit_alone() -> None:
    chance = {**document()["thresholds"][0], "rule": "confirmed", "ratio": None}
    shown = words(backtest_page(document(thresholds=[chance]), {}))

    assert "beyond chance (as set) 10 6 of 4 6" in shown


def test_a_challenger_that_was_promoted_after_its_trial_says_from_when_it_served() -> None:
    tried = retraining(decision="challenger")
    served = deployment(as_of="2026-02-04T01:00:00+00:00")

    assert "challenger promoted 2026-02-04 mlp guide" in words(
        backtest_page(document(retrainings=[tried], deployments=[served]), {})
    )
    assert "challenger mlp guide" in words(backtest_page(document(retrainings=[tried], deployments=[]), {}))


def test_a_ticket_that_became_a_page_says_since_when() -> None:
    later = incident(severity_since="2026-02-04T01:00:00+00:00")
    shown = words(backtest_page(document(incidents=[later]), {}))
    assert "MAE is up page since 2026-02-04 2026-02-03 still open" in shown


def test_nothing_that_happened_is_a_page_too() -> None:
    shown = words(backtest_page(silent_document(), {}))

    for part in ("Nobody: there was no incident.", "No predicted session had an outcome.", "No retraining was due."):
        assert part in shown


def test_what_comes_from_outside_is_escaped_and_nothing_is_loaded() -> None:
    evil = "<script>alert(1)</script>"
    page = backtest_page(
        document(
            source=evil,
            headline=evil,
            incidents=[incident(title=evil)],
            retrainings=[retraining(reasons=[evil], recipe=evil)],
        ),
        {},
    )

    assert "<script" not in page
    assert page.count("&lt;script") == 5
    assert not re.search(r"(src|href)=\"(?!#)", page)
