"""The appearance injector: what temporal transformers get, and what a sample makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from motion_core.adapters import ADAPTERS
from motion_core.adapters.injector import (
    Injection,
    InjectorAdapter,
    injected,
    injector_sites,
    zero_weights,
)
from motion_core.backbones.base import Backbone
from motion_core.backbones.checkpointing import gradient_checkpointing
from motion_core.errors import AdapterError, FormatError
from tests.tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
Maker = Callable[[], Backbone]
WIDTH = 3
FRAMES = 3


def predict(backbone: Backbone, frames: int = FRAMES, clips: int = 2) -> Tensor:
    rng = torch.Generator().manual_seed(7)
    latents = torch.randn(clips, 4, frames, 8, 8, generator=rng)
    prompt = torch.randn(clips, 16, 8, generator=rng)
    return backbone.predict(latents, torch.tensor([500] * clips), prompt)


def weights(backbone: Backbone) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(channels, WIDTH, generator=rng)
        for name, channels in injector_sites(backbone.network).items()
    }


def trained(backbone: Backbone, injection: Injection = "add") -> InjectorAdapter:
    return InjectorAdapter(
        scope="temporal", family=backbone.family, injection=injection, weights=weights(backbone)
    )


@contextmanager
def inputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """What the module gets, after all hooks that were there before."""
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        yield seen
    finally:
        handle.remove()


def test_sites_are_the_blocks_temporal_transformers() -> None:
    """Two levels of one layer: down 1 + 1, up 2 + 2; AnimateDiff's v2 has one in the middle, and so
    has ZeroScope, which has them at the level with attention alone: 1 + 2 + 1.
    """
    animatediff = injector_sites(tiny_animatediff().network)
    zeroscope = injector_sites(tiny_zeroscope().network)
    assert len(animatediff) == 7 and set(animatediff.values()) == {8, 16}
    assert len(zeroscope) == 4 and "transformer_in" not in zeroscope
    assert zeroscope["mid_block.temp_attentions.0"] == 16


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("injection", ["add", "multiply"])
@torch.no_grad()
def test_each_clips_own_projection_comes_before_the_transformer(
    make: Maker, injection: Injection
) -> None:
    """At the first site, which nothing before it changes: h + W_p ψ, or h · (1 + W_p ψ) (Eq. 2),
    with clip 0's ψ on its three frames and clip 1's on the others, at every position.
    """
    backbone = make()
    site = next(iter(injector_sites(backbone.network)))
    weight = weights(backbone)[site]
    embeds = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, -1.0]])
    module = backbone.network.get_submodule(site)
    with inputs_of(module) as plain:
        predict(backbone)
    with (
        injected(backbone.network, {site: weight}, embeds, injection),
        inputs_of(module) as changed,
    ):
        predict(backbone)
    first, second = weight[:, 0], 2 * weight[:, 1] - weight[:, 2]
    change = torch.stack([first] * FRAMES + [second] * FRAMES)[:, :, None, None]
    expected = plain[0] + change if injection == "add" else plain[0] * (1 + change)
    torch.testing.assert_close(changed[0], expected)


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("injection", ["add", "multiply"])
@torch.no_grad()
def test_zero_weights_change_nothing_and_all_is_removed(make: Maker, injection: Injection) -> None:
    backbone = make()
    base, embeds = predict(backbone), torch.ones(1, WIDTH)
    with injected(backbone.network, zero_weights(backbone.network, WIDTH), embeds, injection):
        assert torch.equal(predict(backbone), base)
    with (
        pytest.raises(KeyError),
        injected(backbone.network, weights(backbone), embeds, injection),
    ):
        assert not torch.equal(predict(backbone), base)
        raise KeyError
    assert torch.equal(predict(backbone), base)


@pytest.mark.parametrize("make", BACKBONES)
@torch.no_grad()
def test_single_frames_are_left_alone(make: Maker) -> None:
    backbone = make()
    base = predict(backbone, frames=1)
    with injected(backbone.network, weights(backbone), torch.ones(1, WIDTH), "add"):
        assert torch.equal(predict(backbone, frames=1), base)


@pytest.mark.parametrize("make", BACKBONES)
def test_every_site_learns_with_and_without_checkpointing(make: Maker) -> None:
    """Recomputed blocks give the same gradients, though the hooks are gone by then."""
    backbone, grads = make(), []
    backbone.network.requires_grad_(False)
    for checkpointing in (False, True):
        trainable = zero_weights(backbone.network, WIDTH)
        with injected(backbone.network, trainable, torch.ones(2, WIDTH), "add"):
            if checkpointing:
                with gradient_checkpointing(backbone.network):
                    loss = predict(backbone).square().mean()
            else:
                loss = predict(backbone).square().mean()
        loss.backward(inputs=list(trainable.values()))
        grads.append([weight.grad for weight in trainable.values()])
    assert all(grad is not None and grad.abs().sum() > 0 for grad in grads[0])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("make", BACKBONES)
@torch.no_grad()
def test_dropped_without_an_image_and_kept_with_one(make: Maker) -> None:
    """As in the paper, a sample goes without; with a user's image it is W_p · ψ · strength."""
    backbone = make()
    base, injector = predict(backbone), trained(backbone)
    with injector.applied(backbone, 1.0):
        assert torch.equal(predict(backbone), base)
    embeds = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    with injector.with_image(embeds).applied(backbone, 0.5):
        kept = predict(backbone)
    with injected(
        backbone.network, weights(backbone), torch.ones(1, WIDTH), "add"
    ):  # 0.5 · (2, 2, 2)
        torch.testing.assert_close(kept, predict(backbone))
    assert not torch.equal(kept, base) and torch.equal(predict(backbone), base)


def test_an_image_encoder_of_another_width_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"shape \(1, 4\).*width 3"):
        trained(tiny_zeroscope()).with_image(torch.ones(1, 4))


def test_round_trip_without_the_image() -> None:
    injector = trained(tiny_zeroscope(), "multiply").with_image(torch.ones(1, WIDTH))
    again = ADAPTERS["injector"].from_state_dict(
        injector.state_dict(), scope="temporal", family="zeroscope", options=injector.options
    )
    assert isinstance(again, InjectorAdapter)
    assert (again.injection, again.image_embeds) == ("multiply", None)
    assert again.weights.keys() == injector.weights.keys()
    assert all(torch.equal(w, injector.weights[name]) for name, w in again.weights.items())


@pytest.mark.parametrize(
    ("tensors", "options"),
    [
        ({"a.weight": torch.zeros(2, 3)}, {}),
        ({"a.weight": torch.zeros(2, 3)}, {"injection": "divide"}),
        ({"a.bias": torch.zeros(2, 3)}, {"injection": "add"}),
        ({"a.weight": torch.zeros(2, 3), "b.weight": torch.zeros(2, 4)}, {"injection": "add"}),
    ],
)
def test_a_damaged_file_is_refused(tensors: dict[str, Tensor], options: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        InjectorAdapter.from_state_dict(
            tensors, scope="temporal", family="zeroscope", options=options
        )
