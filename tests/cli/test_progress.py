"""What a run shows: a line for every tenth in a log, one line rewritten on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from motion_core.cli.progress import Average, TrainProgress, clock
from motion_core.cli.terminal import Terminal, bar
from motion_core.events import SampleMade, Started, StepDone


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def done(step: int, total: int, seconds: float = 2.0) -> StepDone:
    return StepDone(
        step=step,
        total=total,
        losses={"temporal": 0.5},
        learning_rate=1e-3,
        grad_norm=1.0,
        seconds=seconds,
        memory_bytes=3 * 2**30,
    )


def test_a_log_gets_a_line_for_each_tenth_and_for_the_end() -> None:
    """25 steps: ⌊10·k/25⌋ rises at k = 3, 5, 8, 10, 13, 15, 18, 20, 23, 25."""
    log = io.StringIO()
    progress = TrainProgress(Terminal(log))
    for step in range(1, 26):
        progress(done(step, 25))
    lines = log.getvalue().splitlines()
    steps = [int(line.split()[1].partition("/")[0]) for line in lines]
    assert steps == [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
    assert lines[0] == "step 3/25  temporal 0.5000  2.00 s/step  0:44 left  3.0 GiB"


def test_a_terminal_has_its_line_rewritten_and_cleared() -> None:
    """5 of 6 steps fill ⌊10·5/6⌋ = 8 of the bar's 10 places."""
    screen = Screen()
    with Terminal(screen) as terminal:
        progress = TrainProgress(terminal)
        progress(Started(step=4, total=6, resumed=True, settings={}))
        progress(done(5, 6))
        progress(SampleMade(step=5, prompt="a", frames_path=Path("a.mp4")))
    assert screen.getvalue().split("\r\x1b[K") == [
        "",
        "resuming from step 4 of 6\n",
        f"[{8 * '#'}--] step 5/6  temporal 0.5000  2.00 s/step  0:02 left  3.0 GiB",
        "sample after step 5: a.mp4\n",
        "",
    ]


def test_the_bar_of_a_sampler() -> None:
    screen = Screen()
    Terminal(screen).steps("sampling")(1, 2)
    assert screen.getvalue() == "\r\x1b[Ksampling [#####-----] 1/2"
    assert (bar(0, 3), bar(3, 3)) == (f"[{10 * '-'}]", f"[{10 * '#'}]")


def test_averages() -> None:
    """(0.9·1 + 4) / (0.9 + 1)."""
    average = Average()
    average.add(1.0)
    assert average.value == 1.0
    average.add(4.0)
    assert average.value == pytest.approx(4.9 / 1.9)


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.6, 125, 3600)] == ["0:00", "1:00", "2:05", "1:00:00"]
