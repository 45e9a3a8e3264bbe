"""The tables and the verdicts follow from the results."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.quality.plan import Filters, cases
from benchmarks.quality.report import as_json, print_report
from benchmarks.quality.results import Result, append_results, fingerprint, read_results
from benchmarks.quality.summary import tables
from benchmarks.quality.targets import Target, targets


def results(predictor: str, ratios: list[float], process: str = "guide", size: int = 600) -> list[Result]:
    details = {"training_rows": size, "test_rows": 2000}
    return [
        Result(process, size, seed, predictor, 2.0 * ratio, 2.0, 1.0, "code", details)
        for seed, ratio in enumerate(ratios)
    ]


def verdict(found: list[Result], words: str) -> Target:
    [target] = [each for each in targets(tables(found), found) if words in each.words]
    return target


def test_a_row_holds_mean_spread_and_the_paired_difference_to_auto() -> None:
    found = results("auto", [1.00, 1.02, 1.04]) + results("catboost", [1.05, 1.08, 1.07])
    [table] = tables(found)
    auto, peer = table.rows
    assert (auto.predictor, auto.seeds) == ("auto", 3)
    assert auto.ratio == pytest.approx(1.02)
    assert auto.spread == pytest.approx(0.02)
    assert peer.behind == pytest.approx((0.05 + 0.06 + 0.03) / 3)
    assert peer.error == pytest.approx(0.015275 / 3**0.5, rel=1e-3)


def test_pairs_are_of_the_same_seed_only() -> None:
    found = results("auto", [1.0, 1.2]) + results("catboost", [1.1, 1.3, 9.0])
    [table] = tables(found)
    row = table.row("catboost")
    assert row is not None
    assert row.behind == pytest.approx(0.1)


@pytest.mark.parametrize(("ratio", "passed"), [(1.019, True), (1.021, False)])
def test_the_limit_at_600_sessions(ratio: float, passed: bool) -> None:
    assert verdict(results("auto", [ratio, ratio]), "at 600 sessions").passed is passed


def test_what_was_not_measured_is_neither_passed_nor_failed() -> None:
    assert verdict(results("auto", [1.0]), "at 10,000 sessions").passed is None
    assert verdict(results("auto", [1.0]), "behind no peer").passed is None


def test_a_peer_ahead_by_chance_is_no_failure_and_one_ahead_for_sure_is() -> None:
    auto = results("auto", [1.01, 1.02, 1.03])
    by_chance = results("log_linear", [0.98, 1.05, 1.01])
    for_sure = results("log_linear", [1.00, 1.011, 1.02])
    assert verdict(auto + by_chance, "behind no peer").passed
    assert not verdict(auto + for_sure, "behind no peer").passed


def test_a_peer_that_is_told_what_counts_is_no_measure() -> None:
    found = results("auto", [1.0, 1.01, 1.02])

    assert verdict([*found, *results("log_linear_three", [0.9, 0.91, 0.92])], "behind no peer").passed is None
    assert verdict([*found, *results("log_linear", [0.9, 0.91, 0.921])], "behind no peer").passed is False


def test_a_tree_ahead_at_all_is_a_failure() -> None:
    auto = results("auto", [1.01, 1.02])
    assert verdict(auto + results("lightgbm", [1.05, 1.02]), "ahead of every tree").passed
    assert not verdict(auto + results("lightgbm", [1.00, 1.02]), "ahead of every tree").passed
    assert not verdict(auto + results("mlp/guide", [1.00, 1.02]), "ahead of every tree").passed


def test_intervals_are_judged_overall_and_for_each_tenth_of_length() -> None:
    def measured(overall: float, tenths: list[float]) -> list[Result]:
        coverage = {"80%": {"overall": overall, "tenths": tenths, "hours": [1.0] * 10}}
        return [replace(each, details={**each.details, "coverage": coverage}) for each in results("auto/served", [1.0])]

    good = measured(0.815, [0.80] * 9 + [0.76])
    assert verdict(good, "2 points overall").passed
    assert verdict(good, "5 points for each tenth").passed
    assert not verdict(measured(0.83, [0.8] * 10), "2 points overall").passed
    assert not verdict(measured(0.80, [0.80] * 9 + [0.74]), "5 points for each tenth").passed


def test_a_gap_that_is_worse_than_the_median_is_a_failure_and_so_is_a_prediction_that_is_no_number() -> None:
    def measured(mae: float, finite: bool = True) -> list[Result]:
        row = {"feature": "age", "kind": "missing", "maes": [1.0, 1.1, 1.2, mae]}
        gaps = {"rows": [row], "complete": 1.0, "median": 2.0, "finite": finite, "shortest": 0.2}
        return [replace(each, details={**each.details, "gaps": gaps}) for each in results("auto", [1.0])]

    assert verdict(measured(1.9), "never worse than the median").passed
    assert not verdict(measured(2.1), "never worse than the median").passed
    assert not verdict(measured(1.9, finite=False), "no NaN").passed


def test_results_survive_in_a_file_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first, second = results("auto", [1.0, 1.1])
    append_results(path, [first])
    with path.open("a", encoding="utf-8") as file:
        file.write('{"process": "gui')
    append_results(path, [second])
    assert list(read_results(path).values()) == [first, second]


def test_the_newest_of_two_results_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    [old] = results("auto", [1.0])
    append_results(path, [old])
    append_results(path, [replace(old, mae=3.0)])
    assert [each.mae for each in read_results(path).values()] == [3.0]


def test_a_fingerprint_follows_the_code_and_not_its_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.quality.results.ROOT", tmp_path)
    source = tmp_path / "module.py"

    def written(text: str) -> str:
        source.write_text(text, encoding="utf-8")
        return fingerprint(["module.py"])

    before = written('"""Words."""\n\ndef one():\n    """One."""\n    return 1\n')
    assert written('"""Other words."""\ndef one():  # a comment\n    """1."""\n    return 1\n') == before
    assert written("def one():\n    return 2\n") != before


def test_everything_is_printed_and_in_the_document() -> None:
    found = results("auto", [1.0, 1.01]) + results("catboost", [1.05, 1.06]) + results("auto", [0.9], "kaist", 0)
    text = io.StringIO()
    assert print_report(Console(file=text, width=130), found)
    assert "guide at 600" in text.getvalue()
    assert "best naive predictor" in text.getvalue()
    assert "catboost" in text.getvalue()
    assert [row["predictor"] for row in as_json(found)["tables"][0]["rows"]] == ["auto", "catboost"]


def test_the_plan_measures_the_guides_process_on_ten_seeds_at_each_size() -> None:
    planned = list(cases(Filters(processes=["guide"])))
    seeds = {size: [case.seed for case in planned if case.size == size] for size in (600, 2000, 10_000)}
    assert all(len(of_size) >= 10 for of_size in seeds.values())
    predictors = {name for group in planned[-1].groups for name in group}
    assert {"auto", "mlp/guide", "median", "estimate", "linear", "log_linear", "random_forest"} <= predictors
    assert {"lightgbm_history", "catboost_history", "histogram_boosting_history"} <= predictors


def test_filters_choose_processes_sizes_seeds_and_predictors() -> None:
    filters = Filters(processes=["guide", "kaist"], sizes=[600], seeds=2, only=["catboost*"])
    planned = list(cases(filters))
    assert [(case.process, case.size, case.seed) for case in planned] == [
        *(("kaist", 0, seed) for seed in range(2)),
        *(("guide", 600, seed) for seed in range(2)),
    ]
    assert all(case.groups == (("catboost",), ("catboost_history",)) for case in planned)
