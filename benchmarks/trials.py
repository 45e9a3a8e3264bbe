"""How often a trial of a challenger ends wrongly: a worse one promoted, or one that is no worse not promoted.

    .venv/bin/python -m benchmarks.gates --trials [--quick] [--json FILE]

Each round is a whole trial: outcomes arrive night by night, and the rule of ``studyml/evaluation/trial.py`` is asked
every night, as the night does. Both versions predict the same sessions; a session's error is what no model can know,
normal with 1 h, plus the version's own error: half of its variance is the student's, for all his sessions, and half the
session's. The champion's own error has a standard deviation of 0.4 h; the challenger's is such that its MAE is the
champion's times ``truth``. ``every night`` is the same rule without planned looks, asked each night from the minimum
on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from studyml.evaluation.trial import CONTINUE, LOOKS, PROMOTE, RETIRE, Pairs, judge_trial
from studyml.settings import Settings

TRUTHS = (0.95, 1.0, 1.05, 1.10)
NOISE_HOURS, CHAMPION_HOURS = 1.0, 0.4
_DAY_MICROSECONDS = 24 * 3600 * 1_000_000


@dataclass(frozen=True)
class School:
    """How many students there are, and how many outcomes a night brings."""

    students: int
    nightly: int


SCHOOLS, QUICK_SCHOOLS = (School(30, 10), School(200, 40)), (School(30, 10),)


def pairs_of(school: School, truth: float, outcomes: int, random: np.random.Generator) -> Pairs:
    """Outcomes [n] in their order of arrival, the challenger's MAE being ``truth`` times the champion's."""
    student = random.integers(0, school.students, outcomes)
    day = np.arange(outcomes) // school.nightly
    noise = random.normal(0, NOISE_HOURS, outcomes)
    # Of a normal error the MAE is proportional to the standard deviation.
    challenger_variance = truth**2 * (NOISE_HOURS**2 + CHAMPION_HOURS**2) - NOISE_HOURS**2
    errors = []
    for variance in (CHAMPION_HOURS**2, challenger_variance):
        spread = np.sqrt(variance / 2)
        errors.append(random.normal(0, spread, school.students)[student] + random.normal(0, spread, outcomes))
    return Pairs(student.astype(np.int64), day * _DAY_MICROSECONDS, 10 + noise, 10 + errors[0], 10 + errors[1])


def first(pairs: Pairs, outcomes: int) -> Pairs:
    """The first ``outcomes`` of them."""
    return Pairs(
        *(each[:outcomes] for each in (pairs.student_id, pairs.session_date, pairs.actual)),
        pairs.champion[:outcomes],
        pairs.challenger[:outcomes],
    )


def trial(pairs: Pairs, school: School, *, minimum: int, days: int, planned: bool, seed: int) -> tuple[str, int]:
    """(decision, night) of one trial; ``planned`` False takes a look every night from the minimum on."""
    looks, night = 0, 0
    for night in range(1, days + 1):
        outcomes = min(night * school.nightly, len(pairs.actual))
        over = night == days
        due = outcomes >= minimum if not planned else sum(outcomes >= minimum * each for each in LOOKS) > looks
        if not due and not over:
            continue  # nothing would be decided, and nothing is drawn
        found = judge_trial(
            first(pairs, outcomes),
            minimum=minimum,
            looks_taken=looks if planned else 0,
            time_is_over=over,
            seed=seed,
        )
        looks = found.look
        end = planned or found.decision == PROMOTE or over or found.reason.startswith("the challenger is worse")
        if found.decision != CONTINUE and end:
            return found.decision, night
    return RETIRE, night


def measure(school: School, truth: float, *, rounds: int, minimum: int, days: int, planned: bool) -> dict[str, Any]:
    """How many of ``rounds`` trials were promoted and retired, and after how many nights."""
    ends = []
    for seed in range(rounds):
        random = np.random.default_rng([seed, school.students, round(truth * 1000)])
        pairs = pairs_of(school, truth, min(days * school.nightly, LOOKS[-1] * minimum + school.nightly), random)
        ends.append(trial(pairs, school, minimum=minimum, days=days, planned=planned, seed=seed))
    promoted = sum(decision == PROMOTE for decision, _ in ends)
    return {
        "students": school.students,
        "outcomes_a_night": school.nightly,
        "truth": truth,
        "looks": "planned" if planned else "every night",
        "rounds": rounds,
        "promoted": promoted / rounds,
        "retired": sum(decision == RETIRE for decision, _ in ends) / rounds,
        "nights": float(np.median([night for _, night in ends])),
    }


def run(console: Console, *, quick: bool, rounds: int | None) -> list[dict[str, Any]]:
    """Measure, print and return the figures; looks of every night are tried on fewer trials, they take long."""
    rounds = rounds or (100 if quick else 300)
    minimum = int(Settings.model_fields["challenger_min_outcomes"].default)
    days = int(Settings.model_fields["challenger_max_days"].default)
    found = []
    table = Table("students", "outcomes a night", "true MAE ratio", "looks", "trials", "promoted", "retired", "nights")
    for school in QUICK_SCHOOLS if quick else SCHOOLS:
        for truth in TRUTHS:
            for planned in (True, False):
                console.print(f"{school.students} students, true ratio {truth}", style="dim")
                many = rounds if planned else max(rounds // 10, 10)
                each = measure(school, truth, rounds=many, minimum=minimum, days=days, planned=planned)
                found.append(each)
                shares = (f"{each['promoted']:.1%}", f"{each['retired']:.1%}", f"{each['nights']:.0f}")
                table.add_row(*map(str, list(each.values())[:5]), *shares)
    console.print(f"looks at {', '.join(str(minimum * times) for times in LOOKS)} paired outcomes, {days} days at most")
    Console().print(table)
    return found
