"""Shape world's own CLIP: an open_clip model of two small towers, read from the shipped weights.

Its text tower conditions both bases; its image tower serves the metrics and methods that need
image embeddings.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
from open_clip import CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from ..backbones.files.keys import open_clip_keys
from ..backbones.image_encoder import ImageEncoder
from ..backbones.text import TextEncoder
from .vocabulary import load_tokenizer

CONTEXT_LENGTH = 32
WIDTH = 64
IMAGE_SIZE = 64
CLIP_FILE = Path(__file__).parent / "weights" / "clip.safetensors"


def build_clip(vocab_size: int) -> open_clip.CLIP:
    """The untrained model: 64x64 images in patches of 8; 32 tokens of context; two and three
    layers."""
    vision = CLIPVisionCfg(
        layers=2, width=WIDTH, head_width=16, patch_size=8, image_size=IMAGE_SIZE
    )
    text = CLIPTextCfg(
        context_length=CONTEXT_LENGTH, vocab_size=vocab_size, width=WIDTH, heads=4, layers=3
    )
    return open_clip.CLIP(embed_dim=WIDTH, vision_cfg=vision, text_cfg=text)


def load_clip(tokenizer: SimpleTokenizer, path: Path = CLIP_FILE) -> open_clip.CLIP:
    """The trained model in float32, in evaluation mode."""
    model = build_clip(tokenizer.vocab_size)
    model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return model.eval()


def text_encoder(clip: open_clip.CLIP, tokenizer: SimpleTokenizer) -> TextEncoder:
    """The text tower as a transformers model, all layers and the final norm, as Stable Diffusion
    uses its own."""
    config = CLIPTextConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT_LENGTH,
        hidden_act="gelu",
        projection_dim=WIDTH,
        bos_token_id=tokenizer.sot_token_id,
        eos_token_id=tokenizer.eot_token_id,
        pad_token_id=0,
    )
    model = CLIPTextModel(config)
    towers = clip.state_dict()
    state = {}
    for name, (place, *_) in open_clip_keys(model.state_dict()).items():
        tensor = towers[place.key]
        state[name] = tensor if place.third is None else tensor.chunk(3)[place.third]
    model.load_state_dict(state)
    return TextEncoder(model=model.eval(), tokenizer=tokenizer, pad_token=0)


def image_encoder() -> ImageEncoder:
    """The image tower, float32 on the CPU. It was trained on pixels from -1 to 1."""
    clip = load_clip(load_tokenizer())
    return ImageEncoder(
        tower=clip.visual.requires_grad_(False),
        size=IMAGE_SIZE,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
