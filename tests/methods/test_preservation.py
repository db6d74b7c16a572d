"""Base preservation: what it adds to a loss, of which two predictions, and what it leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from motion_core.backbones.base import Backbone
from motion_core.errors import SettingsError, TrainingError
from motion_core.events import CancelRun, Event, StepDone
from motion_core.methods import METHODS
from motion_core.methods.base import Attached, LossTerm
from motion_core.methods.losses import mse
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.methods.preservation import preserving
from motion_core.settings import from_mapping
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.types import Batch

from ..runs import batch_of, latent_clip
from ..tiny import tiny_animatediff
from .test_contracts import CLIPS, QUIET, Maker, every_method, method_of, stir

LAST = 20  # a step that is in every method's last stage


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclasses.dataclass
class Call:
    """What the network was asked, and said. trained: with a graph."""

    latents: Tensor
    timesteps: Tensor
    prompt_embeds: Tensor
    pred: Tensor
    trained: bool


@contextmanager
def watched(backbone: Backbone) -> Iterator[list[Call]]:
    calls: list[Call] = []
    predict = backbone.predict

    def watching(latents: Tensor, timesteps: Tensor, prompt_embeds: Tensor) -> Tensor:
        pred = predict(latents, timesteps, prompt_embeds)
        asked = (latents, timesteps, prompt_embeds.detach(), pred.detach())
        calls.append(Call(*asked, trained=torch.is_grad_enabled()))
        return pred

    backbone.predict = watching  # type: ignore[method-assign]
    yield calls
    del backbone.predict  # type: ignore[misc]


def last_term(attached: Attached, weight: float) -> LossTerm:
    """Of a step on the first video, which is of all its frames."""
    batch = dataclasses.replace(batch_of(CLIPS[0], step=LAST), base_preservation=weight)
    *_, last = attached.passes(batch, rng(1))
    return last


def test_by_hand() -> None:
    """ε̂ = (1, 4), ε̂_base = (0, 2), w = 0.5 on a loss of 3: 3 + 0.5·(1 + 4)/2."""
    pred, base = torch.tensor([1.0, 4.0]), torch.tensor([0.0, 2.0])
    assert preserving(torch.tensor(3.0), pred, base, 0.5).item() == 4.25


def test_none_is_nothing() -> None:
    loss = torch.tensor(3.0)
    assert preserving(loss, torch.ones(2), None, 0.0) is loss


@every_method
def test_a_video_is_held_to_the_base(name: str, settings: Mapping[str, Any], make: Maker) -> None:
    """L + w·mean (ε̂ - ε̂_base)² of the pass on all frames, with the base's own prediction for the
    same noise and prompt; without a weight the network is not asked for it, but by MotionCrafter,
    whose own loss is of it.
    """
    backbone, method = make(), method_of(name, settings)
    with method.attach(backbone, CLIPS, rng()) as attached:
        stir_motion(attached)
        with watched(backbone) as without:
            plain = last_term(attached, 0.0).value.item()
        with watched(backbone) as calls:
            held = last_term(attached, 2.0).value.item()
        assert sum(not call.trained for call in without) == (name == "motion_crafter")
        frozen = next(call for call in calls if not call.trained)
        trained = calls[-1]
        assert trained.trained and sum(not call.trained for call in calls) == 1
        base = backbone.predict(frozen.latents, frozen.timesteps, frozen.prompt_embeds)
        assert torch.equal(base, frozen.pred)
    assert torch.equal(frozen.latents, trained.latents)
    assert torch.equal(frozen.timesteps, trained.timesteps)
    if name == "motion_crafter":
        assert torch.equal(frozen.prompt_embeds, trained.prompt_embeds)  # a template's
    else:
        assert torch.equal(frozen.prompt_embeds, CLIPS[0].prompt_embeds)
    assert mse(trained.pred, frozen.pred) > 1e-4
    assert held == pytest.approx(plain + 2 * mse(trained.pred, frozen.pred).item(), rel=1e-4)


def stir_motion(attached: Attached) -> None:
    """Moves what the last pass trains away from its start, and not what stands beside it."""
    last = last_term(attached, 0.0).group
    alone = dataclasses.replace(attached, groups={last: attached.groups[last]})
    stir(alone)


def test_what_is_beside_is_in_both_branches() -> None:
    """MotionDirector's motion LoRA changes nothing yet, so that nothing is held, however far the
    LoRA for looks is from the base.
    """
    backbone, method = tiny_animatediff(), method_of("motion_director", {**QUIET, "alpha": 3.0})
    method = MotionDirector(dataclasses.replace(method.settings, spatial_dropout_p=0.0))
    with method.attach(backbone, CLIPS, rng()) as attached:
        stir(dataclasses.replace(attached, groups={"spatial.0": attached.groups["spatial.0"]}))
        with watched(backbone) as calls:
            held = last_term(attached, 2.0).value.item()
        assert held == last_term(attached, 0.0).value.item()
        *_, frozen, trained = calls
        assert torch.equal(frozen.pred, trained.pred)
        base = backbone.predict(frozen.latents, frozen.timesteps, frozen.prompt_embeds)
        assert (base - frozen.pred).abs().max() > 0.01


def test_an_image_is_not_held() -> None:
    backbone, image = tiny_animatediff(), latent_clip(1)
    settings = from_mapping(MotionDirectorSettings, QUIET)
    with MotionDirector(settings).attach(backbone, [image], rng()) as attached:
        values = [
            [term.value.item() for term in attached.passes(batch, rng(1))]
            for batch in (batch_of(image), held_batch(batch_of(image)))
        ]
    assert len(values[0]) == 1 and values[0] == values[1]


def held_batch(batch: Batch) -> Batch:
    return dataclasses.replace(batch, base_preservation=2.0)


def test_images_alone_are_refused(tmp_path: Path) -> None:
    settings = TrainSettings(steps=1, base_preservation=0.05)
    with pytest.raises(
        SettingsError, match=r"base_preservation is 0\.05.*only images.*Set it to 0"
    ):
        train(
            tiny_animatediff(), [latent_clip(1)], METHODS["motion_director"](), settings, tmp_path
        )


def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """Its frozen branch has dropout too, of the LoRA for looks; another weight is another run."""
    method = MotionDirector(MotionDirectorSettings(rank=2, dropout=0.5, spatial_dropout_p=0.0))
    settings = TrainSettings(steps=3, base_preservation=0.5, checkpointing=False)

    def stop(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 1:
            raise CancelRun

    def tensors(weight: float, folder: str, **sink: Any) -> list[Tensor]:
        run = dataclasses.replace(settings, base_preservation=weight)
        result = train(tiny_animatediff(), [latent_clip(3)], method, run, tmp_path / folder, **sink)
        return [t for a in result.adapters.values() for t in a.state_dict().values()]

    whole, free = tensors(0.5, "whole"), tensors(0.0, "free")
    with pytest.raises(CancelRun):
        tensors(0.5, "run", sink=stop)
    with pytest.raises(TrainingError, match=r"base_preservation was 0\.5, now 0\.25"):
        tensors(0.25, "run")
    resumed = tensors(0.5, "run")
    assert all(torch.equal(a, b) for a, b in zip(resumed, whole, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(free, whole, strict=True))
