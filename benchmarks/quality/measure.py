"""Fits the predictors of a case and judges them on its test rows."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import ours
from benchmarks.quality.log import BEST, Log, hours_of, real_log, simulated_log
from benchmarks.quality.ours import Forecast
from benchmarks.quality.peers import PEERS
from benchmarks.quality.plan import REAL_LOGS, Case
from benchmarks.quality.results import Result, fingerprint
from studyml.contract import MAXIMUM_HOURS, MINIMUM_HOURS

Floats = NDArray[np.float64]

_LOG_CODE = (
    *(f"benchmarks/quality/{name}.py" for name in ("frames", "log", "processes")),
    *("studyml/simulation.py", "studyml/features"),
)
_PEER_CODE = ("benchmarks/quality/peers.py", "studyml/evaluation/naive.py")


def code_of(predictor: str, known: dict[bool, str]) -> str:
    """The fingerprint of what a result depends on; ``known`` keeps them while a run lasts."""
    is_peer = predictor in PEERS
    if is_peer not in known:
        own = _PEER_CODE if is_peer else (*ours.CODE, "benchmarks/quality/missing.py", "benchmarks/quality/ours.py")
        known[is_peer] = fingerprint({*_LOG_CODE, *own})
    return known[is_peer]


def open_log(case: Case, data: Path) -> Log:
    """The log of a case; real ones are in folders of ``data``."""
    if case.process in REAL_LOGS:
        return real_log(data / case.process)
    return simulated_log(case.process, case.size, case.seed)


def measure(
    case: Case, log: Log, groups: tuple[tuple[str, ...], ...], code: Callable[[str], str]
) -> Iterator[list[Result]]:
    """The results of each group of predictors."""
    actual, reference = hours_of(log.test), reference_mae(log)
    for group in groups:
        yield [
            Result(
                case.process,
                case.size,
                case.seed,
                name,
                None if each.hours is None else float(np.abs(each.hours - actual).mean()),
                reference,
                round(each.seconds, 3),
                code(name),
                {**each.details, "training_rows": len(log.training), "test_rows": len(actual)},
            )
            for name, each in _forecasts(case, log, group).items()
        ]


def reference_mae(log: Log) -> float:
    """The MAE, hours, of the best possible prediction; on a real log of the better of median and estimate."""
    test, actual = log.test, hours_of(log.test)
    if log.has_best:
        return float(np.abs(test[BEST].astype(np.float64) - actual).mean())
    naive = (PEERS[name].fit(log.training, (), 0)(test) for name in ("median", "estimate"))
    return min(float(np.abs(_served(hours) - actual).mean()) for hours in naive)


def _forecasts(case: Case, log: Log, group: tuple[str, ...]) -> Mapping[str, Forecast]:
    if ours.AUTO in group:
        return ours.fit_auto(log, case.seed, gaps=case.gaps)
    [name] = group
    if name == ours.SERVED:
        return {name: ours.fit_served(log, case.seed)}
    if name not in PEERS:
        return {name: ours.fit_one(log, name, case.seed)}
    peer = PEERS[name]
    started = time.perf_counter()
    predict = peer.fit(log.training, peer.names, case.seed)
    seconds = time.perf_counter() - started
    return {name: Forecast(_served(predict(log.test)), seconds, {})}


def _served(hours: Floats) -> Floats:
    return np.clip(hours, MINIMUM_HOURS, MAXIMUM_HOURS)
