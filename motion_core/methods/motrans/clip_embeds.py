"""What a method knows of its clips' appearance: a fuller prompt, and how an image encoder sees each
frame.

In: encoded clips. Out: embeddings of the recaptioned prompts, and image embeddings. Models that are
needed for it are loaded here and let go again. They see the frames that the latents stand for.

Deviation: MoTrans (ACM MM 2024) shows them the clip's own frames. A run gets clips encoded, and a
VAE's small losses are none of looks; whoever has better embeddings hands them in with the clip.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...backbones.base import Backbone
from ...backbones.files.image_encoders import image_encoder_for
from ...diffusion.encoding import decode_latents, encode_prompts, working_device
from ...errors import ClipError, SettingsError
from ...types import LatentClip
from ..recaption import load_recaptioner

logger = logging.getLogger(__name__)


def image_embeds(
    backbone: Backbone, clips: Sequence[LatentClip], encoder: str | None
) -> list[Tensor]:
    """(F, V) of each clip, float32 on the CPU: those that it carries, else the encoder's.

    encoder: path of an open_clip file, None for the base's own. Raises SettingsError if there is
    none, ClipError if embeddings do not fit their clip or one another.
    """
    embeds = [clip.image_embeds for clip in clips]
    if any(embed is None for embed in embeds):
        model = image_encoder_for(backbone, encoder, working_device(backbone))
        embeds = [
            model.embed(decode_latents(backbone, clip.latents)) if embed is None else embed
            for clip, embed in zip(clips, embeds, strict=True)
        ]
    made = [embed.to("cpu", torch.float32) for embed in embeds if embed is not None]
    for clip, embed in zip(clips, made, strict=True):
        wanted = (clip.latents.shape[2], made[0].shape[-1])
        if tuple(embed.shape) != wanted:
            raise ClipError(
                f"{clip.source} has image embeddings of shape {tuple(embed.shape)}; expected "
                f"{wanted}, one per frame and all of the same width. Use the same image encoder "
                "for all clips."
            )
    return made


def recaption_embeds(
    backbone: Backbone,
    clips: Sequence[LatentClip],
    appearances: Sequence[str],
    recaptions: Sequence[str],
    recaptioner: str | None,
    rng: torch.Generator,
) -> list[Tensor]:
    """(1, L, D) of each clip, float32 on the CPU: its recaption's, or its own prompt's without one.

    appearances: which one each clip shows. recaptions: one for all, one for each in their order, or
    none. recaptioner: folder of a model that makes them by a random frame if none are given.
    Raises SettingsError for another number of them.
    """
    firsts = {name: index for index, name in reversed(list(enumerate(appearances)))}
    names = list(dict.fromkeys(appearances))
    if len(recaptions) not in (0, 1, len(names)):
        raise SettingsError(
            f"There are {len(recaptions)} recaptions for {len(names)} videos. Give one for all, "
            "or one each in order."
        )
    if not recaptions and recaptioner:
        recaptions = _made(backbone, [clips[firsts[name]] for name in names], recaptioner, rng)
    if not recaptions:
        logger.info("No recaption was given: appearance is trained with the clip's own prompt.")
        return [clip.prompt_embeds for clip in clips]
    each = recaptions if len(recaptions) > 1 else [*recaptions] * len(names)
    embeds = {
        name: encode_prompts(backbone, [text]) for name, text in zip(names, each, strict=True)
    }
    return [embeds[name] for name in appearances]


def _made(
    backbone: Backbone, clips: Sequence[LatentClip], folder: str, rng: torch.Generator
) -> list[str]:
    """A recaption of each clip, by one random frame."""
    model = load_recaptioner(Path(folder), working_device(backbone))
    texts = []
    for clip in clips:
        index = int(torch.randint(clip.latents.shape[2], (), generator=rng))
        frame = decode_latents(backbone, clip.latents[:, :, index : index + 1])[0]
        texts.append(model.recaption(frame, clip.prompt))
        logger.info("Recaption of %s: %s", clip.source, texts[-1])
    return texts
