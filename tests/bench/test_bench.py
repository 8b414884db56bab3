"""The benchmark: right answers first, the same figures in every form, a gate that lets the machine's noise pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from sgsim.bench import check, timing
from sgsim.bench.baseline import compare, read_baseline, slower
from sgsim.bench.check import WrongAnswerError, check_matches, head
from sgsim.bench.measure import core_figures, quota_lines
from sgsim.bench.results import Figure, Results
from sgsim.bench.subject import Subject, generated, of_traffic
from sgsim.bench.sweep import shaped
from sgsim.cli.main import run
from sgsim.engine import evaluate
from sgsim.errors import InputError
from sgsim.generate import Shape, Traffic
from sgsim.importers import read_environment

SMALL = ["--rules", "600", "--groups", "20", "--interfaces", "100", "--flows", "20k", "--runs", "3"]
SHOP = ["pcaps/shop", "pcaps/shop.pcap"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are taken, not believed: short runs will do."""
    monkeypatch.setattr(timing, "_SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(timing, "_FLOWS", 10_000)
    monkeypatch.setattr(check, "_TWIN_INTERFACES", 0)
    timing._yardstick_arrays.cache_clear()
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return generated(Shape(rules=600, groups=20, interfaces=100), Traffic(flows=20_000), 1)


def test_wrong_answers_are_found_before_anything_is_timed(subject: Subject) -> None:
    verdicts = evaluate(subject.snapshot, subject.table, scan_only=False)
    check_matches(subject, verdicts)
    for name, change in (("action", 1), ("deciding_rule", 7), ("match_set", 1)):
        column = getattr(verdicts, name).copy()
        column[17] = (column[17] + change) % 2 if name == "action" else column[17] + change
        with pytest.raises(WrongAnswerError, match="flow 17 of generated"):
            check_matches(subject, replace(verdicts, **{name: column}))


def test_the_twin_is_asked_as_well(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    first = head(subject.table, 1)
    verdicts = evaluate(subject.snapshot, first, scan_only=False)
    monkeypatch.setattr("sgsim.bench.check._compare", lambda *_: None)
    wrong = replace(verdicts, action=1 - verdicts.action)
    with pytest.raises(WrongAnswerError, match="slow twin"):
        check_matches(replace(subject, table=first), wrong)


def test_figures_are_medians_within_their_spread(subject: Subject) -> None:
    size, figures = core_figures(subject, 3)
    assert (size.groups, size.interfaces, size.flows, size.accepted) == (20, 100, 20_000, 0.5)
    for figure in figures:
        assert 0 < figure.low <= figure.value <= figure.high
        assert (figure.runs == 1) == (figure.yardstick is None) == (figure.relative is None)
    assert {figure.name for figure in figures} >= {"compile", "tables", "match, one core", "update of a rule"}


def test_groups_beyond_their_quota_are_updated_as_well() -> None:
    _, figures = core_figures(generated(Shape(rules=200, groups=1, interfaces=1), Traffic(flows=500), 1), 3)
    assert "update of a rule" in {figure.name for figure in figures}


def test_quotas_are_those_of_the_environment(subject: Subject) -> None:
    lines = {(line.of, line.bucket): line for line in quota_lines(subject)}
    most = max(len(set(one.group_ids)) for one in subject.environment.interfaces.values())
    assert (lines["interface", "groups"].highest, lines["interface", "groups"].limit) == (most, 5)
    assert lines["group", "ingress/ipv4"].limit == 60 and lines["interface", "ingress/ipv4"].limit == 1000


@pytest.mark.parametrize("traffic", ["pcaps/shop.pcap", "pcaps/shop-flowlogs/"])
def test_flows_of_a_recording_are_at_the_ends_that_it_names(traffic: str) -> None:
    made = of_traffic(read_environment("pcaps/shop"), [traffic], "pcaps/shop")
    assert len(made.table) == sorted(np.concatenate([made.table.v4.row, made.table.v6.row]).tolist())[-1] + 1
    assert len(made.table.v4) and len(made.table.v6)
    ids = [one.group_ids for one in made.environment.interfaces.values()]
    assert any(ids[number] for number in made.table.v4.interface.tolist())
    check_matches(made, evaluate(made.snapshot, made.table, scan_only=False))


def test_traffic_of_another_account_is_refused() -> None:
    world = replace(read_environment("pcaps/shop"), interfaces={})
    with pytest.raises(InputError, match="no packet or record is from or to an interface"):
        of_traffic(world, ["pcaps/shop.pcap"], "pcaps/shop")


def test_json_plot_and_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, plot = tmp_path / "kept.json", tmp_path / "plot.svg"
    sweeps = ["--sweep", "rules=50,600", "--sweep", "flows=1k", "--plot", str(plot)]
    assert run(["bench", *SMALL, *sweeps, "--format", "json", "-o", str(kept)]) == 0
    document = json.loads(kept.read_text())
    assert document["schema"] == "sgsim.bench/1"
    assert [(sweep["by"], [point["at"] for point in sweep["points"]]) for sweep in document["sweeps"]] == [
        ("rules", [50, 600]),
        ("flows", [1000]),
    ]
    assert {"capture reading", "flow-log reading"} <= {figure["name"] for figure in document["figures"]}
    drawn = ElementTree.parse(plot).getroot()
    assert drawn.tag.endswith("svg") and len(drawn.findall(".//{*}polyline")) >= 9
    assert "nan" not in plot.read_text()

    fast = msgspec.json.decode(kept.read_bytes(), type=Results)
    figures = [msgspec.structs.replace(one, relative=(one.relative or 0) * 1e6) for one in fast.figures]
    past = msgspec.structs.replace(fast, figures=tuple(one for one in figures if one.better == "higher"))
    kept.write_bytes(msgspec.json.encode(past))
    capsys.readouterr()
    assert run(["bench", *SMALL, "--baseline", str(kept), "--fail-slower", "10%"]) == 2
    out, err = capsys.readouterr()
    assert "Against the baseline" in out and "match, one core: " in err and "worse than the baseline" in err


def figure(name: str = "compile", better: str = "lower", **values: Any) -> Figure:
    value = values.get("value", 1.0)
    given: dict[str, Any] = {"value": value, "low": value, "high": value, "unit": "s", "runs": 3, **values}
    return Figure(name=name, better=better, **given)


def results(size: Any, *figures: Figure) -> Results:
    return Results(machine={}, size=size, figures=figures, quotas=())


def test_what_the_machine_did_is_no_change(subject: Subject, tmp_path: Path) -> None:
    """On a machine half as fast everything takes twice as long, and so does the yardstick: no change."""
    size, _ = core_figures(replace(subject, table=head(subject.table, 10)), 3)
    before = results(size, figure(relative=40.0), figure("match", "higher", relative=0.5), figure("tables", value=10.0))
    after = results(
        size,
        figure(value=2.0, relative=40.0),
        figure("match", "higher", value=0.5, relative=0.4),
        figure("tables", value=12.0),
    )
    changes = compare(before, after, "kept.json")
    assert [round(change.worse, 3) for change in changes] == [0.0, 0.25, 0.2]
    assert [change.name for change in slower(changes, 0.22)] == ["match"]
    scattered = figure("match", "higher", value=0.5, high=0.7, relative=0.4)
    assert not slower(compare(before, results(size, scattered), "kept.json"), 0.22)
    others = figure("match", "higher", value=0.5, relative=0.4, clock="wall")
    assert not slower(compare(before, results(size, others), "kept.json"), 0.22)
    other = results(msgspec.structs.replace(size, rules=1), *before.figures)
    with pytest.raises(InputError, match="was measured with 1 rules, this run with"):
        compare(other, after, "kept.json")


def test_a_baseline_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    for text, words in (
        ("{", "is no result of sgsim bench"),
        ('{"schema": 1}', "is no result"),
        (None, "cannot be read"),
    ):
        path.write_text(text) if text else path.unlink()
        with pytest.raises(InputError, match=words):
            read_baseline(path)


def test_sizes_of_a_sweep_stay_possible() -> None:
    shape, traffic = Shape(rules=1_000, groups=100), Traffic()
    assert shaped("rules", 10, shape, traffic)[0].groups == 10
    assert shaped("groups", 200, shape, traffic)[0].rules == 2_000
    assert shaped("interfaces", 7, shape, traffic)[0].interfaces == 7
    assert shaped("flows", 7, shape, traffic)[1].flows == 7


def test_the_table_says_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", *SHOP, "--runs", "3"]) == 0
    out = capsys.readouterr().out
    assert "pcaps/shop: 32 rules in 9 groups, 10 interfaces" in out
    assert "capture reading" in out and "flow-log reading" not in out and "Quotas" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--plot", "x.svg"], 64, "--plot needs --sweep"),
        (["--fail-slower", "10%"], 64, "--fail-slower needs --baseline"),
        (["--fail-slower", "lots"], 64, "'lots' is not a percentage"),
        (["--sweep", "colour=1"], 64, "is not rules, groups, interfaces, flows=SIZE"),
        (["--sweep", "rules=1,z"], 64, "'z' is not a number"),
        (["--sweep", "rules=0"], 1, "rules: 0 is less than 1"),
        (["pcaps/shop", "--rules", "5"], 64, "--rules is for what is generated; ENV is given"),
        ([*SHOP, "--hits", "1"], 64, "--hits is for what is generated; TRAFFIC is given"),
        (["pcaps/shop", "--sweep", "rules=1"], 64, "--sweep rules: ENV and TRAFFIC have"),
        (["pcaps/shop", "-"], 64, "TRAFFIC is read several times"),
        (["--baseline", "nowhere.json"], 1, "nowhere.json: cannot be read"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == code
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
