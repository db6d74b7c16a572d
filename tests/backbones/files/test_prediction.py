"""What a Stable Diffusion model says that it predicts, and that its schedule then does.

v = sqrt(ᾱ)·ε − sqrt(1−ᾱ)·z (arXiv 2202.00512, App. D). AnimateDiff's first beta is 0.00085, so
ᾱ_0 = 0.99915.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from motion_core.backbones.animatediff import AnimateDiff, load_animatediff
from motion_core.backbones.files.architecture import as_metadata, own_metadata
from motion_core.backbones.files.tensors import open_tensors
from motion_core.errors import FormatError
from tests.base_files import save_checkpoint, save_motion_module
from tests.tiny import tiny_animatediff, tiny_image_unet


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base as image.safetensors, whose header says no schedule, and motion.safetensors."""
    path, backbone = tmp_path_factory.mktemp("files"), tiny_animatediff()
    save_checkpoint(backbone, path / "whole.safetensors")
    save_motion_module(backbone, path / "motion.safetensors")
    header = dict(own_metadata(open_tensors(path / "whole.safetensors")))
    del header["scheduler"], header["format_version"]
    save_file(
        load_file(path / "whole.safetensors"), path / "image.safetensors", as_metadata(header)
    )
    return path


def changed(files: Path, folder: Path, markers: tuple[str, ...] = (), **metadata: str) -> Path:
    """The checkpoint with markers and entries of the header, as people's files have them."""
    tensors = load_file(files / "image.safetensors")
    tensors |= {name: torch.tensor([]) for name in markers}
    header = {**open_tensors(files / "image.safetensors").metadata, **metadata}
    save_file(tensors, folder / "changed.safetensors", header)
    return folder / "changed.safetensors"


def predicts_v(backbone: AnimateDiff) -> bool:
    """By the schedule's own target of z = 2 and ε = 3 at the first timestep."""
    z, noise = torch.full((1, 4, 1, 1, 1), 2.0), torch.full((1, 4, 1, 1, 1), 3.0)
    target = float(backbone.schedule.target(z, noise, torch.tensor([0]))[0, 0, 0, 0, 0])
    v = 0.99915**0.5 * 3.0 - 0.00085**0.5 * 2.0
    assert target == pytest.approx(3.0) or target == pytest.approx(v, abs=1e-5)
    return target != pytest.approx(3.0, abs=1e-3)


def test_a_plain_checkpoint_predicts_noise(files: Path) -> None:
    assert not predicts_v(
        load_animatediff(files / "image.safetensors", files / "motion.safetensors")
    )


@pytest.mark.parametrize("said", ["v", "v_prediction", "V"])
def test_modelspec(said: str, files: Path, tmp_path: Path) -> None:
    path = changed(files, tmp_path, **{"modelspec.prediction_type": said})
    assert predicts_v(load_animatediff(path, files / "motion.safetensors"))
    path = changed(files, tmp_path, **{"modelspec.prediction_type": "epsilon"})
    assert not predicts_v(load_animatediff(path, files / "motion.safetensors"))


def test_marker_tensors(files: Path, tmp_path: Path) -> None:
    """With ztsnr the last timestep is noise alone, and sampling starts there."""
    path = changed(files, tmp_path, ("v_pred",))
    backbone = load_animatediff(path, files / "motion.safetensors")
    assert predicts_v(backbone)
    assert float(backbone.scheduler.alphas_cumprod[-1]) > 1e-3

    path = changed(files, tmp_path, ("v_pred", "ztsnr"))
    backbone = load_animatediff(path, files / "motion.safetensors")
    assert float(backbone.scheduler.alphas_cumprod[-1]) == 0.0
    assert backbone.schedule.sampler(4).timesteps[0] == 999
    assert backbone.scheduler.config["prediction_type"] == "v_prediction"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Stable Diffusion folder of the tiny base's size, without a scheduler."""
    backbone = tiny_animatediff()
    image = tiny_image_unet()
    image.save_pretrained(tmp_path / "sd" / "unet")
    backbone.vae.save_pretrained(tmp_path / "sd" / "vae")
    backbone.text.model.save_pretrained(tmp_path / "sd" / "text_encoder")
    return tmp_path / "sd"


def schedule(folder: Path, **entries: Any) -> Path:
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(entries))
    return folder


def test_a_folders_scheduler(files: Path, folder: Path) -> None:
    """Betas stay AnimateDiff's, linear: the first is 0.00085."""
    motion = files / "motion.safetensors"
    said = {"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear"}
    assert not predicts_v(load_animatediff(schedule(folder, **said), motion))
    v = load_animatediff(schedule(folder, **said, prediction_type="v_prediction"), motion)
    assert predicts_v(v)
    assert float(v.scheduler.alphas_cumprod[0]) == pytest.approx(1 - 0.00085)
    zero = schedule(folder, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    assert float(load_animatediff(zero, motion).scheduler.alphas_cumprod[-1]) == 0.0


def test_a_folder_that_predicts_something_else(files: Path, folder: Path) -> None:
    with pytest.raises(FormatError, match=r"scheduler_config.json has prediction_type 'sample'"):
        load_animatediff(schedule(folder, prediction_type="sample"), files / "motion.safetensors")


def snapshot(folder: Path, cache: Path, commit: str = "abc") -> Path:
    """The folder as Hugging Face's cache has it."""
    repository = cache / "models--org--sd"
    (repository / "snapshots").mkdir(parents=True, exist_ok=True)
    folder.rename(repository / "snapshots" / commit)
    return repository


def test_a_folder_in_hugging_faces_cache(files: Path, folder: Path, tmp_path: Path) -> None:
    repository = snapshot(schedule(folder, prediction_type="v_prediction"), tmp_path)
    assert predicts_v(load_animatediff(repository, files / "motion.safetensors"))
    (repository / "snapshots" / "later").mkdir()
    with pytest.raises(FormatError, match=r"2 snapshots \(abc, later\)\. Give the folder of one"):
        load_animatediff(repository, files / "motion.safetensors")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc\n")
    assert predicts_v(load_animatediff(repository, files / "motion.safetensors"))


def test_a_unet_in_several_files(files: Path, folder: Path) -> None:
    """As save_pretrained with max_shard_size writes it: each tensor is in one of them."""
    whole = folder / "unet" / "diffusion_pytorch_model.safetensors"
    expected = load_file(whole)
    config = folder / "unet" / "config.json"
    kept = config.read_text()
    image = UNet2DConditionModel.from_pretrained(folder / "unet")
    whole.unlink()
    image.save_pretrained(folder / "unet", max_shard_size="20KB")
    config.write_text(kept)
    shards = sorted((folder / "unet").glob("*-of-*.safetensors"))
    assert len(shards) > 1
    found = load_animatediff(folder, files / "motion.safetensors").network.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())

    shards[0].unlink()
    with pytest.raises(FormatError, match=f"lacks {shards[0].name}, one of the files"):
        load_animatediff(folder, files / "motion.safetensors")


def test_a_folder_of_another_form(files: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="has no folder unet"):
        load_animatediff(tmp_path, files / "motion.safetensors")


def test_a_vae_file_in_diffusers_names(files: Path, folder: Path, tmp_path: Path) -> None:
    """With our header, which says that it has 2 groups."""
    path = tmp_path / "vae.safetensors"
    config = json.loads((folder / "vae" / "config.json").read_text())
    tensors = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    save_file(tensors, path, as_metadata({"vae": config}))
    backbone = load_animatediff(files / "image.safetensors", files / "motion.safetensors", vae=path)
    found = backbone.vae.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_parts_of_another_model(files: Path, folder: Path, tmp_path: Path) -> None:
    """A VAE of 16 channels, as Flux has it, is refused before anything is trained."""
    path = tmp_path / "ae.safetensors"
    save_file({"decoder.conv_in.weight": torch.zeros(8, 16, 3, 3)}, path)
    with pytest.raises(FormatError, match="a VAE whose latents do not have Stable Diffusion's 4"):
        load_animatediff(files / "image.safetensors", files / "motion.safetensors", vae=path)
    config = folder / "vae" / "config.json"
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_in.weight"] = torch.zeros(8, 8, 3, 3)
    tensors["encoder.conv_out.weight"] = torch.zeros(16, 8, 3, 3)
    tensors["encoder.conv_out.bias"] = torch.zeros(16)
    tensors["quant_conv.weight"] = torch.zeros(16, 16, 1, 1)
    tensors["quant_conv.bias"] = torch.zeros(16)
    tensors["post_quant_conv.weight"] = torch.zeros(8, 8, 1, 1)
    tensors["post_quant_conv.bias"] = torch.zeros(8)
    save_file(tensors, weights)
    config.write_text(json.dumps({**json.loads(config.read_text()), "latent_channels": 8}))
    with pytest.raises(FormatError, match="latents have 8 channels, but the UNet takes 4"):
        load_animatediff(folder, files / "motion.safetensors")
