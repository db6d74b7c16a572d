"""What MoTrans has to know of its clips before it trains: how they look, and which verb they show.

In: encoded clips. Out: a `KnownClip` for each. Paper: see `motrans`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...adapters.verb.adapter import verb_embed
from ...adapters.verb.tokens import VerbTokens, verb_tokens
from ...backbones.base import Backbone
from ...errors import ClipError
from ...types import LatentClip
from .clip_embeds import image_embeds, recaption_embeds

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class KnownClip:
    """What the method knows of a clip. appearance: its spatial LoRA. recaption_embeds: (1, L, D).
    frame_embeds: ψ(f) (F, V), and video_embed (V,) their mean; verb: in its prompt, and verb_embed
    (D,) there. These are None of images, and where no part of the method asks for them.
    """

    appearance: str
    is_image: bool
    recaption_embeds: Tensor
    frame_embeds: Tensor | None
    video_embed: Tensor | None
    verb: VerbTokens | None
    verb_embed: Tensor | None


def known_clips(
    backbone: Backbone,
    clips: Sequence[LatentClip],
    appearances: Sequence[str],
    *,
    recaptions: Sequence[str],
    recaptioner: str | None,
    image_encoder: str | None,
    needs_images: bool,
    needs_verb: bool,
    verb: str | None,
    rng: torch.Generator,
) -> list[KnownClip]:
    """All that is known of the clips before training.

    recaptions, recaptioner, image_encoder, verb: as in `MoTransSettings`. Raises ClipError where a
    video's prompt has no verb, and as `image_embeds` and `recaption_embeds` do.
    """
    verbs = [
        _verb(backbone, clip, verb) if needs_verb and not clip.is_image else None for clip in clips
    ]
    videos = [clip for clip in clips if not clip.is_image]
    seen = iter(image_embeds(backbone, videos, image_encoder) if needs_images and videos else [])
    recaptioned = recaption_embeds(backbone, clips, appearances, recaptions, recaptioner, rng)
    known = []
    for clip, name, found, embeds in zip(clips, appearances, verbs, recaptioned, strict=True):
        frames = None if clip.is_image else next(seen, None)
        known.append(
            KnownClip(
                appearance=name,
                is_image=clip.is_image,
                recaption_embeds=embeds,
                frame_embeds=frames,
                video_embed=None if frames is None else frames.mean(0),
                verb=found,
                verb_embed=verb_embed(clip.prompt_embeds[0], found.positions) if found else None,
            )
        )
    return known


def _verb(backbone: Backbone, clip: LatentClip, given: str | None) -> VerbTokens:
    verb = verb_tokens(backbone.text, clip.prompt, given)
    if verb is None:
        lacks = f"does not contain the verb {given!r}" if given else "has no recognisable verb"
        raise ClipError(
            f"The prompt of {clip.source}, {clip.prompt!r}, {lacks}. Set verb to the motion's "
            "verb as written in the prompt, or set enhancer to 'none'."
        )
    logger.info("The verb of %s is %r.", clip.source, verb.text)
    return verb
