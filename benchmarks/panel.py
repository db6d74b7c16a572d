"""What the training panel costs the training.

`python -m benchmarks.panel` writes benchmarks/panel.json in a few minutes on two cores. CPU time,
not the clock's, so that other work on the machine does not count. Training: MotionDirector on shape
world's AnimateDiff form, at the size of the shipped workflows. Panel: all that the server does more
for a page that follows: the event sink at every step, the messages, and for each message an answer
to "this run since step S" and, every ten seconds, one to the list of runs.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from motion_core.bases import load_base
from motion_core.clips import ClipSettings, load_clips
from motion_core.encoding import encode_clips, release_encoders
from motion_core.events import Event, Request, Started, StepDone, ignore_events
from motion_core.objectives.motion_director import MotionDirector
from motion_core.run_registry.folder import RunOrigin
from motion_core.run_registry.registry import SECONDS_BETWEEN_MESSAGES, RunRegistry
from motion_core.shape_world import base as shape_world
from motion_core.train_settings import TrainSettings
from motion_core.trainer import train

STEPS = 30
HISTORY = 5000
LIST_EVERY = 10.0


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        step = training_seconds(Path(folder) / "plain")
        sink, message, answer, listing = panel_seconds(Path(folder) / "runs")
    # A step of this many CPU seconds takes about as long on the clock, on one thread.
    messages = min(1.0, step / SECONDS_BETWEEN_MESSAGES)
    more = sink + messages * (message + answer) + step / LIST_EVERY * listing
    result = {
        "command": "python -m benchmarks.panel",
        "machine": platform.processor() or platform.machine(),
        "step_ms": 1000 * step,
        "sink_ms": 1000 * sink,
        "message_ms": 1000 * message,
        "answer_ms": 1000 * answer,
        "list_ms": 1000 * listing,
        "panel_percent": 100 * more / step,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


def training_seconds(folder: Path) -> float:
    """CPU seconds of a step without a panel."""
    backbone = load_base("shape-world-animatediff")
    clip = Path(shape_world.__file__).parent / "clips" / "zigzag.mp4"
    latents = encode_clips(backbone, load_clips(clip, ClipSettings(frames=16), None))
    release_encoders(backbone)
    settings = TrainSettings(steps=STEPS, save_every=0, checkpointing=False)
    began = time.process_time()
    train(backbone, latents, MotionDirector(), settings, folder, ignore_events)
    return (time.process_time() - began) / STEPS


def panel_seconds(root: Path) -> tuple[float, float, float, float]:
    """CPU seconds of one step's event, one message, one answer, one list of 20 runs."""
    sent: list[dict[str, Any]] = []
    registry = RunRegistry(root, lambda shown: sent.append(json.loads(json.dumps(shown))))
    for number in range(20):
        with registry.watch(root / f"run-{number}", RunOrigin(node_id="1", prompt_id="")):
            pass
    with registry.watch(root / "live", RunOrigin(node_id="1", prompt_id="")) as run:
        feed, run.feed = run.feed, None
        run(Started(step=0, total=HISTORY, resumed=False, settings={}))
        sink = cpu(lambda step: told(run, step), HISTORY)
        assert feed is not None
        message = cpu(lambda _: feed.send(), 200)
        answer = cpu(lambda _: json.dumps(registry.run("live", HISTORY - 10)), 200)
        listing = cpu(lambda _: json.dumps(registry.runs()), 20)
    return sink, message, answer, listing


def told(run: Any, step: int) -> Request | None:
    event: Event = StepDone(
        step=step + 1,
        total=HISTORY,
        losses={"spatial": 0.1, "temporal": 0.2},
        learning_rate=1e-4,
        grad_norm=1.0,
        seconds=0.2,
        memory_bytes=2**30,
    )
    return run(event)


def cpu(act: Any, times: int) -> float:
    began = time.process_time()
    for number in range(times):
        act(number)
    return (time.process_time() - began) / times


if __name__ == "__main__":
    main()
