"""The official MotionDirector's lists: their order at full size, their effect at tiny size, and
what is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from motion_core.adapter_files.official_motion_director import (
    adapters_of_list,
    import_motion_director,
    zeroscope_layout,
)
from motion_core.adapters.lora.keys import LoraPair
from motion_core.backbones.base import Backbone
from motion_core.errors import FormatError

from ..tiny import tiny_zeroscope

PARTS = {
    "TransformerTemporalModel": ("attn1", "attn2", "ff"),
    "Transformer2DModel": ("attn1", "ff"),
}


def official_layers(unet: nn.Module, kind: str) -> Iterator[tuple[str, nn.Linear]]:
    """What the official code finds (utils/lora.py, `_find_modules_v2`): below every module of the
    class `kind`, in the order of `named_modules`, the linear layers in whose name below it one of
    the parts occurs. Our backbones' classes are subclasses.
    """
    for ancestor_name, ancestor in unet.named_modules():
        if kind in {cls.__name__ for cls in type(ancestor).__mro__}:
            for name, module in ancestor.named_modules():
                if isinstance(module, nn.Linear) and any(part in name for part in PARTS[kind]):
                    yield f"{ancestor_name}.{name}", module


def official_list(unet: nn.Module, kind: str, rank: int, videos: int = 1) -> list[Tensor]:
    """[up, down, up, down …] as it is saved, of random parameters on the UNet's device; several
    videos' LoRAs are nested in each layer, so they come one after the other.
    """
    rng = torch.Generator().manual_seed(0)
    tensors: list[Tensor] = []
    for _, linear in official_layers(unet, kind):
        device = linear.weight.device
        for _ in range(videos):
            up = torch.empty(linear.out_features, rank, device=device)
            down = torch.empty(rank, linear.in_features, device=device)
            for matrix in (up, down):
                if not matrix.is_meta:
                    matrix.normal_(std=0.3, generator=rng)
                tensors.append(nn.Parameter(matrix))
    return tensors


def predict(backbone: Backbone) -> Tensor:
    rng = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 4, 3, 8, 8, generator=rng)
    prompt = torch.randn(1, 16, 8, generator=rng)
    with torch.no_grad():
        return backbone.predict(latents, torch.tensor([500]), prompt)


def predict_officially(
    backbone: Backbone, kind: str, tensors: list[Tensor], scale: float
) -> Tensor:
    """As LoraInjectedLinear computes: linear(x) + up(down(x)) · scale."""
    handles = []
    layers = [linear for _, linear in official_layers(backbone.network, kind)]
    for linear, up, down in zip(layers, tensors[::2], tensors[1::2], strict=True):

        def added(_: nn.Module, inputs: tuple[Tensor], output: Tensor, up=up, down=down) -> Tensor:
            return output + inputs[0] @ down.T @ up.T * scale

        handles.append(linear.register_forward_hook(added))
    try:
        return predict(backbone)
    finally:
        for handle in handles:
            handle.remove()


def test_the_order_at_full_size() -> None:
    """On the meta device: 16 spatial transformers with 6 layers each; 17 temporal ones, the first
    at the entry, with 10. The official UNet makes its lists of down and up blocks before the middle
    (models/unet_3d_condition.py). Four levels, of which three have attention: 2 in each down block,
    3 in each up block, 1 in the middle.
    """
    unet = zeroscope_layout()
    temporal = official_list(unet, "TransformerTemporalModel", 32)
    spatial = official_list(unet, "Transformer2DModel", 32)
    assert (len(temporal), len(spatial)) == (2 * 170, 2 * 96)
    adapter = adapters_of_list(temporal, unet, "1_unet.pt")["temporal"]
    names = list(adapter.pairs)
    assert names == [name for name, _ in official_layers(unet, "TransformerTemporalModel")]
    blocks = list(dict.fromkeys(name.split(".transformer_blocks")[0] for name in names))
    assert blocks == [
        "transformer_in",
        *(f"down_blocks.{b}.temp_attentions.{i}" for b in (0, 1, 2) for i in (0, 1)),
        *(f"up_blocks.{b}.temp_attentions.{i}" for b in (1, 2, 3) for i in (0, 1, 2)),
        "mid_block.temp_attentions.0",
    ]
    attention = ("to_q", "to_k", "to_v", "to_out.0")
    assert [name.split("transformer_blocks.0.")[1] for name in names[:10]] == [
        *(f"attn1.{layer}" for layer in attention),
        *(f"attn2.{layer}" for layer in attention),
        "ff.net.0.proj",
        "ff.net.2",
    ]
    looks = adapters_of_list(spatial, unet, "1_unet.pt")["spatial.0"]
    assert list(looks.pairs) == [name for name, _ in official_layers(unet, "Transformer2DModel")]


def test_sizes_at_full_size() -> None:
    """The paper's 12 and 9 million parameters at rank 32 (MotionDirector, Sec. 4.4)."""
    unet = zeroscope_layout()
    for kind, millions in (("TransformerTemporalModel", 12), ("Transformer2DModel", 9)):
        adapters = adapters_of_list(official_list(unet, kind, 32), unet, "1_unet.pt")
        (adapter,) = adapters.values()
        count = sum(matrix.numel() for pair in adapter.pairs.values() for matrix in pair)
        assert count / 1e6 == pytest.approx(millions, abs=0.5)


@pytest.mark.parametrize("kind", PARTS)
def test_a_file_has_the_effect_that_it_has_officially(kind: str, tmp_path: Path) -> None:
    """Saved as parameters, as the official code saves them; at a scale of 0.7."""
    backbone = tiny_zeroscope()
    tensors = official_list(backbone.network, kind, 2)
    torch.save(tensors, tmp_path / "150_unet.pt")
    (adapter,) = import_motion_director(tmp_path / "150_unet.pt", backbone.network).values()
    base, expected = predict(backbone), predict_officially(backbone, kind, tensors, 0.7)
    assert not torch.allclose(base, expected, rtol=1e-2)
    with adapter.applied(backbone, 0.7):
        torch.testing.assert_close(predict(backbone), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(predict(backbone), base)
    assert not any(matrix.requires_grad for pair in adapter.pairs.values() for matrix in pair)


def test_a_spatial_list_of_several_videos(tmp_path: Path) -> None:
    """Every layer has the first video's pair, then the second's."""
    backbone = tiny_zeroscope()
    tensors = official_list(backbone.network, "Transformer2DModel", 2, videos=2)
    torch.save(tensors, tmp_path / "300_unet.pt")
    adapters = import_motion_director(tmp_path / "300_unet.pt", backbone.network)
    assert {name: adapter.scope for name, adapter in adapters.items()} == {
        "spatial.0": "spatial",
        "spatial.1": "spatial",
    }
    for video in (0, 1):
        for place, pair in enumerate(adapters[f"spatial.{video}"].pairs.values()):
            start = 4 * place + 2 * video
            assert torch.equal(pair.up, tensors[start])
            assert torch.equal(pair.down, tensors[start + 1])


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    unet = tiny_zeroscope().network
    tensors = [t.detach().half() for t in official_list(unet, "Transformer2DModel", 1)]
    torch.save(tensors, tmp_path / "1_unet.pt")
    pairs = import_motion_director(tmp_path / "1_unet.pt", unet)["spatial.0"].pairs
    assert all(matrix.dtype == torch.float32 for pair in pairs.values() for matrix in pair)


def test_lists_that_cannot_be(tmp_path: Path) -> None:
    """One line each that says what was found."""
    unet, path = tiny_zeroscope().network, tmp_path / "1_unet.pt"
    temporal = official_list(unet, "TransformerTemporalModel", 2)

    def refused(tensors: object) -> str:
        torch.save(tensors, path)
        with pytest.raises(FormatError) as error:
            import_motion_director(path, unet)
        return str(error.value)

    said = refused(temporal[:-2])
    assert f"1_unet.pt is a list of {len(temporal) - 2} tensors" in said
    assert f"writes {len(temporal)} for a temporal LoRA" in said
    swapped = [*temporal]
    wide = nn.Parameter(torch.zeros(8, 2)), nn.Parameter(torch.zeros(2, 999))
    swapped[-2:] = wide
    assert "has tensors of shapes (8, 2) and (2, 999) where" in refused(swapped)
    assert "of a kind unknown to this package" in refused(temporal[:-1])
    assert "of a kind unknown to this package" in refused([torch.zeros(2, 3)] * 2)
    assert "contains a list, not named tensors" in refused([*temporal, 3])
    assert "contains more than tensors" in refused([LoraPair, *temporal])
