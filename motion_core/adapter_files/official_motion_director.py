"""LoRAs of the official MotionDirector code, which come as lists without names.

In: `checkpoint-N/temporal/lora/N_unet.pt` or `…/spatial/lora/N_unet.pt`. Out: LoRA adapters of
ZeroScope, which has ModelScope's layers. The list is [up, down, up, down …], in the order of the
UNet's modules: of every temporal transformer (class TransformerTemporalModel) the linear layers of
attn1, attn2 and ff, or of every spatial one (Transformer2DModel) those of attn1 and ff; the change
of a layer is up @ down. A spatial list of several videos has all videos' pairs of a layer before
the next layer's. Reference: showlab/MotionDirector 0146a50, utils/lora.py (`_find_modules_v2`,
`save_lora_weight`) and models/unet_3d_condition.py, with diffusers 0.18.0, as its requirements.txt
has it: attn1, attn2, ff in a block, to_q, to_k, to_v, to_out in an attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import UNet3DConditionModel
from torch import Tensor, nn

from ..adapters.base import Scope
from ..adapters.lora.adapter import LoraAdapter, find_linears
from ..adapters.lora.keys import LoraPair
from ..backbones.families import ZEROSCOPE
from ..backbones.files.kinds import require_role
from ..backbones.files.roles import Role
from ..backbones.files.tensors import open_tensors
from ..backbones.temporal import spatial_linear_names, temporal_linear_names
from ..errors import FormatError


def import_motion_director(path: Path, unet: nn.Module | None = None) -> dict[str, LoraAdapter]:
    """Reads a list: as "temporal", or as "spatial.0" and further for each of its videos.

    unet: whose layers the list is for, on any device; None is ZeroScope's at its full size. No code
    from the file is run. Raises FormatError if its tensors are not as many, or not of the shapes,
    that the network's layers want.
    """
    file = open_tensors(path)
    require_role(file, (Role.POSITIONAL_LORA,), "a list from the official MotionDirector")
    tensors = [file.read(str(index)) for index in range(len(file.shapes))]
    return adapters_of_list(tensors, zeroscope_layout() if unet is None else unet, file.name)


def zeroscope_layout() -> UNet3DConditionModel:
    """ZeroScope's and ModelScope's UNet without weights, on the meta device: names and shapes."""
    with torch.device("meta"):
        return UNet3DConditionModel(cross_attention_dim=1024, attention_head_dim=64)


def adapters_of_list(
    tensors: Sequence[Tensor], unet: nn.Module, source: str
) -> dict[str, LoraAdapter]:
    """The adapters of a list of an even number of tensors; source: its name in messages. See
    `import_motion_director`.
    """
    pairs = [LoraPair(down, up) for up, down in zip(tensors[::2], tensors[1::2], strict=True)]
    temporal, spatial = temporal_linear_names(unet), spatial_linear_names(unet)
    if len(pairs) == len(temporal):
        return {"temporal": _adapter("temporal", temporal, pairs, unet, source)}
    videos, rest = divmod(len(pairs), len(spatial))
    if rest or not videos:
        raise FormatError(
            f"{source} is a list of {len(tensors)} tensors; the official MotionDirector writes "
            f"{2 * len(temporal)} for a temporal LoRA of this UNet, or {2 * len(spatial)} for "
            "each video's spatial LoRA. Choose a checkpoint trained on ZeroScope or ModelScope."
        )
    return {
        f"spatial.{video}": _adapter("spatial", spatial, pairs[video::videos], unet, source)
        for video in range(videos)
    }


def _adapter(
    scope: Scope, layers: Sequence[str], pairs: Sequence[LoraPair], unet: nn.Module, source: str
) -> LoraAdapter:
    linears = find_linears(unet, layers)
    for layer, pair in zip(layers, pairs, strict=True):
        linear, rank = linears[layer], pair.down.shape[0]
        wanted = (linear.out_features, rank), (rank, linear.in_features)
        found = tuple(pair.up.shape), tuple(pair.down.shape)
        if found != wanted:
            raise FormatError(
                f"{source} has tensors of shapes {found[0]} and {found[1]} where {layer} needs "
                f"{wanted[0]} and {wanted[1]}. Choose a checkpoint from the official "
                "MotionDirector, trained on ZeroScope or ModelScope."
            )
    named = {
        layer: LoraPair(*(matrix.detach().float().clone() for matrix in pair))
        for layer, pair in zip(layers, pairs, strict=True)
    }
    return LoraAdapter(scope=scope, family=ZEROSCOPE, pairs=named)
