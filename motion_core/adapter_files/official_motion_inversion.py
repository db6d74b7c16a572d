"""Motion Inversion's official `motion_embed.pt`, as an adapter of ZeroScope.

In: the file, a dict of module path → parameter, and the size of the clip that it was made from,
which the run's `config.yaml` says. Out: an `EmbeddingAdapter`. Reference:
`inject_motion_embeddings` and `save_motion_embeddings` of EnVision-Research/MotionInversion
31ed7fb, models/unet/motion_embeddings.py.

Each block has "<block>.pos_embed" (m_QK) and "<block>.attn1.vSpatial", "<block>.attn2.vSpatial"
(m_V), of shape (1 or h·w, 32, C): there are always 32 frames, of which those that the clip did not
have stay exactly zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from ..adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from ..adapters.embedding.debias import Debias
from ..adapters.embedding.sites import place
from ..backbones.families import ZEROSCOPE
from ..backbones.files.kinds import require_role
from ..backbones.files.roles import Role
from ..backbones.files.tensors import TensorFile, open_tensors
from ..errors import FormatError
from ..settings import require

ZEROSCOPE_LEVELS = 4
PIXELS_PER_LATENT = 8
OFFICIAL_SIZE = (576, 320)  # configs/config.yaml, dataset

# Lines of the mapping "dataset", the way OmegaConf writes them.
_CONFIG_SIZE = r"^dataset:\n(?:[ -].*\n)*? +{name}: (\d+)$"
_KEY = re.compile(
    r"((?:(?:down|up)_blocks\.[0-3]|mid_block)\.temp_attentions\.\d+\.transformer_blocks\.\d+)"
    r"\.(pos_embed|attn1\.vSpatial|attn2\.vSpatial)"
)
_PARTS = ("pos_embed", "attn1.vSpatial", "attn2.vSpatial")


def import_motion_embed(
    path: Path, *, size: tuple[int, int] | None = None, debias: Debias = "difference"
) -> EmbeddingAdapter:
    """Reads the file without running code from it; the frames that were not trained are left out.

    size: width and height of the clip in pixels; None reads the config.yaml of the run, beside the
    file or one folder up, and without one takes the official config's 576x320. debias: as the
    official inference.py has it for objects; "drop_value" for the camera. Raises FormatError for a
    file of another format or size, SettingsError for a size or debias out of range.
    """
    width, height = size or _config_size(path) or OFFICIAL_SIZE
    for name, pixels in (("width", width), ("height", height)):
        require(pixels >= 8, name, pixels, "at least 8")
    file = open_tensors(path)
    require_role(file, (Role.MOTION_EMBEDDING,), "a motion embedding from Motion Inversion")
    blocks = _keys_by_block(file)
    frames = trained_frames(file.read(key) for key in file.shapes)
    if frames == 0:
        raise FormatError(f"{file.name} contains only zeros: nothing was trained. Train it again.")
    return EmbeddingAdapter(
        family=ZEROSCOPE,
        blocks={
            name: BlockEmbedding(
                *(_by_position(file, name, parts[p], frames, width, height) for p in _PARTS)
            )
            for name, parts in blocks.items()
        },
        debias=debias,
    )


def trained_frames(tensors: Iterable[Tensor]) -> int:
    """The number of frames up to the last that is not all zero in every (h·w, N, C) tensor.

    AdamW leaves what gets no gradient at exactly zero, weight decay included.
    """
    return max(
        (int(frame) + 1 for values in tensors for frame in values.any(2).any(0).nonzero()),
        default=0,
    )


def _config_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of the run's clip, from its config.yaml if there is one that says so."""
    for folder in (Path(path).parent, Path(path).parent.parent):
        config = folder / "config.yaml"
        if config.is_file():
            text = config.read_text(encoding="utf-8", errors="replace")
            found = [
                re.search(_CONFIG_SIZE.format(name=name), text, re.MULTILINE)
                for name in ("width", "height")
            ]
            if found[0] and found[1]:
                return int(found[0][1]), int(found[1][1])
    return None


def _keys_by_block(file: TensorFile) -> dict[str, dict[str, str]]:
    blocks: dict[str, dict[str, str]] = {}
    for key, shape in file.shapes.items():
        match = _KEY.fullmatch(key)
        if match is None or len(shape) != 3:
            raise FormatError(
                f"{file.name} contains {key!r} of shape {shape}; expected pos_embed or vSpatial "
                "of a temporal attention block, (positions, frames, channels). The file is "
                "damaged."
            )
        blocks.setdefault(match[1], {})[match[2]] = key
    for name, parts in blocks.items():
        sizes = {file.shapes[key][1:] for key in parts.values()}
        if set(parts) != set(_PARTS) or len(sizes) != 1:
            raise FormatError(
                f"{file.name} has {', '.join(parts)} of block {name}; expected "
                f"{', '.join(_PARTS)} with the same frames and channels. Choose a complete "
                "motion_embed.pt from after October 2024."
            )
    return blocks


def _by_position(
    file: TensorFile, block: str, key: str, frames: int, width: int, height: int
) -> Tensor:
    """(h, w, N, C) float32 of a tensor (h·w, 32, C), or (1, 1, N, C) of a (1, 32, C)."""
    positions = file.shapes[key][0]
    scale = PIXELS_PER_LATENT * 2 ** place(block, ZEROSCOPE_LEVELS)[1]
    h, w = (1, 1) if positions == 1 else (-(-height // scale), -(-width // scale))
    if h * w != positions:
        raise FormatError(
            f"{file.name} was made from a clip of another size: {key} has {positions} positions, "
            f"but {width}x{height} pixels have {w}x{h} there. Put the config.yaml of its run "
            "next to it, or give the clip's width and height."
        )
    return file.read(key)[:, :frames].detach().float().clone().unflatten(0, (h, w))
