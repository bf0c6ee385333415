"""The checker behind `make load` against a report as ghz 0.121 leaves it: what should break a bound does."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.load import prepare, run
from tests.load.bounds import FOLDER, BadReport, Bounds, Report, broken, load_bounds, wrongly_added

CANNED = FOLDER / "canned" / "ghz.json"
RAW: Mapping[str, Any] = json.loads(CANNED.read_text())
REPORT = Report.read(CANNED)
HOLDS = Bounds(calls=1500, rate=140, percentiles_ms={50: 60, 95: 500, 99: 550}, added={"assignments": 1500})
CONFIGS = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}


def told(report: Report = REPORT, **other: Any) -> list[str]:
    return list(broken(report, replace(HOLDS, **other)))


def reported(**changes: Any) -> Report:
    return Report.of({**RAW, **changes})


def test_the_canned_report_is_read() -> None:
    assert (REPORT.calls, REPORT.codes, REPORT.ok, REPORT.errors) == (1500, {"OK": 1500}, 1500, ())
    assert REPORT.rate == pytest.approx(RAW["rps"])
    assert REPORT.percentiles_ms[99] == pytest.approx(RAW["latencyDistribution"][-1]["latency"] / 1e6)


def test_what_holds_breaks_nothing() -> None:
    assert told() == []
    assert list(wrongly_added({"assignments": 1500}, HOLDS)) == []


def test_calls_that_were_lost_or_made_twice_are_found() -> None:
    assert told(calls=1501) == ["1500 calls were made, not 1501"]
    assert told(calls=1499) == ["1500 calls were made, not 1499"]


def test_one_call_that_failed_is_found() -> None:
    report = reported(
        statusCodeDistribution={"OK": 1499, "Unavailable": 1},
        errorDistribution={"rpc error: code = Unavailable desc = gone": 1},
    )
    assert told(report) == [
        "not all calls ended OK: 1499 OK, 1 Unavailable; the first error: rpc error: code = Unavailable desc = gone"
    ]


def test_a_run_in_which_every_call_failed_is_found() -> None:
    """ghz ends with 0 then, and has no percentiles: they are of calls that ended OK."""
    report = reported(
        statusCodeDistribution={"Unavailable": 1500}, errorDistribution={"gone": 1500}, latencyDistribution=None
    )
    assert told(report) == [
        "not all calls ended OK: 1500 Unavailable; the first error: gone",
        "there is no p50",
        "there is no p95",
        "there is no p99",
    ]


def test_a_run_without_a_call_is_found() -> None:
    report = reported(count=0, statusCodeDistribution={}, rps=0, latencyDistribution=None)
    assert told(report)[0] == "0 calls were made, not 1500"


def test_slow_runs_are_found() -> None:
    assert told(rate=150) == ["149 calls a second, less than 150"]
    assert told(percentiles_ms={50: 60, 95: 400, 99: 500}) == [
        "p95 is 460 ms, more than 400",
        "p99 is 537 ms, more than 500",
    ]
    none = [{"percentage": 50, "latency": 0}]  # as ghz fills up what it has not got
    assert told(reported(latencyDistribution=none), percentiles_ms={50: 60}) == ["there is no p50"]


def test_rows_too_many_or_too_few_are_found() -> None:
    bounds = Bounds(calls=1, added={"assignments": 3000, "policies": 1})
    assert list(wrongly_added({"assignments": 2999, "policies": 2}, bounds)) == [
        "2999 assignments were added, not 3000",
        "2 policies were added, not 1",
    ]


def test_the_command_fails_when_one_bound_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    holds, breaks = run.Ran(name="a", report=REPORT), run.Ran(name="b", report=REPORT, broken=["p99 is 9 ms"])
    missing = run.Ran(name="c", broken=["ghz ended with 1 and left no report"])
    assert run.judged([holds]) == 0
    assert run.judged([holds, breaks]) == 1
    assert run.judged([missing]) == 1
    printed = capsys.readouterr().out
    assert "b: p99 is 9 ms.\n" in printed
    assert "c: ghz ended with 1 and left no report.\n" in printed
    assert "55.6" in printed


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"count": 1}', "rpc error", '{"count": 1, "rps": 1}'])
def test_what_is_no_report_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(BadReport, match=r"report\.json"):
        Report.read(tmp_path / "report.json")
    with pytest.raises(BadReport):
        Report.read(tmp_path / "none.json")


def test_a_bound_that_is_misspelled_is_found() -> None:
    with pytest.raises(TypeError, match="p98_ms"):
        Bounds.of({"calls": 1, "p98_ms": 5})
    with pytest.raises(TypeError, match="calls"):
        Bounds.of({"p99_ms": 5})


# The configurations themselves.


def test_every_configuration_has_bounds_that_fit_it() -> None:
    bounds = load_bounds()
    assert set(bounds) == set(CONFIGS)
    for name, config in CONFIGS.items():
        assert config["total"] == bounds[name].calls
        assert bounds[name].percentiles_ms
        beside = bounds[name].beside
        assert not beside or bounds[beside].beside == name


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_configuration_loses_no_call_and_uses_several_connections(config: Mapping[str, Any]) -> None:
    assert config["connections"] > 1
    # `duration` closes calls in flight by default; what is counted by `total` is waited for.
    assert not {"duration", "max-duration"} & set(config) or config["duration-stop"] == "wait"
    assert "proto" not in config
    assert config.get("protoset", "generated/optin/v1/optin.binpb") == "generated/optin/v1/optin.binpb"


def test_one_method_is_found_by_reflection() -> None:
    assert [name for name, config in CONFIGS.items() if "protoset" not in config] == ["mixed-read"]


def test_each_call_that_binds_has_a_contractor_of_its_own() -> None:
    assert CONFIGS["create-assignment-bind"]["total"] == prepare.BIND_CONTRACTORS


def test_strings_in_templates_survive_json() -> None:
    assert '"' not in prepare.NEW_REQUEST_ID
    assert json.loads(json.dumps(prepare.NEW_REQUEST_ID)) == prepare.NEW_REQUEST_ID
