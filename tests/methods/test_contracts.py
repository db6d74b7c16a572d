"""What every method of the registry keeps to, on both backbones at tiny size.

A new method is tested by its own defaults; those of which defaults leave a part out, or draw at
random, have settings here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from motion_core.adapters.weights.training import TrainableWeights
from motion_core.backbones.base import Backbone
from motion_core.bases import BASES
from motion_core.diffusion.generate import apply_adapters
from motion_core.methods import METHODS
from motion_core.methods.base import Attached, Method
from motion_core.methods.defaults import Material
from motion_core.methods.parts import training
from motion_core.settings import from_mapping, to_mapping
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import suited
from motion_core.types import LatentClip

from ..runs import batch_of, latent_clip
from ..tiny import tiny_animatediff, tiny_zeroscope

IMAGE_WIDTH = 5
QUIET = {"rank": 2, "dropout": 0.0}
SETTINGS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "motion_director": ({**QUIET, "alpha": 3.0, "spatial_dropout_p": 0.0},),
    "motion_crafter": (
        {"spatial_path": True, "separate_reference_prompt": True},
        {"spatial_path": True, "parametrisation": "lora", "blocks": "all", "rank": 2},
    ),
    "motion_inversion": (
        {"debias": "none"},
        {"debias": "none", "loss": "motion_distillation"},
        {**QUIET, "loss": "debiased_hybrid", "spatial_dropout_p": 0.0, "debias": "none"},
    ),
    "motrans": ({**QUIET, "alpha": 3.0, "appearance_steps": 4},),
    "vmc": ({}, {"parametrisation": "lora", "rank": 2}),
    "coupled": ({**QUIET, "alpha": 3.0},),
}


def undisturbed(name: str) -> dict[str, float]:
    """A method's own settings without dropout, with which no two passes are alike."""
    names = {field.name for field in dataclasses.fields(METHODS[name].Settings)}
    return {"dropout": 0.0} if "dropout" in names else {}


CASES = [
    pytest.param(name, settings, make, id=f"{name}-{index}-{make.__name__}")
    for name in METHODS
    for index, settings in enumerate(SETTINGS.get(name, (undisturbed(name),)))
    for make in (tiny_animatediff, tiny_zeroscope)
]
every_method = pytest.mark.parametrize(("name", "settings", "make"), CASES)
Maker = Callable[[], Backbone]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def video(seed: int) -> LatentClip:
    """With all that any method asks of a clip: a verb, and what an image encoder sees."""
    embeds = torch.randn(3, IMAGE_WIDTH, generator=rng(seed + 50))
    return dataclasses.replace(
        latent_clip(3, seed), prompt="a cat jumping high", image_embeds=embeds
    )


CLIPS = (video(0), video(1))


def method_of(name: str, settings: Mapping[str, Any]) -> Method:
    return METHODS[name](from_mapping(METHODS[name].Settings, settings))


def output(backbone: Backbone) -> Tensor:
    with torch.no_grad():
        return backbone.predict(CLIPS[0].latents, torch.tensor([500]), CLIPS[0].prompt_embeds)


def stir(attached: Attached) -> None:
    """Moves everything away from its start, at which some of it has no gradient."""
    with torch.no_grad():
        for group in attached.groups.values():
            for index, parameter in enumerate(group.parameters):
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=rng(index)))


def passes_of(attached: Attached, method: Method) -> Iterator[Any]:
    """The passes of the first step and of the first one of the last stage, for every clip."""
    for step in dict.fromkeys((0, method.least_steps - 1)):
        for index, clip in enumerate(CLIPS):
            yield attached.passes(batch_of(clip, index, step=step), rng(step))


@contextmanager
def restored(backbone: Backbone) -> Iterator[None]:
    """Checks that afterwards all is as before, bit for bit."""
    network = backbone.network
    before, parameters = output(backbone), dict(network.named_parameters())
    modules = {name: (module, set(vars(module))) for name, module in network.named_modules()}
    values = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    words = backbone.text.encode(["a cat jumping"])
    yield
    after = dict(network.named_parameters())
    assert list(after) == list(parameters)
    assert all(after[name] is parameter for name, parameter in parameters.items())
    assert {n: (m, set(vars(m))) for n, m in network.named_modules()} == modules
    kept = network.state_dict()
    assert kept.keys() == values.keys()
    assert all(torch.equal(kept[name], value) for name, value in values.items())
    assert torch.equal(output(backbone), before)
    assert torch.equal(backbone.text.encode(["a cat jumping"]), words)


@every_method
def test_untrained_it_is_the_base(name: str, settings: Mapping[str, Any], make: Maker) -> None:
    """Within the passes and outside of them, and as adapters; none draws from torch's generator."""
    backbone, method = make(), method_of(name, settings)
    base, state = output(backbone), torch.get_rng_state()
    with method.attach(backbone, CLIPS, rng()) as attached:
        assert torch.equal(output(backbone), base)
        for passes in passes_of(attached, method):
            for _ in passes:
                assert torch.equal(output(backbone), base)
        adapters = attached.adapters()
    assert torch.equal(torch.get_rng_state(), state)
    with apply_adapters(backbone, [(adapter, 1.0) for adapter in adapters.values()]):
        assert torch.equal(output(backbone), base)


def _has_gradient(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)


@every_method
def test_a_term_trains_its_group_and_nothing_else(
    name: str, settings: Mapping[str, Any], make: Maker
) -> None:
    """Plain backward, without `inputs`: whatever else could get a gradient would get it here. Of
    whole weights some have none: an attention's shift, and what all its scores have in common.
    """
    backbone, method, trained = make(), method_of(name, settings), set()
    backbone.network.requires_grad_(False)  # as the trainer does
    with method.attach(backbone, CLIPS, rng()) as attached:
        stir(attached)
        owned = {id(p) for group in attached.groups.values() for p in group.parameters}
        for passes in passes_of(attached, method):
            for term in passes:
                assert term.value.dtype == torch.float32 and term.value.shape == ()
                term.value.backward()
                trained.add(term.group)
                for group_name, group in attached.groups.items():
                    for part in group.parts.values():
                        reached = [_has_gradient(parameter) for parameter in part.parameters]
                        if group_name != term.group:
                            assert all(parameter.grad is None for parameter in part.parameters)
                        elif isinstance(part, TrainableWeights):
                            assert sum(reached) > len(reached) / 2
                        else:
                            assert all(reached)
                    for parameter in group.parameters:
                        assert parameter.requires_grad or group_name != term.group
                        parameter.grad = None
        assert all(p.grad is None for p in backbone.network.parameters() if id(p) not in owned)
        assert trained == set(attached.groups)


@every_method
def test_the_base_is_put_back(name: str, settings: Mapping[str, Any], make: Maker) -> None:
    """After every pass, also one of which the backward fails, and after the end."""
    backbone, method = make(), method_of(name, settings)
    base = output(backbone)
    with restored(backbone), method.attach(backbone, CLIPS, rng()) as attached:
        stir(attached)
        assert torch.equal(output(backbone), base)
        for passes in passes_of(attached, method):
            next(passes)
            assert not torch.equal(output(backbone), base)
            with pytest.raises(RuntimeError, match="backward failed"):
                passes.throw(RuntimeError("backward failed"))
            assert torch.equal(output(backbone), base)
        assert all(p.requires_grad for group in attached.groups.values() for p in group.parameters)


@every_method
def test_the_base_is_put_back_after_an_error(
    name: str, settings: Mapping[str, Any], make: Maker
) -> None:
    backbone, method = make(), method_of(name, settings)
    with restored(backbone), pytest.raises(RuntimeError, match="stop"):
        with method.attach(backbone, CLIPS, rng()) as attached:
            next(attached.passes(batch_of(CLIPS[0]), rng()))
            raise RuntimeError("stop")


@every_method
def test_what_it_trains_is_counted(name: str, settings: Mapping[str, Any], make: Maker) -> None:
    """By shapes alone, of both videos; float32, whatever the base is in."""
    backbone, method = make(), method_of(name, settings)
    shapes = [dataclasses.replace(clip, latents=clip.latents.to("meta")) for clip in CLIPS]
    counted = method.trained(backbone, shapes)
    with method.attach(backbone, CLIPS, rng()) as attached:
        assert counted == {
            group_name: sum(parameter.numel() for parameter in group.parameters)
            for group_name, group in attached.groups.items()
        }
        parameters = [p for group in attached.groups.values() for p in group.parameters]
        assert all(p.requires_grad and p.dtype == torch.float32 for p in parameters)
    assert len({id(parameter) for parameter in parameters}) == len(parameters)


@every_method
def test_its_adapters_do_what_was_trained(
    name: str, settings: Mapping[str, Any], make: Maker
) -> None:
    """All parts at once: merged into the weights as in training beside them, but for the order of
    sums. They are copies.
    """
    backbone, method = make(), method_of(name, settings)
    base = output(backbone)
    with method.attach(backbone, CLIPS, rng()) as attached:
        stir(attached)
        first, *others = attached.groups
        with training(attached.groups, first, beside=others):
            trained = output(backbone)
        adapters = attached.adapters()
        parts = [part for group in attached.groups.values() for part in group.parts]
        assert list(adapters) == parts
        tensors = [t for adapter in adapters.values() for t in adapter.state_dict().values()]
        kept = [tensor.clone() for tensor in tensors]
        stir(attached)
    assert all(torch.equal(one, other) for one, other in zip(tensors, kept, strict=True))
    with apply_adapters(backbone, [(adapter, 1.0) for adapter in adapters.values()]):
        torch.testing.assert_close(output(backbone), trained, rtol=1e-3, atol=1e-3)
    assert (trained - base).abs().max() > 0.05


@pytest.mark.parametrize("name", METHODS)
def test_it_says_of_itself(name: str) -> None:
    """Its registry name, and defaults on every base that are settings."""
    method = METHODS[name]
    assert method.name == name and method.title and method.summary
    assert method().settings == method.Settings() and method().least_steps >= 1
    for base in BASES.values():
        usual = suited(method, base, Material(videos=1, images=0))
        settings = from_mapping(method.Settings, usual.settings)
        assert from_mapping(method.Settings, to_mapping(settings)) == settings
        assert from_mapping(TrainSettings, usual.train).steps >= method(settings).least_steps
