"""Trains the tiny open_clip model (text and image towers) on frames and captions, contrastively.

Source of the loss: Radford et al. 2021, symmetric cross-entropy over the batch's similarities.
"""

from __future__ import annotations

import logging
import time

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer

from motion_core.shape_world.clip_model import build_clip

from .data import image_batch, training_caption
from .schedule import one_cycle

log = logging.getLogger(__name__)

STEPS = 1200
BATCH = 96
LEARNING_RATE = 1e-3


def train_clip(seed: int, tokenizer: SimpleTokenizer) -> tuple[open_clip.CLIP, dict[str, object]]:
    """Returns the trained model and a record of the run; accuracy is of the last 100 batches."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_clip(tokenizer.vocab_size).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    losses: list[float] = []
    hits: list[float] = []
    start = time.monotonic()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * one_cycle(step, STEPS)
        pixels, scenes = image_batch(rng, BATCH)
        tokens = tokenizer([training_caption(scene, rng) for scene in scenes])
        images, texts, scale = model(pixels, tokens)
        logits = scale * images @ texts.T
        labels = torch.arange(BATCH)
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        hits.append((logits.argmax(1) == labels).float().mean().item())
        if step % 100 == 99:
            log.info(
                "clip step %d loss %.3f right %.2f",
                step + 1,
                *(np.mean(v[-100:]) for v in (losses, hits)),
            )
    record = {
        "steps": STEPS,
        "loss": float(np.mean(losses[-100:])),
        "accuracy": float(np.mean(hits[-100:])),
        "seconds": round(time.monotonic() - start),
    }
    return model.eval(), record
