"""A benchmark of two training steps and one prompt on the shipped bases: stopped, gone on with,
reported."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from benchmarks.papers import run as running
from benchmarks.papers.asking import FIRST_NOISE
from benchmarks.papers.cli import main
from benchmarks.papers.cli_run import Places, report_only, run_bench
from benchmarks.papers.kept import kept_rows, read_kept
from benchmarks.papers.results import SCORES
from benchmarks.papers.rows import Plan, Row, Unit, Variant
from benchmarks.papers.run import Bench
from benchmarks.papers.subjects import subjects_for
from benchmarks.papers.trainings import suits
from benchmarks.papers.variants import BASE, TERSE
from motion_core.events import Event, Started, StepDone

LEARNED = Variant(name="motion-inversion", method="motion_inversion")
PLAYED_PLAIN = Variant(
    name="motion-inversion-difference",
    method="motion_inversion",
    options={"debias": "difference"},
)
COUPLED = Variant(name="coupled", method="coupled", settings={"rank": 2})
WRONG = Variant(name="wrong", method="motion_inversion", options={"debia": "none"})
TRAIN = {"steps": 2, "noise_draws": 1, "warmup_steps": 0, "save_every": 0}
COMMAND = "python -m benchmarks.papers"


def plan(*variants: Variant, trainings: int = 1) -> Plan:
    rows = [
        Row(variant=v, backbone="animatediff", motion="zigzag", trainings=trainings)
        for v in variants
    ]
    units = [Unit(row=row, seed=seed) for seed in range(trainings) for row in rows]
    return Plan(rows=rows, units=units, prompts=1, train=TRAIN, sample_steps=2)


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


def bench(folder: Path, watch: Watch, what: Plan) -> Bench:
    return Bench(
        what,
        folder / "docs" / "results" / "rows",
        folder / "cache",
        torch.device("cpu"),
        lambda _line: None,
        watch,
    )


def test_a_stopped_benchmark_goes_on_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five rows, two trainings: the second variant plays the first one's adapter otherwise, and the
    last has an option that no adapter has. Stopped in the second training, after one step."""
    what = plan(BASE, LEARNED, PLAYED_PLAIN, COUPLED, WRONG)
    names = [row.name for row in what.rows]
    first = Watch(stops=True)
    with pytest.raises(KeyboardInterrupt):
        bench(tmp_path, first, what).run()
    assert first.started == [(0, False), (0, False)]
    rows = tmp_path / "docs" / "results" / "rows"
    kept = {file.name: file.stat().st_mtime_ns for file in rows.glob("*.json")}
    assert len(kept) == 3

    second = Watch(stops=False)
    failures = bench(tmp_path, second, what).run()
    assert second.started == [(1, True)]
    assert {name: (rows / name).stat().st_mtime_ns for name in kept} == kept
    results = kept_rows(rows, names)
    assert list(results) == names[:4]
    assert list(failures) == names[4:] and "option 'debia'" in failures[names[4]]
    assert results[names[0]].train_seconds is None
    assert results[names[1]].train_seconds == results[names[2]].train_seconds
    assert results[names[3]].settings["objective"]["rank"] == 2

    places = Places(output=tmp_path / "docs", cache=tmp_path / "cache")
    assert run_bench(what, places, device="cpu", command=COMMAND, processes=1) == 2
    assert failures[names[4]] in capsys.readouterr().err
    check_report(tmp_path / "docs", names[:4])


def check_report(output: Path, measured: list[str]) -> None:
    facts = json.loads((output / "results.json").read_text())
    assert facts["command"] == COMMAND
    assert facts["trainings"] == {"done": 4, "planned": 5}
    assert [row["name"] for row in facts["rows"]] == measured
    assert facts["not_run_yet"] == ["wrong/animatediff/zigzag"]
    assert set(facts["rows"][0]["scores"]) == set(SCORES)
    shown = (output / "results.md").read_text()
    assert COMMAND in shown and "| motion-inversion-difference |" in shown
    verdicts = {claim["key"]: claim["verdict"] for claim in facts["claims"]}
    assert verdicts["motion-inversion.learns"] == "not shown"  # one prompt shows nothing
    assert verdicts["coupled.worse"] == "not run yet"
    assert "motion fidelity of motion-inversion is at least 0.85" in shown
    assert "failed: " in shown and "](results/zigzag.png)" in shown
    assert "motion-director-terse" in shown  # what coupled.worse lacks
    assert str(output.parent) not in shown + json.dumps(facts)
    assert (output / "results" / "zigzag.png").is_file()


def test_a_report_needs_the_records_alone(tmp_path: Path) -> None:
    """Made where nothing was trained, it counts what has been measured, and trains nothing."""
    what = plan(BASE, COUPLED)
    watch = Watch(stops=False)
    bench(tmp_path, watch, plan(BASE)).run()
    readme = tmp_path / "README.md"
    readme.write_text("Now <!-- benchmark state --><!-- end -->.")
    places = Places(output=tmp_path / "docs", cache=tmp_path / "elsewhere", readme=readme)
    assert report_only(what, places, device="cpu", command=COMMAND) == 0
    facts = json.loads((tmp_path / "docs" / "results.json").read_text())
    assert facts["trainings"] == {"done": 1, "planned": 2}
    assert facts["not_run_yet"] == ["coupled/animatediff/zigzag"]
    assert "| coupled | not run yet |" in (tmp_path / "docs" / "results.md").read_text()
    assert "Now <!-- benchmark state -->1 of its 2 trainings have been run<!-- end -->." == (
        readme.read_text()
    )
    assert watch.started == []


def test_trainings_of_a_row_differ_by_their_seed_alone(tmp_path: Path) -> None:
    """Each prompt has a noise of its own, the same in all trainings."""
    what = plan(COUPLED, trainings=2)
    watch = Watch(stops=False)
    assert bench(tmp_path, watch, what).run() == {}
    assert watch.started == [(0, False)] * 2
    (row,) = kept_rows(tmp_path / "docs" / "results" / "rows", [what.rows[0].name]).values()
    assert [one.seed for one in row.trainings] == [0, 1]
    first, second = (one.clips[0] for one in row.trainings)
    prompt = subjects_for("zigzag", 1)[0].prompt("zigzagging")
    assert (first.prompt, first.seed) == (second.prompt, second.seed) == (prompt, FIRST_NOISE)
    assert first.motion_fidelity != second.motion_fidelity


def test_no_training_stops_for_samples() -> None:
    """Records have 0 there, which other defaults of the nodes must not make another setting."""
    (row,) = plan(COUPLED).rows
    assert suits(row, {}).train["sample_every"] == 0


def test_other_settings_are_measured_anew(tmp_path: Path) -> None:
    """The same name with another rank is another training, and takes the first one's place."""
    watch = Watch(stops=False)
    for rank in (2, 3):
        what = plan(Variant(name="coupled", method="coupled", settings={"rank": rank}))
        bench(tmp_path, watch, what).run()
        (result,) = kept_rows(tmp_path / "docs" / "results" / "rows", [what.rows[0].name]).values()
        assert result.settings["objective"]["rank"] == rank
    assert watch.started == [(0, False)] * 2


def test_other_code_is_measured_anew_but_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is not there yet comes before one that is there, by older code."""
    what = plan(BASE, PLAYED_PLAIN)
    watch = Watch(stops=False)
    bench(tmp_path, watch, plan(BASE)).run()
    monkeypatch.setattr(running, "code_digest", lambda modules: "f" * 64)
    said: list[str] = []
    newer = bench(tmp_path, watch, what)
    newer.announce = said.append
    assert newer.states() == {
        "base.animatediff.zigzag.0": "other code",
        "motion-inversion-difference.animatediff.zigzag.0": "not run yet",
    }
    newer.run()
    assert [line.split()[1] for line in said] == [
        "motion-inversion-difference.animatediff.zigzag.0:",
        "base.animatediff.zigzag.0:",
    ]
    assert set(newer.states().values()) == {"current"}
    record = read_kept(newer.records / "base.animatediff.zigzag.0.json")
    assert record is not None and record.training.code == "f" * 16


def test_playing_otherwise_changes_the_clips(tmp_path: Path) -> None:
    """Strength, noise prior and another checkpoint, each beside the same base or training."""
    variants = (
        BASE,
        Variant(name="prior", sample={"noise_prior": 0.5}),
        Variant(name="personalised", checkpoint="personalised"),
        COUPLED,
        dataclasses.replace(COUPLED, name="stronger", strength=1.5),
        dataclasses.replace(COUPLED, name="four", clips=4),
    )
    what, watch = plan(*variants), Watch(stops=False)
    assert bench(tmp_path, watch, what).run() == {}
    assert watch.started == [(0, False)] * 2  # the last one's has four clips
    rows = kept_rows(tmp_path / "docs" / "results" / "rows", [row.name for row in what.rows])
    fidelity = [row.trainings[0].clips[0].motion_fidelity for row in rows.values()]
    assert len(set(fidelity)) == len(fidelity)
    assert rows["stronger/animatediff/zigzag"].settings["strength"] == 1.5


def test_looks_come_from_an_image_or_another_clip(tmp_path: Path) -> None:
    """One training for the motion, and one of looks for each who is asked for: of an image of it,
    or of its clip, in which each of 6 wearers does another motion. The prompt leaves looks out.
    """
    played = Variant(name="without", method="motion_director", prompt=TERSE, asked=TERSE)
    image = dataclasses.replace(played, name="image", looks="image", prompts=2)
    what, watch = plan(played, image), Watch(stops=False)
    assert bench(tmp_path, watch, what).run() == {}
    assert len(watch.started) == 1 + 2
    rows = kept_rows(tmp_path / "docs" / "results" / "rows", [row.name for row in what.rows])
    without, with_image = (row.trainings[0].clips[0] for row in rows.values())
    assert without.prompt == with_image.prompt == subjects_for("zigzag", 1)[0].prompt("zigzagging")
    assert without.motion_fidelity != with_image.motion_fidelity
    assert rows["image/animatediff/zigzag"].settings["looks"] == "image"


def test_a_pattern_that_fits_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "coupled/zeroscop/*"]) == 2
    assert "No row fits 'coupled/zeroscop/*'" in capsys.readouterr().err
