"""The same motion module, motion and noise in AnimateDiff-Evolved and in this pack: one video.

At full size, as AnimateDiff-Evolved knows no other, with random weights: an SD1.5 UNet and motion
modules of v1, v2 and v3, 4 frames of 8x8 latents. Needs about 13 GB of memory, and AnimateDiff-
Evolved's folder in COMFYUI_EVOLVED_PATH. Its motion LoRA loader is given files that this pack has
written.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import comfy.supported_models
import folder_paths
import pytest
import torch
from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from diffusers import MotionAdapter
from motion_adapters.nodes.adapter_forms import ConvertMotionAdapter
from motion_adapters.nodes.apply import ApplyMotionToAnimateDiff, ApplyMotionToAnimateDiffEvolved
from motion_adapters.nodes.comfy_models.animatediff import EVOLVED
from motion_adapters.nodes.host.folders import register_folders
from torch import Tensor, nn

import nodes
from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.adapter_files.own import AdapterInfo, load_adapter, save_adapter
from motion_core.adapters.base import Adapter
from motion_core.adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from motion_core.adapters.embedding.sites import embedding_sites
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.files.keys import motion_keys
from motion_core.backbones.files.loading import build_empty, gather
from motion_core.backbones.files.tensors import write_tensors
from motion_core.backbones.temporal import temporal_linear_names
from motion_core.diffusion.encoding import encode_clip
from motion_core.errors import AdapterError
from motion_core.methods.motion_director import MotionDirector
from motion_core.shape_world.renderer import reference_scene, render
from motion_core.training.settings import TrainSettings
from motion_core.training.trainer import train
from motion_core.video.clips import clips_from_frames
from motion_core.video.settings import ClipSettings
from tests.comfyui.inside.called import called
from tests.comfyui.inside.full_size import SD15_UNET, drawn
from tests.test_fullsize import animatediff

FRAMES, STEPS, SEED = 4, 2, 5
MODULE, LORA = "random_v3.safetensors", "random_motion.safetensors"

pytestmark = [pytest.mark.fullsize, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module", autouse=True)
def evolved() -> ModuleType:
    """AnimateDiff-Evolved, imported as ComfyUI imports packs."""
    given = os.environ.get("COMFYUI_EVOLVED_PATH", "")
    if not (Path(given) / "__init__.py").is_file() or not given:
        pytest.fail("Set COMFYUI_EVOLVED_PATH to AnimateDiff-Evolved's folder.")
    name = "animatediff_evolved"
    spec = importlib.util.spec_from_file_location(
        name, Path(given) / "__init__.py", submodule_search_locations=[given]
    )
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def layers() -> MotionAdapter:
    """A v3 motion module without memory for its weights: names and shapes."""
    return build_empty(lambda: MotionAdapter(use_motion_mid_block=False))


@pytest.fixture(scope="module", autouse=True)
def files(layers: MotionAdapter, comfy_base: Path) -> None:
    """The motion module, and a motion trained on it, where the loaders look."""
    register_folders()
    for key in ("animatediff_models", "animatediff_motion_lora"):
        (comfy_base / "models" / key).mkdir(parents=True, exist_ok=True)
    save_module(comfy_base, MODULE, MotionAdapter(use_motion_mid_block=False))
    motion = a_motion({"temporal": a_lora(layers)})
    path = comfy_base / "models" / "animatediff_motion_lora" / LORA
    save_adapter(path, motion.adapters, motion.info)


def save_module(comfy_base: Path, name: str, modules: MotionAdapter) -> None:
    """With random weights, in the authors' form."""
    randomise(modules, seed=1)
    tensors = gather(modules, motion_keys(modules.state_dict()))
    halved = {key: tensor.half() for key, tensor in tensors.items()}
    write_tensors(comfy_base / "models" / "animatediff_models" / name, halved, {})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LoadedAdapter:
    """MotionDirector's motion after two steps, at a rate at which they show, on a base of this size
    and a clip of as many frames.
    """
    backbone = animatediff()
    frames = torch.from_numpy(render(reference_scene("zigzag")))
    size = ClipSettings(frames=FRAMES, width=64, height=64)
    clip = encode_clip(backbone, clips_from_frames(frames, 8.0, "a red circle", size)[0])
    settings = TrainSettings(steps=2, learning_rate=0.02, precision="bf16", save_every=0)
    result = train(backbone, [clip], MotionDirector(), settings, tmp_path_factory.mktemp("run"))
    return a_motion({"temporal": result.adapters["temporal"]})


@pytest.fixture(scope="module")
def image() -> ModelPatcher:
    config = comfy.supported_models.SD15({**SD15_UNET, "dtype": torch.float32})
    model = BaseModel(config, device=torch.device("cpu"))
    randomise(model.diffusion_model, seed=0)
    return ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


@torch.no_grad()
def randomise(network: nn.Module, seed: int) -> None:
    for name, tensor in drawn(network, seed):
        network.get_parameter(name).copy_(tensor)


def a_lora(layers: MotionAdapter) -> LoraAdapter:
    """On the finest level, which is narrow: ComfyUI keeps whole matrices of every layer."""
    rng = torch.Generator().manual_seed(2)
    pairs = {}
    for name in temporal_linear_names(layers):
        if not name.startswith(("down_blocks.0.", "up_blocks.3.")):
            continue
        rows, columns = layers.get_parameter(f"{name}.weight").shape
        down = torch.randn(4, columns, generator=rng) / columns**0.5
        pairs[name] = LoraPair(down, 0.3 * torch.randn(rows, 4, generator=rng))
    return LoraAdapter(scope="temporal", family="animatediff", pairs=pairs)


def some_weights(layers: MotionAdapter) -> WeightsAdapter:
    """All parameters of one motion module."""
    rng = torch.Generator().manual_seed(3)
    deltas = {
        name: 0.03 * torch.randn(parameter.shape, generator=rng)
        for name, parameter in layers.named_parameters()
        if name.startswith("up_blocks.1.motion_modules.2.")
    }
    return WeightsAdapter(scope="temporal", family="animatediff", deltas=deltas)


def an_embedding(layers: MotionAdapter) -> EmbeddingAdapter:
    """On all blocks, learned at twice the height and for as many frames."""
    rng = torch.Generator().manual_seed(4)
    blocks = {}
    for site in embedding_sites(layers):
        height, width = site.positions(16, 8)
        qk = torch.randn(1, 1, FRAMES, site.channels, generator=rng)
        v1, v2 = torch.randn(2, height, width, FRAMES, site.channels, generator=rng)
        blocks[site.name] = BlockEmbedding(qk, v1, v2)
    return EmbeddingAdapter(family="animatediff", blocks=blocks)


def a_motion(adapters: Mapping[str, Adapter]) -> LoadedAdapter:
    info = AdapterInfo(
        method="motion_director",
        settings={},
        parametrisation="lora",
        family="animatediff",
        version="animatediff-sd15-v3",
        rank=4,
        sites=(),
        frames=16,
        width=512,
        height=512,
        fps=8.0,
        prompts=("a car turns",),
        steps=1,
        reference_hash="",
        licence="",
        package_version="",
        shown=tuple(adapters),
    )
    return LoadedAdapter(name="turn", info=info, adapters=adapters)


def in_evolved(
    evolved: ModuleType, image: ModelPatcher, lora: str | None = None, module: str = MODULE
) -> ModelPatcher:
    """Through AnimateDiff-Evolved's own nodes; lora: by its own LoRA loader."""
    classes = evolved.NODE_CLASS_MAPPINGS
    motion_lora = None
    if lora is not None:
        loader = classes["ADE_AnimateDiffLoRALoader"]()
        (motion_lora,) = loader.load_motion_lora(lora, 0.8)
    loader = classes["ADE_AnimateDiffLoaderGen1"]()
    (model,) = loader.load_mm_and_inject_params(
        image, module, "autoselect", motion_lora=motion_lora
    )
    # As ComfyUI leaves every weight that it has patched: with another flag torch rounds otherwise.
    for motion_model in model.get_additional_models_with_key(EVOLVED):
        motion_model.model.requires_grad_(False)
    return model


def in_evolved_by_us(model: ModelPatcher, motion: LoadedAdapter) -> ModelPatcher:
    return ApplyMotionToAnimateDiffEvolved.execute(
        model=model, adapters=(motion,), temporal_strength=0.8, spatial_strength=1.0
    ).args[0]


def native(image: ModelPatcher, *motions: LoadedAdapter, module: str = MODULE) -> ModelPatcher:
    return ApplyMotionToAnimateDiff.execute(
        model=image,
        motion_module=module,
        temporal_strength=0.8,
        spatial_strength=1.0,
        end_percent=1.0,
        beta_schedule="auto",
        adapters=motions,
    ).args[0]


@torch.inference_mode()
def sampled(model: ModelPatcher) -> Tensor:
    """(F, 4, 8, 8) from KSampler without guidance."""
    prompt = torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(6))
    conditioning: Any = [[prompt, {}]]
    latent = {"samples": torch.zeros(FRAMES, 4, 8, 8)}
    (result,) = nodes.KSampler().sample(
        model, SEED, STEPS, 1.0, "euler", "simple", conditioning, conditioning, latent
    )
    return result["samples"]


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.fixture(scope="module")
def theirs(evolved: ModuleType, image: ModelPatcher) -> Iterator[ModelPatcher]:
    yield in_evolved(evolved, image)


@pytest.fixture(scope="module")
def without_motion(theirs: ModelPatcher) -> Tensor:
    return sampled(theirs)


def test_the_motion_module_is_theirs(image: ModelPatcher, without_motion: Tensor) -> None:
    assert relative(sampled(native(image)), without_motion) < 1e-3
    assert relative(sampled(image), without_motion) > 0.05


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_motion_modules_of_other_versions_are_theirs(
    evolved: ModuleType, image: ModelPatcher, comfy_base: Path, version: str
) -> None:
    """v1's positions are 24 and its norms take all frames together; v2 has a middle module. The
    given MODEL is left as it was, bit for bit.
    """
    parts = {
        "v1": {"use_motion_mid_block": False, "motion_max_seq_length": 24},
        "v2": {"use_motion_mid_block": True},
    }
    module, plain = f"random_{version}.safetensors", sampled(image)
    save_module(comfy_base, module, MotionAdapter(**parts[version]))
    theirs = sampled(in_evolved(evolved, image, module=module))
    assert relative(sampled(native(image, module=module)), theirs) < 1e-3
    assert torch.equal(sampled(image), plain)
    assert relative(plain, theirs) > 0.05


def saved_motion(request: pytest.FixtureRequest) -> tuple[str, LoadedAdapter]:
    """One of this pack's own files, which has AnimateDiff's names."""
    path = folder_paths.get_full_path("animatediff_motion_lora", LORA)
    info, adapters = load_adapter(Path(path))
    return LORA, LoadedAdapter(name="turn", info=info, adapters=adapters)


def converted_motion(request: pytest.FixtureRequest) -> tuple[str, LoadedAdapter]:
    """What was trained, and Convert's file of it."""
    motion = request.getfixturevalue("trained")
    to = {"to": "AnimateDiff motion LoRA", "name": "trained", "replace": True}
    file = called(ConvertMotionAdapter, motions=(motion,), to=to, rank=4).args[1]
    return Path(file).name, motion


@pytest.mark.parametrize("make", [saved_motion, converted_motion])
def test_a_file_by_their_loader_and_by_both_nodes(
    evolved: ModuleType,
    image: ModelPatcher,
    theirs: ModelPatcher,
    without_motion: Tensor,
    request: pytest.FixtureRequest,
    make: Any,
) -> None:
    """Bit for bit in AnimateDiff-Evolved, as the weights are; the given MODEL stays as it was."""
    file, motion = make(request)
    loaded = sampled(in_evolved(evolved, image, file))
    assert torch.equal(sampled(in_evolved_by_us(theirs, motion)), loaded)
    assert relative(sampled(native(image, motion)), loaded) < 1e-3
    assert relative(loaded, without_motion) > 0.01
    assert torch.equal(sampled(theirs), without_motion)


@pytest.mark.parametrize("make", [some_weights, an_embedding])
def test_what_their_loader_cannot_read(
    image: ModelPatcher,
    theirs: ModelPatcher,
    without_motion: Tensor,
    layers: MotionAdapter,
    make: Any,
) -> None:
    motion = a_motion({"temporal": make(layers)})
    by_us = sampled(in_evolved_by_us(theirs, motion))
    assert relative(by_us, sampled(native(image, motion))) < 1e-3
    assert relative(by_us, without_motion) > 0.01
    assert torch.equal(sampled(theirs), without_motion)


def test_what_does_not_fit_is_refused(theirs: ModelPatcher, image: ModelPatcher) -> None:
    odd = {"mid_block.motion_modules.0.proj_in": LoraPair(torch.ones(1, 1280), torch.ones(1280, 1))}
    lora = LoraAdapter(scope="temporal", family="animatediff", pairs=odd)
    with pytest.raises(AdapterError, match="1 of the adapter's 1 layers"):
        in_evolved_by_us(theirs, a_motion({"temporal": lora}))
    with pytest.raises(AdapterError, match="motion modules from AnimateDiff-Evolved"):
        native(theirs)
