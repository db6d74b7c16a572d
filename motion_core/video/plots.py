"""The losses of a run as a picture.

Input: (step, loss) points by the name of the loss term. Output: a PNG. matplotlib's figures are
made by hand, without pyplot, so that no backend is chosen and no figure stays open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..errors import MotionError
from ..files import replacing

Points = Sequence[tuple[int, float | None]]


def loss_plot(path: Path, curves: Mapping[str, Points], decay: float = 0.95) -> None:
    """One colour a term: every value faintly, their exponential moving average boldly.

    curves: as `run_records.loss_history` gives them; None or not finite leaves a gap. decay: of the
    average, in [0, 1). The axis ends at the 99th percentile, so that one spike does not flatten the
    rest. Raises MotionError if there is nothing to draw.
    """
    if not 0 <= decay < 1:
        raise MotionError(f"decay is {decay}; expected a number in [0, 1).")
    finite = {name: _finite(points) for name, points in curves.items()}
    finite = {name: points for name, points in finite.items() if points}
    if not finite:
        raise MotionError(f"{path.name} contains no losses to plot. Train at least one step.")
    figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for k, (name, points) in enumerate(finite.items()):
        _draw(axes, name, points, decay, f"C{k}")
    values = [value for points in finite.values() for _, value in points]
    axes.set_ylim(min(0.0, *values), max(1.1 * float(np.percentile(values, 99)), 1e-12))
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25)
    axes.legend(title=f"average, decay {decay:g}", frameon=False)
    with replacing(path) as partial:
        figure.savefig(partial, format="png")


def moving_average(values: Sequence[float], decay: float) -> list[float]:
    """m_k = Σ_j decay^(k−j)·x_j / Σ_j decay^(k−j): an average from the first value on, with no
    start from zero.
    """
    averages, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = decay * total + value, decay * weight + 1
        averages.append(total / weight)
    return averages


def _draw(
    axes: Axes, name: str, points: Sequence[tuple[int, float]], decay: float, colour: str
) -> None:
    steps, values = zip(*points, strict=True)
    # A single point is no line; it gets a dot.
    marker = "o" if len(points) == 1 else ""
    axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
    axes.plot(
        steps, moving_average(values, decay), color=colour, linewidth=2, marker=marker, label=name
    )


def _finite(points: Points) -> list[tuple[int, float]]:
    return [(step, value) for step, value in points if value is not None and math.isfinite(value)]
