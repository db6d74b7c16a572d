"""Clips and prompts to what the network sees, and latents back to frames.

Input: `Clip`s (F, 3, H, W) in [-1, 1] and prompts. Output: `LatentClip`s on the CPU in float32
(latents, the same for the same clip, and prompt embeddings), and frames from latents, by the base's
own encoders. Results are ordinary tensors, also where the caller runs under inference_mode.

Where it is computed: on the accelerator if the network or the encoders are on one. Encoders that
lie elsewhere (after `release_encoders`) come for the call and go back. Everything is encoded once,
so that a run is: encode, release, train; previews decode without a thought for where the VAE is.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..backbones.base import Backbone, check_frames
from ..backbones.files.tensors import open_tensors, write_tensors
from ..errors import FormatError, MotionError
from ..types import Clip, LatentClip

logger = logging.getLogger(__name__)

CACHE_FORMAT = "1"
# What a configuration says about where it comes from, not about what is computed.
_NOT_COMPUTED = ("transformers_version", "dtype", "torch_dtype", "architectures")


def encode_clip(backbone: Backbone, clip: Clip, cache: Path | None = None) -> LatentClip:
    """One clip; see `encode_clips`."""
    return encode_clips(backbone, [clip], cache)[0]


@torch.inference_mode(False)
@torch.no_grad()
def encode_clips(
    backbone: Backbone, clips: Sequence[Clip], cache: Path | None = None
) -> list[LatentClip]:
    """Latents (1, C, F, h, w) and prompt embeddings (1, L, D) of each clip, float32 on the CPU.

    cache: a folder. What was encoded before, from the same pixels and prompt by the same VAE and
    text encoder, is read from there. Raises SettingsError if the backbone does not take so many
    frames, MotionError if the cache cannot be written.
    """
    for clip in clips:
        check_frames(backbone, clip.frames.shape[0])
    encoders = encoders_digest(backbone) if cache is not None else ""
    return [_encode(backbone, clip, cache, encoders) for clip in clips]


@torch.inference_mode(False)
@torch.no_grad()
def encode_prompts(backbone: Backbone, prompts: Sequence[str]) -> Tensor:
    """prompt_embeds (B, L, D), float32 on the CPU."""
    with _on_device([backbone.text.model], working_device(backbone)):
        return backbone.text.encode(prompts).to("cpu", torch.float32)


@torch.inference_mode(False)
@torch.no_grad()
def decode_latents(backbone: Backbone, latents: Tensor) -> Tensor:
    """Frames (F, 3, H, W), float32 in [-1, 1] on the CPU, from scaled latents (1, C, F, h, w)."""
    if latents.ndim != 5 or latents.shape[0] != 1:
        raise MotionError(
            f"latents have shape {tuple(latents.shape)}; expected one clip's, (1, C, F, h, w)."
        )
    encoder = backbone.video_encoder
    with _on_device([encoder.model], working_device(backbone)):
        return encoder.decode(latents)


def release_encoders(backbone: Backbone) -> None:
    """Moves the VAE and the text encoder to main memory for good, where they leave room for
    training.
    """
    _move(_encoders(backbone), torch.device("cpu"))


def working_device(backbone: Backbone) -> torch.device:
    """Where encoding takes place: the UNet's accelerator, else one that an encoder is on, else the
    CPU.
    """
    devices = [_device(part) for part in (backbone.network, *_encoders(backbone))]
    return next((device for device in devices if device.type != "cpu"), devices[0])


def clip_digest(clip: Clip) -> str:
    """sha256 of a clip's pixels, their layout and the prompt, in hex."""
    digest = hashlib.sha256(json.dumps([list(clip.frames.shape), clip.prompt]).encode())
    digest.update(_bytes(clip.frames.to(torch.float32)))
    return digest.hexdigest()


def encoders_digest(backbone: Backbone) -> str:
    """sha256 of all that decides an encoding: weights, precision and configuration of VAE and text
    encoder.

    Every byte counts, so a merged or fine-tuned VAE never gets another one's latents; about a
    second for SD1.5's.
    """
    text = backbone.text
    settings = [
        _settings(backbone.video_encoder.model.config),
        _settings(text.model.config.to_dict()),
        text.pad_token,
    ]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for part in _encoders(backbone):
        for name, tensor in part.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(_bytes(tensor))
    return digest.hexdigest()


def _encode(backbone: Backbone, clip: Clip, cache: Path | None, encoders: str) -> LatentClip:
    digest = clip_digest(clip)
    key = hashlib.sha256(f"{digest} {encoders}".encode()).hexdigest()
    path = None if cache is None else cache / f"{key}.safetensors"
    tensors = _read_cache(path, key) if path is not None else None
    if tensors is None:
        tensors = {
            "latents": _encode_frames(backbone, clip.frames),
            "prompt_embeds": encode_prompts(backbone, [clip.prompt]),
        }
        if path is not None:
            header = {"motion_latents": json.dumps(_cache_header(key))}
            write_tensors(path, tensors, header)
    return LatentClip(
        latents=tensors["latents"],
        prompt_embeds=tensors["prompt_embeds"],
        prompt=clip.prompt,
        fps=clip.fps,
        digest=digest,
        source=clip.source,
        video=clip.video,
    )


def _encode_frames(backbone: Backbone, frames: Tensor) -> Tensor:
    encoder = backbone.video_encoder
    with _on_device([encoder.model], working_device(backbone)):
        return encoder.encode(frames)


def _read_cache(path: Path, key: str) -> dict[str, Tensor] | None:
    """The cached tensors; None if there are none, or if the file is damaged and has to be made
    again.
    """
    if not path.is_file():
        return None
    try:
        file = open_tensors(path)
        if json.loads(file.metadata["motion_latents"]) != _cache_header(key):
            raise FormatError("it was saved by another version")
        # Cloned, because a tensor that is mapped from the file would change with it.
        return {name: file.read(name).clone() for name in ("latents", "prompt_embeds")}
    except (FormatError, SafetensorError, KeyError, ValueError) as error:
        logger.warning("Encoding again: the cached %s cannot be used (%s)", path.name, error)
        return None


def _cache_header(key: str) -> dict[str, str]:
    return {"format_version": CACHE_FORMAT, "key": key}


def _settings(config: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in config.items()
        if name not in _NOT_COMPUTED and not name.startswith("_")
    }


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _encoders(backbone: Backbone) -> tuple[nn.Module, nn.Module]:
    return backbone.video_encoder.model, backbone.text.model


@contextmanager
def _on_device(parts: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    homes = [_device(part) for part in parts]
    try:
        _move(parts, device)
        yield
    finally:
        for part, home in zip(parts, homes, strict=True):
            _move([part], home)


def _move(parts: Sequence[nn.Module], device: torch.device) -> None:
    """Moves what is not there yet, and gives freed accelerator memory back, which others may
    need.
    """
    left = {_device(part).type for part in parts if _device(part) != device}
    for part in parts:
        if _device(part) != device:
            part.to(device)
    if "cuda" in left:
        torch.cuda.empty_cache()


def _device(part: nn.Module) -> torch.device:
    return next(part.parameters()).device
