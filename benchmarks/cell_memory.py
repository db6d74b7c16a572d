"""What a training step keeps for each cell of the latents, at full size, without a GPU.

`python -m benchmarks.cell_memory` writes benchmarks/cell_memory.json in about three minutes on one
core. The tensors are torch's meta tensors, which have a shape and no numbers: a step of
MotionDirector's temporal pass (rank 32, 16 frames) runs through the real UNet, and every tensor is
counted from where torch makes it to where it frees it. The figure is the most bytes that are alive
at once beside weights, gradients and optimiser, over the number of cells (an eighth of the pixels'
width and height, every frame). Attention and dropout are those that run on CUDA, which never keep
an attention matrix and keep a byte for each number that dropout passes. What a library takes for
itself (cuDNN's workspace, the allocator's gaps) is not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from torch import nn

from benchmarks.step_cost.counting import Peak
from benchmarks.step_cost.cuda import as_on_cuda
from benchmarks.step_cost.networks import PROMPT_TOKENS, PROMPT_WIDTH, full_size_unet
from motion_core.adapters.base import Scope
from motion_core.adapters.lora.training import trainable_lora
from motion_core.backbones.base import Family, Keeps
from motion_core.backbones.checkpointing import training_passes
from motion_core.backbones.temporal import spatial_linear_names, temporal_linear_names
from motion_core.methods.losses import debiased_mse, mse

FRAMES, RANK, DROPOUT = 16, 32, 0.1


class Case(NamedTuple):
    """A row of the table. size: of the square video, in pixels."""

    family: Family
    dtype: torch.dtype
    keeps: Keeps
    size: int

    @property
    def cells(self) -> int:
        return FRAMES * (self.size // 8) ** 2


CASES = [
    Case(family, dtype, keeps, size)
    for family in ("animatediff", "zeroscope")
    for dtype in (torch.bfloat16, torch.float32)
    for keeps in get_args(Keeps)
    for size in (256, 512)
    if size == 256 or (dtype is torch.bfloat16 and keeps != "all")
]


def bytes_per_cell(case: Case) -> float:
    """What a step's tensors take at most for each cell, beside weights and what is trained."""
    unet = full_size_unet(case.family, case.dtype)
    latent, per_frame = (1, 4, FRAMES, case.size // 8, case.size // 8), 1
    if case.family == "animatediff":
        per_frame = FRAMES  # prompts, as UNetMotionModel wants them
    with ExitStack() as stack:
        trained = stack.enter_context(_loras_in_place(unet, case.family))
        stack.enter_context(training_passes(unet, case.keeps))
        stack.enter_context(as_on_cuda())
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        peak = stack.enter_context(Peak([*unet.parameters(), *gradients]))
        with torch.device("meta"):
            latents = torch.empty(latent, dtype=case.dtype)
            prompt_embeds = torch.empty(
                per_frame, PROMPT_TOKENS, PROMPT_WIDTH[case.family], dtype=case.dtype
            )
            timesteps, anchors = torch.zeros(2, 1, dtype=torch.int64)
            pred = unet(latents, timesteps, prompt_embeds, return_dict=False)[0]
            target = torch.empty(latent)
        loss = mse(pred, target) + debiased_mse(pred, target, anchors, 1.0)
        loss.backward(inputs=trained)
    return peak.most / case.cells


@contextmanager
def _loras_in_place(unet: nn.Module, family: Family) -> Iterator[list[nn.Parameter]]:
    """The temporal LoRA, which is trained and has its gradients, and the frozen spatial one."""
    sites: dict[Scope, list[str]] = {
        "temporal": temporal_linear_names(unet),
        "spatial": spatial_linear_names(unet),
    }
    rng = torch.Generator().manual_seed(0)
    with ExitStack() as stack:
        loras = {
            scope: stack.enter_context(
                trainable_lora(
                    unet,
                    scope,
                    linears,
                    scope=scope,
                    family=family,
                    rank=RANK,
                    alpha=RANK,
                    dropout=DROPOUT,
                    rng=rng,
                )
            )
            for scope, linears in sites.items()
        }
        for lora in loras.values():
            stack.enter_context(lora.active())
        for parameter in loras["spatial"].parameters:
            parameter.requires_grad_(False)
        for parameter in loras["temporal"].parameters:
            parameter.grad = torch.empty_like(parameter)
        yield loras["temporal"].parameters


def row(case: Case) -> dict[str, Any]:
    """A line of the table; also said on stderr."""
    counted = bytes_per_cell(case)
    line = {
        "family": case.family,
        "precision": {torch.bfloat16: "bf16", torch.float32: "fp32"}[case.dtype],
        "keeps": case.keeps,
        "size": f"{FRAMES} frames of {case.size}x{case.size}",
        "bytes_per_cell": round(counted),
        "gib": round(counted * case.cells / 2**30, 2),
    }
    sys.stderr.write(f"{json.dumps(line)}\n")
    return line


def main(arguments: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    chosen = parser.parse_args(arguments)
    results = {
        "command": "python -m benchmarks.cell_memory",
        "torch": str(torch.__version__),
        "rows": [row(case) for case in CASES],
    }
    chosen.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
