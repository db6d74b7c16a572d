"""A benchmark of two training steps and one prompt on the shipped bases: stopped, gone on with,
reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.papers.cli import main
from benchmarks.papers.cli_run import run_bench
from benchmarks.papers.results import SCORES, from_plain, to_plain
from benchmarks.papers.rows import BASE, Plan, Row, Variant
from benchmarks.papers.run import Bench
from benchmarks.papers.subjects import subjects_for
from motion_core.events import Event, Started, StepDone

LEARNED = Variant(name="motion-inversion", method="motion_inversion")
PLAYED_PLAIN = Variant(
    name="motion-inversion-difference",
    method="motion_inversion",
    options={"debias": "difference"},
)
COUPLED = Variant(name="coupled", method="coupled", settings={"rank": 2})
WRONG = Variant(name="wrong", method="motion_inversion", options={"debia": "none"})


def plan(*variants: Variant) -> Plan:
    return Plan(
        rows=[Row(variant=v, backbone="animatediff", motion="zigzag") for v in variants],
        prompts=1,
        seeds=(101,),
        train={"steps": 2, "noise_draws": 1, "warmup_steps": 0, "save_every": 0},
        sample_steps=2,
    )


class Watch:
    """An event sink that remembers, and stops the second training after its first step."""

    def __init__(self, stops: bool) -> None:
        self.stops = stops
        self.started: list[tuple[int, bool]] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self.started.append((event.step, event.resumed))
        if self.stops and isinstance(event, StepDone) and len(self.started) == 2:
            raise KeyboardInterrupt


def bench(folder: Path, watch: Watch, *variants: Variant) -> Bench:
    said: list[str] = []
    return Bench(plan(*variants), folder, torch.device("cpu"), said.append, watch)


def test_a_stopped_benchmark_goes_on_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five rows, two trainings: the second variant plays the first one's adapter otherwise, and the
    last has an option that no adapter has. Stopped in the second training, after one step."""
    variants = (BASE, LEARNED, PLAYED_PLAIN, COUPLED, WRONG)
    cache, output = tmp_path / "cache", tmp_path / "docs"
    first = Watch(stops=True)
    with pytest.raises(KeyboardInterrupt):
        bench(cache, first, *variants).run()
    assert first.started == [(0, False), (0, False)]
    rows = cache / "rows"
    kept = {file.name: file.stat().st_mtime_ns for file in rows.glob("*.json")}
    assert len(kept) == 3

    second = Watch(stops=False)
    results, failures = bench(cache, second, *variants).run()
    assert second.started == [(1, True)]
    assert {name: (rows / name).stat().st_mtime_ns for name in kept} == kept
    names = [f"{v.name}/animatediff/zigzag" for v in variants]
    assert list(results) == names[:4]
    assert list(failures) == names[4:] and "option 'debia'" in failures[names[4]]
    assert results[names[0]].train_seconds is None
    assert results[names[1]].train_seconds == results[names[2]].train_seconds
    assert results[names[3]].settings["objective"]["rank"] == 2

    command = "python -m benchmarks.papers"
    status = run_bench(plan(*variants), output, cache, device="cpu", command=command)
    assert status == 2
    assert failures[names[4]] in capsys.readouterr().err
    check_report(output, results, command)


def check_report(output: Path, results: dict, command: str) -> None:
    facts = json.loads((output / "results.json").read_text())
    assert facts["command"] == command
    assert [row["name"] for row in facts["rows"]] == list(results)
    for row in facts["rows"]:
        (clip,) = row["clips"]
        assert clip["prompt"] == subjects_for("zigzag", 1)[0].prompt("zigzagging")
        assert all(
            row["scores"][s] == dict.fromkeys(("mean", "low", "high"), clip[s]) for s in SCORES
        )
    shown = (output / "results.md").read_text()
    assert command in shown and "| motion-inversion-difference |" in shown
    verdicts = {claim["key"]: claim["verdict"] for claim in facts["claims"]}
    assert set(verdicts) == {"motion-inversion.learns", "motion-inversion.debias", "coupled.worse"}
    assert verdicts["motion-inversion.learns"] == "does not hold"  # two steps are too few
    assert verdicts["coupled.worse"] == "not measured"
    assert "our method will preserve it (here: each of the four methods): **not measured**" in shown
    assert "failed: " in shown and "](results/zigzag.png)" in shown
    assert str(output.parent) not in shown + json.dumps(facts)
    assert (output / "results" / "zigzag.png").is_file()


def test_other_settings_are_measured_anew(tmp_path: Path) -> None:
    """The same name with another rank is another training and another row."""
    watch = Watch(stops=False)
    for rank in (2, 3):
        variant = Variant(name="coupled", method="coupled", settings={"rank": rank})
        results, _ = bench(tmp_path, watch, variant).run()
        (result,) = results.values()
        assert result.settings["objective"]["rank"] == rank
        assert from_plain(json.loads(json.dumps(to_plain(result)))).clips == tuple(result.clips)
    assert watch.started == [(0, False)] * 2
    assert len(list((tmp_path / "rows").glob("*.json"))) == 2


def test_a_pattern_that_fits_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "coupled/zeroscop/*"]) == 2
    assert "No row fits 'coupled/zeroscop/*'" in capsys.readouterr().err
