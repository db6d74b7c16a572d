"""Trains every weight that ships with shape world, from one seed:
`python -m tools.shape_world.pretrain`.

Parts, in the order in which they build on each other: vae, clip, image, personalised, motion,
zeroscope. Each leaves its float32 weights and a record in the work folder, so that one part can be
trained anew; `--part export` turns them into the files that ship (float16, in the full-size
models' own formats).
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file, save_file
from torch import nn

from motion_core.backbones.text import TextEncoder
from motion_core.shape_world import base
from motion_core.shape_world.clip_model import CLIP_FILE, build_clip, text_encoder
from motion_core.shape_world.networks import (
    build_image_unet,
    build_motion_unet,
    build_unet3d,
    build_vae,
)
from motion_core.shape_world.vocabulary import VOCABULARY_FILE, load_tokenizer, write_vocabulary

from .export import (
    export_clip,
    export_image_unet,
    export_motion_module,
    export_unet3d,
    export_vae,
)
from .pretraining.clip import train_clip
from .pretraining.denoiser import DenoiserRun
from .pretraining.latents import LatentSet, draw_scenes, encode_scenes
from .pretraining.unets import (
    train_image_unet,
    train_motion_module,
    train_personalised,
    train_unet3d,
)
from .pretraining.vae import train_vae

CLIPS = 2400
OUTLINED_CLIPS = 1000

Part = Callable[["Workshop"], None]


class Workshop:
    """The work folder of one pretraining: what is there already, and how to make a part."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        write_vocabulary(VOCABULARY_FILE)
        self.tokenizer: SimpleTokenizer = load_tokenizer()

    def keep(self, name: str, module: nn.Module, record: dict[str, object]) -> None:
        tensors = {key: value.contiguous() for key, value in module.state_dict().items()}
        save_file(tensors, self.folder / f"{name}.safetensors")
        (self.folder / f"{name}.json").write_text(json.dumps({"seed": self.seed, **record}))

    def load(self, name: str, module: nn.Module) -> nn.Module:
        module.load_state_dict(load_file(self.folder / f"{name}.safetensors"))
        return module.eval()

    def record(self, name: str) -> dict[str, object]:
        return json.loads((self.folder / f"{name}.json").read_text())

    def vae(self) -> AutoencoderKL:
        vae = build_vae()
        self.load("vae", vae)
        vae.register_to_config(scaling_factor=self.record("vae")["scaling_factor"])
        return vae

    def text(self) -> TextEncoder:
        clip = build_clip(self.tokenizer.vocab_size)
        self.load("clip", clip)
        return text_encoder(clip, self.tokenizer)

    def image_unet(self) -> UNet2DConditionModel:
        unet = build_image_unet()
        self.load("image", unet)
        return unet

    def latents(self, look: str = "solid") -> LatentSet:
        """The training clips of one look, encoded once and kept."""
        scenes = draw_scenes(self.seed, CLIPS if look == "solid" else OUTLINED_CLIPS, look)
        path = self.folder / f"latents-{look}.safetensors"
        if not path.exists():
            save_file({"clips": encode_scenes(self.vae(), scenes)}, path)
        return LatentSet.of(load_file(path)["clips"], scenes)

    def run(self, name: str, steps: int, learning_rate: float) -> DenoiserRun:
        return DenoiserRun(name=name, steps=steps, learning_rate=learning_rate, seed=self.seed)


def make_vae(shop: Workshop) -> None:
    vae, record = train_vae(shop.seed)
    shop.keep("vae", vae, {**record, "scaling_factor": vae.config["scaling_factor"]})


def make_clip(shop: Workshop) -> None:
    shop.keep("clip", *train_clip(shop.seed, shop.tokenizer))


def make_image(shop: Workshop) -> None:
    run = shop.run("image", steps=8000, learning_rate=1e-3)
    shop.keep("image", *train_image_unet(shop.latents(), shop.text(), run))


def make_personalised(shop: Workshop) -> None:
    run = shop.run("personalised", steps=2000, learning_rate=1e-3)
    looks = shop.latents("outlined"), shop.latents("solid")
    shop.keep("personalised", *train_personalised(*looks, shop.text(), run, shop.image_unet()))


def make_motion(shop: Workshop) -> None:
    run = shop.run("motion", steps=4000, learning_rate=1e-3)
    shop.keep("motion", *train_motion_module(shop.latents(), shop.text(), run, shop.image_unet()))


def make_zeroscope(shop: Workshop) -> None:
    run = shop.run("zeroscope", steps=5000, learning_rate=1e-3)
    shop.keep("zeroscope", *train_unet3d(shop.latents(), shop.text(), run, shop.image_unet()))


def export(shop: Workshop) -> None:
    """Writes what ships, from whatever the work folder holds."""
    clip = build_clip(shop.tokenizer.vocab_size)
    motion, video = build_motion_unet(), build_unet3d()
    personalised = build_image_unet()
    export_vae(shop.vae(), base.VAE)
    export_clip(shop.load("clip", clip), CLIP_FILE)
    export_image_unet(shop.image_unet(), base.IMAGE)
    shop.load("personalised", personalised)
    export_image_unet(personalised, base.PERSONALISED)
    shop.load("motion", motion)
    export_motion_module(motion, base.MOTION_MODULE)
    shop.load("zeroscope", video)
    export_unet3d(video, base.VIDEO)
    records = {
        "command": f"python -m tools.shape_world.pretrain --seed {shop.seed}",
        "parts": {name: shop.record(name) for name in PARTS},
    }
    (base.WEIGHTS / "pretraining.json").write_text(json.dumps(records, indent=2) + "\n")


PARTS: dict[str, Part] = {
    "vae": make_vae,
    "clip": make_clip,
    "image": make_image,
    "personalised": make_personalised,
    "motion": make_motion,
    "zeroscope": make_zeroscope,
}


def main(arguments: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.shape_world.pretrain", description=__doc__
    )
    parser.add_argument(
        "--part", choices=[*PARTS, "export", "all"], default="all", help="which network to train"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("out/pretraining"), help="folder for the float32 weights"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice"
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    shop = Workshop(chosen.work, chosen.seed)
    if chosen.part != "export":
        for name in PARTS if chosen.part == "all" else [chosen.part]:
            PARTS[name](shop)
    if chosen.part in ("export", "all"):
        export(shop)


if __name__ == "__main__":
    main()
