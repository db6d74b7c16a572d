"""The base during training: frozen, cast, recomputed, and put back bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from motion_core.backbones.base import Backbone
from motion_core.backbones.checkpointing import LAYERS, gradient_checkpointing
from motion_core.backbones.frozen import frozen_base
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.types import Batch

from ..runs import latent_clip
from ..tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]


@pytest.mark.parametrize("make", BACKBONES)
def test_cast_base_is_put_back_bit_for_bit(make: Callable[[], Backbone]) -> None:
    backbone = make()
    unet = backbone.network.train().requires_grad_(True)
    tensors = dict(unet.named_parameters()) | dict(unet.named_buffers())
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    with frozen_base(unet, torch.bfloat16):
        floating = [tensor for tensor in tensors.values() if tensor.is_floating_point()]
        assert {tensor.dtype for tensor in floating} == {torch.bfloat16}
        assert not any(parameter.requires_grad for parameter in unet.parameters())
        assert not any(module.training for module in unet.modules())
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())
    assert all(parameter.requires_grad for parameter in unet.parameters())
    assert all(module.training for module in unet.modules())


def test_modes_and_flags_are_put_back_one_by_one() -> None:
    unet = tiny_animatediff().network
    first = next(unet.parameters()).requires_grad_(True)
    unet.mid_block.train()
    with pytest.raises(RuntimeError, match="in training"), frozen_base(unet, torch.float32):
        raise RuntimeError("in training")
    assert [parameter for parameter in unet.parameters() if parameter.requires_grad] == [first]
    assert unet.mid_block.training and not unet.down_blocks[0].training


def gradients(make: Callable[[], Backbone], recomputed: bool) -> list[Tensor]:
    """Both passes' gradients with dropout on, B moved away from 0, of the same draws."""
    backbone, clip = make(), latent_clip()
    settings = MotionDirectorSettings(rank=2, dropout=0.3, spatial_dropout_p=0.0)
    rng = torch.Generator().manual_seed(0)
    batch = Batch(latents=clip.latents, prompt_embeds=clip.prompt_embeds, clip_index=0, step=0)
    with (
        torch.random.fork_rng(devices=[]),
        MotionDirector(settings).attach(backbone, [clip], rng) as attached,
        gradient_checkpointing(backbone.network) if recomputed else nullcontext(),
    ):
        torch.manual_seed(0)
        parameters = [p for group in attached.groups.values() for p in group.parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(torch.randn_like(parameter))
        for term in attached.passes(batch, rng):
            term.value.backward(inputs=list(attached.groups[term.group].parameters))
        return [p.grad for p in parameters if p.grad is not None]


@pytest.mark.parametrize("make", BACKBONES)
def test_recomputed_blocks_give_the_same_gradients(make: Callable[[], Backbone]) -> None:
    """Also where temporal modules skip a single frame, and where dropout is drawn again."""
    kept, recomputed = gradients(make, recomputed=False), gradients(make, recomputed=True)
    assert len(kept) == len(recomputed) > 0
    for one, other in zip(kept, recomputed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("make", BACKBONES)
def test_recomputed_blocks_keep_less(make: Callable[[], Backbone]) -> None:
    """The bytes that autograd packs for backward, counted by torch's own hook."""
    backbone, clip, sizes = make(), latent_clip(), {}
    linear = backbone.network.get_submodule(backbone.sites("temporal")[0])
    assert isinstance(linear, torch.nn.Linear)
    linear.weight.requires_grad_(True)
    for recomputed in (False, True):
        packed: list[int] = []

        def pack(tensor: Tensor, packed: list[int] = packed) -> Tensor:
            packed.append(tensor.numel() * tensor.element_size())
            return tensor

        with (
            gradient_checkpointing(backbone.network) if recomputed else nullcontext(),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        ):
            backbone.predict(clip.latents, torch.tensor([1]), clip.prompt_embeds)
        sizes[recomputed] = sum(packed)
    assert sizes[True] < sizes[False] / 2


def test_blocks_are_put_back() -> None:
    unet = tiny_animatediff().network
    with gradient_checkpointing(unet):
        blocks = [module for module in unet.modules() if isinstance(module, LAYERS)]
        assert blocks and all("forward" in vars(block) for block in blocks)
    assert not any("forward" in vars(module) for module in unet.modules())
