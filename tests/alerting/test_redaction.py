"""Whatever an error quotes, no secret and no personal data is in the text that people get."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.alerting.redaction import address_secrets, database_secrets, redact

ADDRESSES = [
    (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7/#predictions",
        ["T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7"],
    ),
    (
        "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#ops",
        ["xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d"],
    ),
    ("tgram://123456789:AbCdEfGhIjKlMnOp/12315544/", ["123456789", "AbCdEfGhIjKlMnOp", "12315544"]),
    ("mailtos://studyml:hunter2@mail.example.org?to=ann@example.org", ["hunter2"]),
    ("mailtos://studyml:p%40ss%2Fword@mail.example.org", ["p%40ss%2Fword", "p@ss/word"]),
    ("sendgrid://SG.aBcDeF.123456:from@example.org", ["SG.aBcDeF.123456"]),
    ("json://127.0.0.1:8080/T0K3NPATH?+X-Key=HEADERSECRET", ["T0K3NPATH", "HEADERSECRET"]),
    ("https://beat.example.org/ping/0b1c2d3e-aaaa-bbbb-cccc-1234567890ab", ["0b1c2d3e-aaaa-bbbb-cccc-1234567890ab"]),
]


@pytest.mark.parametrize(("address", "hidden"), ADDRESSES, ids=lambda value: str(value)[:12])
def test_no_part_of_an_address_that_may_be_a_secret_is_left(address: str, hidden: list[str]) -> None:
    secrets = list(address_secrets(address))
    quoted = f"failed: {address} ({quote(address)}) {' '.join(hidden)}"

    text = redact(quoted, secrets)

    assert text.startswith("failed: ")
    for secret in hidden:
        assert secret not in text


def test_hosts_and_the_words_that_messages_are_made_of_stay_readable() -> None:
    secrets = {
        secret
        for address in (
            "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazk/#predictions",
            "json://localhost/studyml",
            "json://127.0.0.1:8080/hooks/degraded/incident",
        )
        for secret in address_secrets(address)
    }
    text = "studyml: studyml_nightly.notify failed: hooks.slack.com offers no services to localhost, no predictions"
    text += "; incident 7 is degraded"

    assert redact(text, {*secrets, *database_secrets("postgresql://studyml:studyml@db.example.org/x")}) == text


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("postgresql://ann:topsecret@127.0.0.1/x", "topsecret"),
        ("postgresql://ann:top%3Asecret@127.0.0.1/x", "top:secret"),
        ("postgresql://127.0.0.1/x?user=ann&password=topsecret", "topsecret"),
        ("postgresql://127.0.0.1/x?sslpassword=topsecret&sslmode=require", "topsecret"),
    ],
)
def test_the_password_of_a_database_is_masked_wherever_it_is_written(address: str, secret: str) -> None:
    text = redact(f'password "{secret}" was refused', database_secrets(address))

    assert text == 'password "…" was refused'


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://somebody:else@10.0.0.1/x is down", "postgresql://…@10.0.0.1/x is down"),
        ("POST https://hooks.slack.com/services/T1/B2/c3: 404", "POST https://hooks.slack.com/… 404"),
        ("told ann.lee+x@mail.example.org", "told …"),
        (
            'duplicate key\nDETAIL:  Key (email, name)=(ann@example.org, "Ann (Lee)") already exists.',
            "duplicate key\nDETAIL:  Key (email, name)=(…)",
        ),
        ("DETAIL:  Failing row contains (7, Ann Lee, null).", "DETAIL:  Failing row contains (…)."),
        (
            'CONTEXT:  COPY students, line 3, column name: "Ann Lee"',
            'CONTEXT:  COPY students, line 3, column name: "…"',
        ),
    ],
)
def test_what_nobody_configured_is_masked_by_its_form(text: str, redacted: str) -> None:
    assert redact(text, []).startswith(redacted)
    for word in ("somebody", "c3", "Ann", "ann"):
        assert word not in redact(text, [])


def test_a_value_that_postgresql_does_not_take_is_masked() -> None:
    text = 'ages (invalid input syntax for type double precision: "Ann Smith, born 1990"): correct it'
    assert redact(text, []) == 'ages (invalid input syntax for type double precision: "…"): correct it'


@pytest.mark.parametrize("text", ["see json://127.0.0.1:8081/tok1234", "POST http://127.0.0.1:8081/tok1234 failed"])
def test_an_address_is_masked_whole_however_short_its_token(text: str) -> None:
    assert "tok1234" not in redact(text, address_secrets("json://127.0.0.1:8081/tok1234"))


@given(
    before=st.text(max_size=40),
    secret=st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=30),
    after=st.text(max_size=40),
)
def test_a_secret_is_gone_whatever_surrounds_it(before: str, secret: str, after: str) -> None:
    assert secret not in redact(before + secret + after, [secret])


def test_a_secret_within_another_does_not_save_it() -> None:
    assert redact("token-abc-def", ["abc", "token-abc-def"]) == "…"
