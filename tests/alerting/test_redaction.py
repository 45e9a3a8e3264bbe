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
    ("mailtos://studyml:p%40ss%2fword@mail.example.org", ["p%40ss%2fword", "p%40ss%2Fword", "p@ss/word"]),
    ("mailtos://studyml:geheimä9@mail.example.org", ["geheimä9", "geheim%C3%A49"]),
    ("d7sms://T0K3N123@15551234567?to=15557654321,15550001111", ["T0K3N123", "15557654321", "15550001111"]),
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


@pytest.mark.parametrize(
    "address", ["slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazk/#study-alerts", "slack://xoxb-12345678/#study-alerts?x=1"]
)
def test_a_channel_stays_readable(address: str) -> None:
    assert redact("nobody reads #study-alerts", address_secrets(address)) == "nobody reads #study-alerts"


@pytest.mark.parametrize("word", ["monitoring", "database", "students"])
def test_a_password_that_is_a_word_of_messages_is_a_secret_all_the_same(word: str) -> None:
    for secrets in (
        database_secrets(f"postgresql://ann:{word}@127.0.0.1/x"),
        address_secrets(f"mailtos://ann:{word}@mail.example.org"),
    ):
        assert redact(f'the password "{word}" was refused', secrets) == 'the password "…" was refused'


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
        ("POST HTTPS://Hooks.Slack.com/services/T1/B2/c3: 404", "POST HTTPS://Hooks.Slack.com/… 404"),
        ("POST https://discord.com/api/webhooks/42/c3: 404", "POST https://discord.com/api/webhooks/… 404"),
        ("POST https://discordapp.com/api/webhooks/42/c3", "POST https://discordapp.com/api/webhooks/…"),
        ("told ann.lee+x@mail.example.org", "told …"),
        (
            'duplicate key\nDETAIL:  Key (email, name)=(ann@example.org, "Ann (Lee)") already exists.',
            "duplicate key\nDETAIL:  Key (email, name)=(…)",
        ),
        ("DETAIL:  Failing row contains (7, Ann Lee, null).", "DETAIL:  Failing row contains (…)."),
        ("DETAIL:  Failing row contains (7, (Nan) Ann Lee, null).", "DETAIL:  Failing row contains (…)."),
        (
            'CONTEXT:  COPY students, line 3, column name: "Ann Lee"',
            'CONTEXT:  COPY students, line 3, column name: "…"',
        ),
        ("DETAIL:  Failing row contains (7, Ann\nLee, null).", "DETAIL:  Failing row contains (…)."),
        ("Key (name)=(Ann (Lee) somebody) already exists.", "Key (name)=(…) already exists."),
        ("Key (name)=(Ann\nsomebody) is not present in", "Key (name)=(…) is not present in"),
        ("Key (lower(name))=(Ann) already exists.", "Key (lower(name))=(…) already exists."),
        ("Key (a)=(Ann) conflicts with existing key (a)=(ann).", "Key (a)=(…) conflicts with existing key (a)=(…)."),
        ('COPY students, line 3: "Ann\nsomebody', 'COPY students, line 3: "…"'),
        ('invalid input syntax for type integer: "Ann\nLee"', 'invalid input syntax for type integer: "…"'),
        ("told ann@localhost and ann%40example.org", "told … and …"),
        ("host=db password='somebody Ann' dbname=x", "host=db password=… dbname=x"),
        ("conn: pwd=somebody; timeout=3", "conn: pwd=…; timeout=3"),
        ("GET https://x.org/y?token=somebody&page=2", "GET https://x.org/y?token=…&page=2"),
        ("https://b.s3.org/k?X-Amz-Signature=somebody", "https://b.s3.org/k?X-Amz-Signature=…"),
        ("https://ops:some/body@b.org/x", "https://…@b.org/x"),
        ('{"api_key": "somebody", "n": 3}', '{"api_key": …, "n": 3}'),
        ('{"api_key": "c3\\"somebody"}', '{"api_key": …}'),
        ("{'password': 'c3\\'somebody'}", "{'password': …}"),
        ("password='somebody Ann", "password=…"),
        ("password=c3\\ somebody dbname=x", "password=… dbname=x"),
        ("aws_secret_access_key=somebody/c3+Ann", "aws_secret_access_key=…"),
        ("AKIAIOSFODNN7EXAMPLE is refused", "… is refused"),
        ("Authorization: Bearer c3.Ann0somebody", "Authorization: Bearer …"),
        ("slack://c3/Ann/somebody, then", "slack://… then"),
        ("https://api.telegram.org/bot1:c3somebody/sendMessage: 404", "https://api.telegram.org/bot… 404"),
        (
            'CONTEXT:  COPY students, line 3, column name: "the "Nan" Ann Lee"',
            'CONTEXT:  COPY students, line 3, column name: "…"',
        ),
        ('invalid input value for enum level: "Ann Lee"', 'invalid input value for enum level: "…"'),
        ('invalid input syntax for type integer: "the "Nan" Ann"', 'invalid input syntax for type integer: "…"'),
    ],
)
def test_what_nobody_configured_is_masked_by_its_form(text: str, redacted: str) -> None:
    assert redact(text, []).startswith(redacted)
    for word in ("somebody", "c3", "Ann", "ann"):
        assert word not in redact(text, [])


@pytest.mark.parametrize(
    "text",
    [
        "user and password are right; token 3 of 7; the basic reasons; a secret is set",
        "http://airflow:8080/dags/studyml_nightly/runs/scheduled__2026-03-01T01:00:00+00:00",
        "studyml_nightly.judge failed: the disk of 10.0.0.1 is full at s3://bucket/prefix",
        "see https://example.org/docs/runbook.md#a-night-did-not-run",
        "precision@10 is 0.4",
    ],
)
def test_what_messages_are_made_of_has_none_of_these_forms(text: str) -> None:
    logins = ("postgresql://airflow:airflow@h/x", "postgresql://u:1@h/x", "postgresql://u:night7@h/x")
    secrets = {secret for each in logins for secret in database_secrets(each)}
    assert redact(text, {*secrets, *address_secrets("json://ops.example.org/studyml_nightly")}) == text


@pytest.mark.parametrize("part", ["token-", "x+", "key (", "://", "://a:", "Key (a)=(", "COPY a", "password", "ab1"])
def test_no_text_takes_long(part: str) -> None:
    """Patterns that try every place from every other one would take minutes."""
    text = redact(part * (20_000 // len(part)), ["a-secret-of-ours"])
    assert len(text) <= 21_000


def test_a_short_password_is_masked_where_it_is_a_word_of_its_own() -> None:
    text = redact("studyml_nightly: night, night!", database_secrets("postgresql://u:night@h/x"))
    assert text == "studyml_nightly: …, …!"


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("mailto://u:S3cret%20Pw@h", "S3cret Pw"),
        ("mailto://u:S3cret%20Pw@h", "S3cret+Pw"),
        ("mailto://u:S3cret%2FPw@h", "S3cret%2fPw"),
        ("mailtos://u:hun@ter2@mail.org?to=a@b.org", "hun@ter2"),
        ("mailtos://u:hun/ter2@mail.org", "hun/ter2"),
    ],
)
def test_a_password_is_masked_however_it_is_escaped(address: str, written: str) -> None:
    assert redact(f"535 {written}, refused", address_secrets(address)) == "535 …, refused"


def test_a_token_with_a_dot_is_no_host() -> None:
    secrets = set(address_secrets("matrix://ab12cd.ef34gh56@chat.example.org"))
    assert redact("ab12cd.ef34gh56 at chat.example.org", secrets) == "… at chat.example.org"


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
