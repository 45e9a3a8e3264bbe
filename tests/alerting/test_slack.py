"""What Slack gets: Apprise's own plugin, with Slack's host replaced by a webhook on this machine."""

from typing import Any

import pytest

from studyml.alerting.messenger import send
from tests.alerting.receivers import Webhook
from tests.alerting.test_degraded_message import body as degraded

ADDRESS = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7"


@pytest.fixture
def slack(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> Webhook:
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{hook.port}/services")
    hook.answer = b"ok"
    return hook


def attachment(hook: Webhook) -> tuple[bool, dict[str, Any]]:
    """Whether Slack is asked to read marks in the text, and what it shows."""
    (document,) = hook.received
    (shown,) = document["attachments"]
    return document["mrkdwn"], shown


def test_the_text_arrives_as_it_was_written_and_no_mark_in_it_is_read(slack: Webhook) -> None:
    body = degraded() + "\n*studyml_nightly* _x_ ~y~ `z`\n- <!channel> & more > less"

    assert send(ADDRESS, "studyml: MAE 1.42 h & more", body).refusal is None

    marks, shown = attachment(slack)
    assert slack.asked == ["/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7"]
    assert marks is False
    assert "mrkdwn_in" not in shown
    # Slack shows these three characters only where they are written so, and rings nobody.
    escaped = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert shown["text"].strip() == escaped
    assert shown["title"] == "studyml: MAE 1.42 h &amp; more"
    assert "Runbook: https://wiki.example.org/runbook#degraded\n" in shown["text"]


def test_it_is_signed_by_us_and_coloured_by_what_it_says(slack: Webhook) -> None:
    assert send(ADDRESS, "bad", "news").refusal is None
    assert send(ADDRESS, "good", "news", recovery=True).refusal is None

    (bad,), (good,) = (document["attachments"] for document in slack.received)
    assert bad["footer"] == good["footer"] == "studyml"
    assert bad["color"] != good["color"]


def test_with_blocks_it_is_plain_text_too(slack: Webhook) -> None:
    assert send(f"{ADDRESS}/?blocks=yes", "subject", "- one\n- *two*").refusal is None

    (shown,) = slack.received[0]["attachments"]
    assert [(block["type"], block["text"]["type"]) for block in shown["blocks"][:2]] == [
        ("header", "plain_text"),
        ("section", "plain_text"),
    ]
    assert shown["blocks"][1]["text"]["text"].strip() == "- one\n- *two*"
