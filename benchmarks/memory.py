"""Peak memory of MotionCrafter's two branches beside MotionDirector's temporal pass.

`python -m benchmarks.memory` writes benchmarks/memory.json in about two minutes on two cores. Each
row is a process of its own: shape world's base at 192x192 and 16 frames, two optimiser
steps, no checkpointing, so that activations dominate. The figure is the highest resident set of the
process less what was resident before the method was attached: adapters, optimiser state, gradients
and activations, but neither the base nor the libraries.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.optim import AdamW

from motion_core.backbones.frozen import frozen_base
from motion_core.bases import load_base
from motion_core.diffusion.encoding import encode_prompts
from motion_core.methods.base import Method
from motion_core.methods.motion_crafter import MotionCrafter, MotionCrafterSettings
from motion_core.methods.motion_director import MotionDirector, MotionDirectorSettings
from motion_core.types import Batch, LatentClip

FRAMES, LATENT_SIZE, STEPS = 16, 24, 2
PROMPT = "a red circle zigzagging on a checkered background"
BASES = ("shape-world-animatediff", "shape-world-zeroscope")
REFERENCE = "motion_director, temporal pass"
LIMIT = 1.15

# Without its spatial LoRA MotionDirector's step is its temporal pass alone, at its smallest.
METHODS: Mapping[str, Method] = {
    REFERENCE: MotionDirector(MotionDirectorSettings(dropout=0.0, spatial_dropout_p=1.0)),
    "motion_crafter, deep": MotionCrafter(MotionCrafterSettings(templates="shapes")),
    "motion_crafter, all": MotionCrafter(MotionCrafterSettings(templates="shapes", blocks="all")),
    "motion_crafter, lora, all": MotionCrafter(
        MotionCrafterSettings(templates="shapes", blocks="all", parametrisation="lora")
    ),
}


def measure(base: str, method: str) -> int:
    """Bytes that two training steps add to the process at most."""
    backbone, rng = load_base(base), torch.Generator().manual_seed(0)
    clip = LatentClip(
        latents=torch.randn(1, 4, FRAMES, LATENT_SIZE, LATENT_SIZE, generator=rng),
        prompt_embeds=encode_prompts(backbone, [PROMPT]),
        prompt=PROMPT,
        fps=8.0,
        digest="random",
        source="random latents",
    )
    before = psutil.Process().memory_info().rss
    with (
        frozen_base(backbone.network, torch.float32),
        METHODS[method].attach(backbone, [clip], rng) as attached,
    ):
        optimisers = {n: AdamW(g.parameters, lr=1e-5) for n, g in attached.groups.items()}
        for step in range(STEPS):
            batch = Batch(
                latents=clip.latents, prompt_embeds=clip.prompt_embeds, clip_index=0, step=step
            )
            for term in attached.passes(batch, rng):
                term.value.backward(inputs=list(attached.groups[term.group].parameters))
                optimisers[term.group].step()
                optimisers[term.group].zero_grad(set_to_none=True)
    return _peak_bytes() - before


def in_own_process(base: str, method: str) -> int:
    """`measure`, where nothing else has been resident before."""
    command = [sys.executable, "-m", "benchmarks.memory", "--measure", base, method]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def table() -> list[dict[str, Any]]:
    """A row for each base and method. ratio: to the temporal pass of MotionDirector on that
    base.
    """
    rows = []
    for base in BASES:
        peaks = {method: in_own_process(base, method) for method in METHODS}
        for method, peak in peaks.items():
            ratio = peak / peaks[REFERENCE]
            rows.append(
                {
                    "base": base,
                    "method": method,
                    "peak_mib": round(peak / 2**20, 1),
                    "ratio": round(ratio, 3),
                    "at_most_15_percent_more": ratio <= LIMIT,
                }
            )
            sys.stderr.write(f"{base}, {method}: {peak / 2**20:.0f} MiB, {ratio:.2f}\n")
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--measure", nargs=2, metavar=("BASE", "METHOD"), help="one figure, bytes")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        sys.stdout.write(f"{measure(*chosen.measure)}\n")
        return
    results = {
        "command": "python -m benchmarks.memory",
        "size": f"{LATENT_SIZE * 8}x{LATENT_SIZE * 8}, {FRAMES} frames, batch 1, float32",
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": str(torch.__version__),
        "rows": table(),
    }
    chosen.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _peak_bytes() -> int:
    """The highest resident set so far, as Linux counts it (KiB) or macOS (bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
