"""The trainer's own step on a base without numbers: the method's passes, backward, the optimisers.

In: a method, a base, the clip's size. Out: what one step counts, once optimisers have their state.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from motion_core.adapters.lora.layer import compose
from motion_core.backbones.base import Backbone, Keeps, latent_shape
from motion_core.backbones.frozen import frozen_base
from motion_core.events import ignore_events
from motion_core.methods.base import Method
from motion_core.training.checkpoints import FORMAT_VERSION
from motion_core.training.run import TrainingRun
from motion_core.training.settings import TrainSettings
from motion_core.training.stepper import Stepper
from motion_core.types import LatentClip

from .counting import Counted, Counter
from .cuda import as_on_cuda
from .device import DEVICE, OnDevice
from .networks import PROMPT_TOKENS, PROMPT_WIDTH

PROMPT = "a man is skateboarding"


def step_of(
    method: Method,
    backbone: Backbone,
    *,
    frames: int,
    height: int,
    width: int,
    keeps: Keeps,
    composed: bool = False,
) -> Counted:
    """One step in bf16, of which weights, trained parameters and the optimisers' state are known
    before.

    composed: LoRAs are computed as version 0.1.0 did.
    """
    clip = _clip(backbone, frames, height, width)
    with ExitStack() as stack:
        run = stack.enter_context(_run(method, backbone, clip, TrainSettings(precision="bf16")))
        if composed:
            compose(backbone.network)
        stack.enter_context(backbone.training_passes(keeps))
        known = _warmed_up(run)
        with Counter([*backbone.network.parameters(), *known]) as counter:
            run._step()
    return counter.counted


@contextmanager
def _run(
    method: Method, backbone: Backbone, clip: LatentClip, settings: TrainSettings
) -> Iterator[TrainingRun]:
    """A run as `train` makes it, as if its device were a GPU."""
    rng = torch.Generator().manual_seed(settings.seed)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(as_on_cuda())
        stack.enter_context(OnDevice())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(frozen_base(backbone.network, settings.dtype_on(DEVICE)))
        run = TrainingRun(
            clips=[clip],
            attached=stack.enter_context(method.attach(backbone, [clip], rng)),
            settings=settings,
            run_folder=Path(folder),
            sink=ignore_events,
            make_sample=None,
            description={},
            rng=rng,
            device=DEVICE,
            format_version=FORMAT_VERSION,
        )
        run.stepper = Stepper(  # which asks its device for autocast and the optimiser's kernel
            groups=run.attached.groups, settings=settings, device=torch.device("cuda")
        )
        yield run


def _warmed_up(run: TrainingRun) -> list[Tensor]:
    """What is trained and the optimisers' state, which a first step makes."""
    groups = run.attached.groups
    parameters = [parameter for group in groups.values() for parameter in group.parameters]
    for parameter in parameters:
        parameter.grad = torch.empty_like(parameter)
    run.stepper.step(groups, 0)
    states = [state for o in run.stepper.optimisers.values() for state in o.state.values()]
    return [*parameters, *(tensor for state in states for tensor in state.values())]


def _clip(backbone: Backbone, frames: int, height: int, width: int) -> LatentClip:
    tokens = (1, PROMPT_TOKENS, PROMPT_WIDTH[backbone.family])
    return LatentClip(
        latents=torch.zeros(latent_shape(backbone, frames, height, width)),
        prompt_embeds=torch.zeros(tokens),
        prompt=PROMPT,
        fps=8.0,
        digest="",
        source="clip",
        image_embeds=torch.zeros(frames, 1024),
    )
