"""The ledger against a computation from scratch: any order of arrivals, corrections, removals, moves and nights."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studyml.database.connection import Connection
from studyml.errors import DatabaseError
from studyml.monitoring.ledger import count_outcomes, label_counts, new_labels, sessions_with_outcome
from studyml.monitoring.rolling import SERVED, Rolling, rolling_errors
from studyml.settings import Settings
from studyml.steps import observe as module
from studyml.steps.observe import observe
from studyml.steps.opening import own_database
from tests.conftest import END, NOW
from tests.scoring.world import VERSION, add_champion, add_sessions, create_source, insert, predict_night, query

DAY = timedelta(days=1)
NIGHTS = [END + number * DAY for number in range(0, 30, 3)]
WINDOW, CORRECTIONS = 10, 15
SESSIONS = range(8)
#: How many nights the app's ids tell nothing of the order in which rows were made.
MIXED_IDS = [90, 5, 71, 12, 64, 33, 48, 27]

hours = st.sampled_from([None, 0.5, 1.0, 2.25])
#: Label, relabel, unlabel (None) or move (to so many days before or after the night) a session, or delete it.
changes = st.one_of(hours, st.just("deleted"), st.integers(1 - CORRECTIONS, 6).map(lambda days: days * DAY))
#: What becomes of a night: it is lived, lived twice, compares everything, is killed, or never comes.
fates = st.sampled_from(["lived", "lived", "lived", "twice", "compares all", "killed", "skipped"])


class Day(NamedTuple):
    """What happens up to a night and in it: changes of sessions, its fate, and what it predicts (session: hours)."""

    changes: list[tuple[int, object]]
    fate: str
    predictions: dict[int, float]


days = st.builds(
    Day,
    st.lists(st.tuples(st.sampled_from(SESSIONS), changes), max_size=5),
    fates,
    st.dictionaries(st.sampled_from(SESSIONS), st.sampled_from([1.0, 1.5, 3.0]), max_size=8),
)
#: Sessions as (days after END that it is dated, the night before which its row is made, its label by then).
rows = st.tuples(st.integers(-300, 25), st.integers(0, len(NIGHTS) - 1), hours)
lives = st.tuples(
    st.lists(rows, min_size=len(SESSIONS), max_size=len(SESSIONS)),
    st.lists(days, min_size=len(NIGHTS), max_size=len(NIGHTS)),
)


class Revision(NamedTuple):
    observed_at: datetime
    date: datetime
    hours: float | None
    served: float | None


@dataclass
class FromScratch:
    """What the ledger must say, from a look at everything in each night."""

    known: dict[int, list[Revision]] = field(default_factory=dict)

    def observe(
        self,
        as_of: datetime,
        source: dict[int, tuple[datetime, float | None]],
        served: dict[int, float],
        cutoff: datetime,
    ) -> None:
        due = {session: row for session, row in source.items() if row[0] <= as_of}
        for session, (date, label) in due.items():
            if session not in self.known:
                if label is not None:
                    self.known[session] = [Revision(as_of, date, label, served.get(session))]
            elif self.differs(session, date, label) and max(date, self.known[session][-1].date) > cutoff:
                self.known[session].append(Revision(as_of, date, label, self.known[session][0].served))
        for session in self.known.keys() - due.keys():
            newest = self.known[session][-1]
            if newest.hours is not None and newest.date > cutoff:
                self.known[session].append(newest._replace(observed_at=as_of, hours=None))

    def differs(self, session: int, date: datetime, label: float | None) -> bool:
        newest = self.known[session][-1]
        return newest.hours != label or (label is not None and newest.date != date)

    def standing(self, as_of: datetime) -> dict[int, Revision]:
        """The labels that count at a night, of the sessions in its window."""
        newest = {
            session: [each for each in found if each.observed_at <= as_of][-1:] for session, found in self.known.items()
        }
        return {
            session: each
            for session, found in newest.items()
            for each in found
            if each.hours is not None and as_of - WINDOW * DAY < each.date <= as_of
        }

    def errors(self, as_of: datetime) -> list[float]:
        return [abs(each.hours - each.served) for each in self.standing(as_of).values() if each.served is not None]


@dataclass
class Life:
    """The study app as Python and as tables, the ledger as a computation from scratch and as tables."""

    settings: Settings
    source: dict[int, tuple[datetime, float | None]] = field(default_factory=dict)
    expected: FromScratch = field(default_factory=FromScratch)
    ids: dict[int, int] = field(default_factory=dict)
    served: dict[int, float] = field(default_factory=dict)
    figures: dict[datetime, list[Rolling]] = field(default_factory=dict)
    last: datetime | None = None

    def make(self, number: int, date: datetime, label: float | None, night: datetime) -> None:
        """A new row: its id is any, but where only a higher id than all before shows it to the night."""
        hidden = self.last is not None and date <= min(self.last, night - CORRECTIONS * DAY)
        self.ids[number] = 1000 + len(self.ids) if hidden else MIXED_IDS[number]
        self.source[self.ids[number]] = (date, label)
        add_sessions(self.settings, [(self.ids[number], date, label)])

    def change(self, number: int, change: object, night: datetime) -> None:
        session = self.ids.get(number)
        if session not in self.source:
            return
        date, label = self.source[session]
        if change == "deleted":
            del self.source[session]
            query(self.settings, "DELETE FROM study_sessions WHERE id = %s", session)
            return
        row = (night + change, label) if isinstance(change, timedelta) else (date, change)
        self.source[session] = row
        query(
            self.settings,
            "UPDATE study_sessions SET (session_date, actual_duration) = (%s, %s) WHERE id = %s",
            *row,
            session,
        )

    def live(self, night: datetime, fate: str) -> None:
        if fate == "killed":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "update_history", fail)
                with pytest.raises(DatabaseError):
                    look(self.settings, night)
        if fate in ("killed", "skipped"):
            return
        everything = fate == "compares all" or self.last is None or not self.expected.known
        look(self.settings, night, compare_all=fate == "compares all")
        if fate == "twice":
            look(self.settings, night)
        cutoff = datetime.min.replace(tzinfo=END.tzinfo) if everything else night - CORRECTIONS * DAY
        self.expected.observe(night, self.source, self.served, cutoff)
        self.last = night
        with own_database(self.settings) as connection:
            self.figures[night] = rolling_errors(connection, as_of=night, window_days=WINDOW)


def look(settings: Settings, as_of: datetime, **options: bool) -> dict[str, int | bool]:
    return observe(settings, as_of=as_of, now=max(as_of, NOW), **options)


def fail(*_: object) -> None:
    raise DatabaseError("the server went away.")


@pytest.fixture
def world(settings: Settings) -> Settings:
    """An empty source and a champion since long ago."""
    create_source(settings)
    add_champion(settings, END - 100 * DAY)
    return settings.model_copy(
        update={"monitoring_window_days": WINDOW, "correction_window_days": CORRECTIONS, "scoring_horizon_days": 400}
    )


def lived(settings: Settings, life: tuple[list[tuple[int, int, float | None]], list[Day]]) -> Life:
    """Live it all, from an empty database on."""
    query(
        settings,
        "TRUNCATE study_sessions, studyml.outcomes, studyml.outcome_predictions, studyml.predictions,"
        " studyml.observations, studyml.unlabelled_sessions, studyml.history_observations, studyml.history_states,"
        " studyml.history_expectations",
    )
    sessions, nights = life
    found = Life(settings)
    for number, (night, day) in enumerate(zip(NIGHTS, nights, strict=True)):
        for session, (days_after, made_before, label) in enumerate(sessions):
            if made_before == number:
                found.make(session, END + days_after * DAY, label, night)
        for session, change in day.changes:
            found.change(session, change, night)
        found.live(night, day.fate)
        known = {found.ids[each]: hours for each, hours in day.predictions.items() if each in found.ids}
        predict_night(settings, night, list(known.items()))
        found.served |= known
    return found


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives)
def test_every_night_says_what_a_computation_from_scratch_says(
    world: Settings, life: tuple[list[tuple[int, int, float | None]], list[Day]]
) -> None:
    found = lived(world, life)

    revisions: dict[int, list[Revision]] = {}
    for session, *row in query(
        world,
        "SELECT o.session_id, o.observed_at, o.session_date, o.actual_hours, p.predicted_hours FROM studyml.outcomes o"
        " LEFT JOIN studyml.outcome_predictions p USING (session_id, revision) ORDER BY o.session_id, o.revision",
    ):
        revisions.setdefault(session, []).append(Revision(*row))
    assert revisions == found.expected.known
    with own_database(world) as connection:
        for night in NIGHTS:
            compare_night(connection, found, night)


def compare_night(connection: Connection, life: Life, night: datetime) -> None:
    """Every figure of a night, looked at again after all that came later."""
    figures = rolling_errors(connection, as_of=night, window_days=WINDOW)
    if night in life.figures:
        assert figures == life.figures[night], "not the same bits as in the night itself"
    errors, standing = life.expected.errors(night), life.expected.standing(night)
    assert (figures[0].scope, figures[0].n) == (SERVED, len(errors))
    assert figures[0].mae == (pytest.approx(sum(errors) / len(errors)) if errors else None)
    assert [each.n for each in figures[1:] if each.scope == VERSION] == ([len(errors)] if errors else [])
    after = night - WINDOW * DAY
    assert count_outcomes(connection, after=after, as_of=night) == len(standing)
    assert sessions_with_outcome(connection, after=after, as_of=night).tolist() == sorted(standing)
    stood = [sum(before < each.date for before in NIGHTS) for each in standing.values()]
    expected = [stood.count(number) for number in range(len(NIGHTS) + 1)]
    assert label_counts(connection, nights=NIGHTS, after=after, as_of=night) == expected
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT outcome_id, revision FROM studyml.outcomes WHERE observed_at <= %s ORDER BY outcome_id", (night,)
        )
        arrived = cursor.fetchall()
    for consumed in (0, arrived[len(arrived) // 2][0] if arrived else 7):
        new = sum(number > consumed and revision == 1 for number, revision in arrived)
        newest = arrived[-1][0] if arrived else 0
        assert new_labels(connection, consumed_through=consumed, as_of=night) == (new, newest)


def test_a_replayed_night_gives_the_same_bits_when_rows_are_stored_in_another_order(world: Settings) -> None:
    add_sessions(world, [(number, END - DAY, 1 + number / 7) for number in range(1, 40)])
    predict_night(world, END - 2 * DAY, [(number, 2 + number / 11) for number in range(1, 40)])
    look(world, END)
    with own_database(world) as connection:
        before = rolling_errors(connection, as_of=END, window_days=WINDOW)
    columns = query(
        world,
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_schema = 'studyml'"
        " AND table_name = 'outcome_predictions' AND is_generated = 'NEVER'",
    )[0][0]
    stored = query(world, f"SELECT {columns} FROM studyml.outcome_predictions ORDER BY predicted_hours DESC")
    query(world, "TRUNCATE studyml.outcome_predictions")
    insert(world, f"INSERT INTO studyml.outcome_predictions ({columns}) VALUES %s", stored)

    with own_database(world) as connection:
        assert rolling_errors(connection, as_of=END, window_days=WINDOW) == before
