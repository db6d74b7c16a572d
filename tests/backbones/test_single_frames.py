"""With F = 1 a video UNet is its image UNet: no temporal module takes part, forward or backward."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from motion_core.backbones.base import check_frames
from motion_core.backbones.checkpointing import gradient_checkpointing
from motion_core.backbones.temporal import TEMPORAL_TRANSFORMERS
from motion_core.errors import SettingsError
from tests.tiny import CHANNELS, MAX_FRAMES, PROMPT_DIM, tiny_animatediff, tiny_zeroscope

TINY = {"animatediff": tiny_animatediff, "zeroscope": tiny_zeroscope}
TEMPORAL_PARTS = ("motion_modules", "temp_convs", "temp_attentions", "transformer_in")


def inputs(frames: int, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    latents = torch.randn(batch, 4, frames, 8, 8, generator=rng)
    prompt_embeds = torch.randn(batch, 5, PROMPT_DIM, generator=rng)
    return latents, torch.tensor([3, 900])[:batch], prompt_embeds


def is_temporal(name: str) -> bool:
    return any(part in name for part in TEMPORAL_PARTS)


def image_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=PROMPT_DIM,
        attention_head_dim=2,  # the number of heads, by its historical name
    ).eval()


@pytest.mark.parametrize("mid_block", [True, False])
def test_animatediff_on_one_frame_is_the_image_unet(mid_block: bool) -> None:
    backbone = tiny_animatediff(mid_block=mid_block)
    image = image_unet()
    weights = {k: v for k, v in backbone.network.state_dict().items() if "motion_modules" not in k}
    image.load_state_dict(weights, strict=True)
    latents, timesteps, embeds = inputs(frames=1)
    with torch.no_grad():
        expected = image(latents[:, :, 0], timesteps, embeds).sample
        got = backbone.predict(latents, timesteps, embeds)
    torch.testing.assert_close(got[:, :, 0], expected, rtol=0, atol=0)


class Nothing(nn.Module):
    """Stands in the place of a temporal module and does nothing, whatever the number of frames."""

    def __init__(self, returns_tuple: bool) -> None:
        super().__init__()
        self.returns_tuple = returns_tuple

    def forward(self, hidden_states: Tensor, **_: Any) -> Tensor | tuple[Tensor]:
        return (hidden_states,) if self.returns_tuple else hidden_states


def test_zeroscope_on_one_frame_is_the_unet_without_temporal_modules() -> None:
    backbone, bare = tiny_zeroscope(), tiny_zeroscope()
    bare.network.transformer_in = Nothing(True)
    for block in (*bare.network.down_blocks, bare.network.mid_block, *bare.network.up_blocks):
        block.temp_convs = nn.ModuleList(Nothing(False) for _ in block.temp_convs)
        if hasattr(block, "temp_attentions"):
            block.temp_attentions = nn.ModuleList(Nothing(True) for _ in block.temp_attentions)
    with torch.no_grad():
        one = inputs(frames=1)
        assert torch.equal(backbone.predict(*one), bare.predict(*one))
        several = inputs(frames=3)
        assert not torch.allclose(backbone.predict(*several), bare.predict(*several), atol=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_several_frames_see_each_other(name: str) -> None:
    """Changing the last frame changes the prediction of the first."""
    backbone = TINY[name]()
    latents, timesteps, embeds = inputs(frames=4)
    changed = latents.clone()
    changed[:, :, -1] += 1
    with torch.no_grad():
        first = backbone.predict(latents, timesteps, embeds)[:, :, 0]
        other = backbone.predict(changed, timesteps, embeds)[:, :, 0]
    assert (first - other).abs().max() > 1e-4


def gradients(backbone: Any, frames: int, checkpointed: bool) -> dict[str, Tensor]:
    """Of the mean square of the prediction; the backward pass runs after the context has ended."""
    backbone.network.requires_grad_(True)
    context = gradient_checkpointing(backbone.network) if checkpointed else contextlib.nullcontext()
    with context:
        loss = backbone.predict(*inputs(frames)).square().mean()
    loss.backward()
    return {n: p.grad for n, p in backbone.network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("name", TINY)
def test_checkpointing_gives_the_same_gradients(name: str, frames: int) -> None:
    plain = gradients(TINY[name](), frames, checkpointed=False)
    again = gradients(TINY[name](), frames, checkpointed=True)
    assert plain.keys() == again.keys()
    assert any(is_temporal(key) for key in plain) == (frames > 1)
    for key, gradient in plain.items():
        torch.testing.assert_close(again[key], gradient, rtol=1e-4, atol=1e-7)


def test_diffusers_own_checkpointing_skips_too() -> None:
    backbone = tiny_animatediff()
    backbone.network.enable_gradient_checkpointing()
    found = gradients(backbone, frames=1, checkpointed=False)
    plain = gradients(tiny_animatediff(), frames=1, checkpointed=False)
    assert found.keys() == plain.keys() and not any(is_temporal(key) for key in found)


def test_checkpointing_recomputes_and_leaves_nothing_behind() -> None:
    """Each layer runs once forward and once more in backward; afterwards no `forward` is left."""
    backbone = tiny_zeroscope()
    calls: list[str] = []
    block = backbone.network.mid_block.temp_attentions[0].transformer_blocks[0]
    block.register_forward_hook(lambda *_: calls.append("run"))
    gradients(backbone, frames=2, checkpointed=True)
    assert calls == ["run", "run"]
    assert not any("forward" in module.__dict__ for module in backbone.network.modules())


@pytest.mark.parametrize("name", TINY)
def test_linear_names(name: str) -> None:
    """Each transformer block has 4 linear layers an attention and 2 in its feed-forward network:
    6 in a spatial block (attn1, ff), 10 in a temporal one (attn1, attn2, ff).

    Both tinies have 4 spatial transformers: 1 down, 1 mid, 2 up. AnimateDiff has 1 + 1 motion
    modules down, 1 mid, 2 + 2 up = 7; ZeroScope transformer_in and 4 temp_attentions = 5.
    """
    backbone = TINY[name]()
    spatial, temporal = backbone.sites("spatial"), backbone.sites("temporal")
    assert len(spatial) == 4 * 6
    assert len(temporal) == {"animatediff": 7, "zeroscope": 5}[name] * 10
    for layer in spatial + temporal:
        assert isinstance(backbone.network.get_submodule(layer), nn.Linear)
    assert not any(is_temporal(layer) or ".attn2." in layer for layer in spatial)
    assert all(is_temporal(layer) for layer in temporal)
    assert any(layer.startswith("mid_block.attentions.0.") for layer in spatial)
    transformers = [m for m in backbone.network.modules() if isinstance(m, TEMPORAL_TRANSFORMERS)]
    assert len(transformers) * 10 == len(temporal)


def test_frames_beyond_the_positional_encoding_are_refused() -> None:
    backbone = tiny_animatediff()
    check_frames(backbone, 1)
    check_frames(backbone, MAX_FRAMES)
    with pytest.raises(SettingsError, match=f"{MAX_FRAMES + 1} frames.*at most {MAX_FRAMES}"):
        check_frames(backbone, MAX_FRAMES + 1)
    with pytest.raises(SettingsError, match="too many"):
        backbone.predict(*inputs(frames=MAX_FRAMES + 1))
    check_frames(tiny_zeroscope(), 1000)
