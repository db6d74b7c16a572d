"""ControlNet in context windows: every window is steered by the hints of its own frames.

In: a ModelPatcher whose batch is the frames of a video. Out: the same with a wrapper around what
ComfyUI asks of each window. Without it, as `prepare_control_objects` of comfy/context_windows.py is
in ComfyUI 0.8.0 and 0.33.0, every window would have the hints of the first frames, and the negative
prompt's those of the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .while_sampling import KEY

if TYPE_CHECKING:
    from comfy.context_windows import IndexListContextWindow
    from comfy.controlnet import ControlBase
    from comfy.model_patcher import ModelPatcher
    from comfy.patcher_extension import WrapperExecutor


def steer_windows(model: ModelPatcher) -> None:
    """For `model`, a clone of the caller's or a new one, whenever it samples."""
    model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, KEY, _with_own_hints)


def _with_own_hints(
    executor: WrapperExecutor,
    model: Any,
    conds: Sequence[list[dict[str, Any]] | None],
    x: Tensor,
    timestep: Tensor,
    options: dict[str, Any],
) -> list[Tensor]:
    """x: (F, C, h, w), the frames of one window, or of the whole video where there are none."""
    window = options.get("transformer_options", {}).get("context_window")
    with ExitStack() as stack:
        frames = _frames(window) if window is not None else ()
        if len(frames) == len(x):
            for control in _controls(conds):
                stack.enter_context(_hinted(control, frames))
        return executor(model, conds, x, timestep, options)


def _frames(window: IndexListContextWindow) -> list[int]:
    """Newer ComfyUI puts the frame before a window in front of it."""
    before = getattr(window, "causal_anchor_index", None)
    return [*([] if before is None or before < 0 else [before]), *window.index_list]


def _controls(conds: Sequence[list[dict[str, Any]] | None]) -> list[ControlBase]:
    """Each once, with those that it is chained to; prompts share them."""
    found: dict[int, ControlBase] = {}
    for cond in conds:
        for prompt in cond or ():
            control = prompt.get("control")
            while control is not None:
                found[id(control)] = control
                control = control.previous_controlnet
    return list(found.values())


@contextmanager
def _hinted(control: ControlBase, frames: Sequence[int]) -> Iterator[None]:
    """Fewer hints than frames are taken over and over, as ComfyUI does; one is for all frames."""
    hints = control.cond_hint_original
    if hints is None or len(hints) == 1:
        yield
        return
    control.cond_hint_original = hints[[frame % len(hints) for frame in frames]]
    control.cond_hint = None  # made of the original when it is next needed
    try:
        yield
    finally:
        control.cond_hint_original = hints
        control.cond_hint = None
