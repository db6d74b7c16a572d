"""Motions on a real server: loaded from its folders, looked into, played, and as noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from PIL import Image, ImageChops

from motion_core.adapter_files.noise_file import NoiseInfo, noise_path, save_noise
from motion_core.adapter_files.own import preview_jpeg, save_adapter
from motion_core.adapters.lora.adapter import LoraAdapter, find_linears
from motion_core.adapters.lora.keys import LoraPair
from motion_core.shape_world.base import load_shape_world
from tests.adapter_files.test_own import an_info
from tests.comfyui.server import Server

FRAMES, SIZE = 4, 64
NODES = (
    "LoadMotionAdapter",
    "SaveMotionAdapter",
    "InspectMotionAdapter",
    "BlendMotions",
    "ConvertMotionAdapter",
    "MotionNoise",
    "SampleMotionVideo",
    "EvaluateMotion",
    "RecaptionFrames",
)


@pytest.fixture(scope="module")
def files(server: Server) -> list[str]:
    """A random motion for shape world in the server's folder, with and without pictures."""
    base = load_shape_world("shape-world-zeroscope")
    rng = torch.Generator().manual_seed(0)
    pairs = {
        name: LoraPair(
            torch.randn(2, layer.in_features, generator=rng) * 0.1,
            torch.randn(layer.out_features, 2, generator=rng) * 0.1,
        )
        for name, layer in find_linears(base.network, base.sites("temporal")).items()
    }
    info = dataclasses.replace(
        an_info("zeroscope"), version=base.version, frames=FRAMES, width=SIZE, height=SIZE
    )
    lora = LoraAdapter(scope="temporal", family="zeroscope", pairs=pairs)
    folder = server.base / "models" / "motion_adapters"
    pictures = {"seen": [preview_jpeg(torch.zeros(3, 32, 32))], "unseen": []}
    for name, previews in pictures.items():
        path = folder / f"{name}.safetensors"
        save_adapter(path, {"temporal": lora}, info, previews)
        latents = torch.randn(1, 4, FRAMES, SIZE // 8, SIZE // 8, generator=rng)
        about = NoiseInfo(
            family="zeroscope", version=base.version, steps=2, prompt="a prompt", digest="0"
        )
        save_noise(noise_path(path), latents, about)
    return [f"{name}.safetensors" for name in pictures]


def node(name: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": name, "inputs": inputs}


def load(name: str, **more: Any) -> dict[str, Any]:
    return node("LoadMotionAdapter", adapter=name, strength=1.0, **more)


def sampled(**more: Any) -> dict[str, Any]:
    inputs = {
        "prompt": "a red circle moving right on a striped background",
        "negative_prompt": "",
        "seed": 1,
        "steps": 2,
        "guidance_scale": 0.0,
        "guidance_rescale": 0.0,
        "frames": FRAMES,
        "width": SIZE,
        "height": SIZE,
        "noise_prior": 0.0,
        "adapter_end": 0.0,
        **more,
    }
    return node("SampleMotionVideo", base=["base", 3], **inputs)


def test_the_nodes_are_there_with_help_on_every_input(server: Server) -> None:
    info = server.get("/object_info")
    for name in NODES:
        assert name in info
        assert info[name]["description"] and info[name]["category"].startswith("motion/")
        for kind in ("required", "optional"):
            for field, spec in info[name]["input"].get(kind, {}).items():
                assert spec[1].get("tooltip"), (name, field)


def test_files_are_listed_as_they_come(server: Server, files: list[str]) -> None:
    listed = server.get("/object_info/LoadMotionAdapter")["LoadMotionAdapter"]["input"]
    options = listed["required"]["adapter"][1]["options"]
    assert set(files) <= set(options) and not any(".noise." in name for name in options)


def test_what_has_no_pictures_is_still_inspected(server: Server, files: list[str]) -> None:
    """What hangs on the pictures does not run then."""
    pictures = {}
    for name in files:
        done = server.run(
            {
                "load": load(name),
                "inspect": node("InspectMotionAdapter", motions=["load", 0]),
                "show": node("PreviewImage", images=["inspect", 1]),
            }
        )
        assert done.error is None
        assert "motion_director (lora, rank 2)" in done.outputs["inspect"]["text"][0]
        pictures[name] = len(done.outputs.get("show", {}).get("images", []))
    assert list(pictures.values()) == [1, 0]


def test_a_motion_plays_and_its_noise_is_a_prior(server: Server, files: list[str]) -> None:
    """Blended to nothing it is the base alone."""
    base = {
        "base": node("SampleMotionBase", base="zeroscope", checkpoint="standard"),
        "load": load(files[0]),
        "half": node(
            "BlendMotions",
            first=["load", 0],
            second=["load", 0],
            blend="both motions",
            first_weight=0.5,
            second_weight=-0.5,
        ),
    }
    shown = {}
    for name, more in (
        ("plain", {}),
        ("motion", {"motions": ["load", 0]}),
        ("prior", {"motions": ["load", 0], "noise_prior": 0.5}),
        ("cancelled out", {"motions": ["half", 0]}),
    ):
        done = server.run(
            {
                **base,
                "sample": sampled(**more),
                "show": node("SaveImage", images=["sample", 0], filename_prefix=name),
            }
        )
        assert done.error is None
        images = done.outputs["show"]["images"]
        assert len(images) == FRAMES
        shown[name] = [Image.open(server.output / image["filename"]) for image in images]
    assert farthest(shown["motion"], shown["plain"]) > 8
    assert farthest(shown["prior"], shown["motion"]) > 8
    assert farthest(shown["cancelled out"], shown["plain"]) <= 1  # rounding of merged weights


def farthest(some: list[Image.Image], others: list[Image.Image]) -> int:
    """The largest difference of a level, of 255."""
    differences = map(ImageChops.difference, some, others)
    return max(high for one in differences for _, high in one.getextrema())


def test_motion_noise_goes_into_a_custom_sampler(server: Server, files: list[str]) -> None:
    prompt = {
        "base": node("SampleMotionBase", base="zeroscope", checkpoint="standard"),
        "load": load(files[0]),
        "noise": node("MotionNoise", motions=["load", 0], noise_prior=0.5, seed=1),
        "words": node("CLIPTextEncode", clip=["base", 1], text="a red circle moving right"),
        "guider": node("BasicGuider", model=["base", 0], conditioning=["words", 0]),
        "sampler": node("KSamplerSelect", sampler_name="ddim"),
        "sigmas": node(
            "BasicScheduler", model=["base", 0], scheduler="ddim_uniform", steps=2, denoise=1.0
        ),
        "latent": node("EmptyLatentImage", width=SIZE, height=SIZE, batch_size=FRAMES),
        "sample": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["base", 2]),
        "show": node("PreviewImage", images=["decode", 0]),
    }
    done = server.run(prompt)
    assert done.error is None
    assert len(done.outputs["show"]["images"]) == FRAMES
    prompt["latent"] = node("EmptyLatentImage", width=SIZE, height=SIZE, batch_size=FRAMES + 1)
    assert "The inverted noise has 4 frames" in str(server.run(prompt).error)
