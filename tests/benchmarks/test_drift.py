"""How often drift is reported: logs of the right size, habits that are habits, and a change that is found."""

import numpy as np

from benchmarks.drift import CHANGES, END, habits, measure
from benchmarks.quality.frames import labelled_frame
from studyml.monitoring.profile import build_reference
from studyml.simulation import Simulation, simulate


def test_habits_make_the_sessions_of_a_student_alike() -> None:
    log = labelled_frame(simulate(Simulation(800, 20, 120, 1), END))
    kept = habits(log, np.random.default_rng(1))

    hours = np.ones(len(kept))
    alike = build_reference(kept, predicted=hours, actual=hours).profiles["environment"].crowd.alike
    assert len(kept) == 400
    assert len(set(kept["id"].tolist())) == 400
    assert 0.7 < alike < 1


def test_every_kind_of_log_and_change_is_measured() -> None:
    found = measure(2, 400, 20)

    assert [(each["sessions"], each["changed"]) for each in found] == [
        (kind, change) for kind in ("independent", "habits") for change in CHANGES
    ]
    gone = [each for each in found if "missing" in each["changed"]]
    assert [each["moved"] for each in gone] == [1, 1]
    assert all("time_of_day" in each["features"] for each in gone)
