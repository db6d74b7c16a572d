"""Motions from files and into files, blended and converted, in a real ComfyUI."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import folder_paths
import pytest
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from motion_adapters.nodes.adapter_forms import BOTH, LOOKS, BlendMotions, ConvertMotionAdapter
from motion_adapters.nodes.adapters import (
    AS_SAVED,
    BY_KIND,
    LAST_AS_TRAINED,
    InspectMotionAdapter,
    LoadMotionAdapter,
    SaveMotionAdapter,
)
from motion_adapters.nodes.host.folders import ADAPTERS, MOTION_LORAS, register_folders, save_folder
from motion_adapters.nodes.sockets import adapters_to_apply

from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.adapter_files.lora_files import import_animatediff_lora
from motion_core.adapter_files.noise_file import NoiseInfo, noise_path, save_noise
from motion_core.adapter_files.official_motion_director import zeroscope_layout
from motion_core.adapter_files.other_programs import exported
from motion_core.adapter_files.own import preview_jpeg, save_adapter
from motion_core.adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.files.tensors import open_tensors, write_tensors
from motion_core.backbones.temporal import spatial_linear_names, temporal_linear_names
from motion_core.errors import AdapterError, FormatError, SettingsError
from tests.adapter_files.test_own import adapters, an_info
from tests.comfyui.inside.called import called

LAYER = "mid_block.motion_modules.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module", autouse=True)
def _folders() -> None:
    register_folders()


def noise_info(family: str = "animatediff") -> NoiseInfo:
    return NoiseInfo(family=family, version="x", steps=2, prompt="a prompt", digest="0123")


def motion(name: str = "bicycle", **changed: object) -> LoadedAdapter:
    """MotionDirector's of the tiny AnimateDiff: motion and two videos' looks, noise and a
    picture.
    """
    values: dict[str, object] = {
        "info": dataclasses.replace(an_info(), shown=("temporal",)),
        "adapters": adapters(),
        "inverted": torch.randn(1, 4, 3, 4, 4, generator=torch.Generator().manual_seed(0)),
        "noise": noise_info(),
        "previews": (preview_jpeg(torch.full((3, 64, 32), 1.0)),),
        **changed,
    }
    return LoadedAdapter(name=name, **values)  # type: ignore[arg-type]


def full_weights() -> LoadedAdapter:
    """diag(3, 4) in one layer and 0, 5 in its bias; no looks."""
    deltas = {
        f"{LAYER}.weight": torch.tensor([[3.0, 0.0], [0.0, 4.0]]),
        f"{LAYER}.bias": torch.tensor([0.0, 5.0]),
    }
    weights = WeightsAdapter(scope="temporal", family="animatediff", deltas=deltas)
    info = dataclasses.replace(an_info(), parametrisation="full", rank=None)
    return motion("crafted", info=info, adapters={"temporal": weights})


def saved(what: LoadedAdapter, name: str, folder: str = ADAPTERS) -> str:
    """The file's name in the loaders' lists."""
    inputs = {"folder": folder, "replace": True, "what": LAST_AS_TRAINED}
    return called(SaveMotionAdapter, motions=(what,), name=name, **inputs).args[1]


def loaded(name: str, strength: float = 1.0, **more: object) -> tuple[LoadedAdapter, ...]:
    return called(LoadMotionAdapter, adapter=name, strength=strength, **more).args[0]


def listed() -> list[str]:
    return LoadMotionAdapter.GET_SCHEMA().inputs[0].options  # type: ignore[attr-defined]


def same_tensors(one: LoadedAdapter, other: LoadedAdapter) -> bool:
    mine = {n: a.state_dict() for n, a in one.adapters.items()}
    theirs = {n: a.state_dict() for n, a in other.adapters.items()}
    return mine.keys() == theirs.keys() and all(
        torch.equal(tensor, theirs[name][key])
        for name, tensors in mine.items()
        for key, tensor in tensors.items()
    )


def test_what_is_saved_is_listed_and_loads_the_same() -> None:
    """Noise, its facts, pictures and what plays included; the strength is the loader's."""
    before = motion()
    name = saved(dataclasses.replace(before, strength=0.5), "round trip")
    assert name in listed() and not any("noise" in other for other in listed())
    (after,) = loaded(name, 0.7)
    assert same_tensors(before, after)
    assert after.strength == 0.7 and after.noise == before.noise
    assert after.inverted is not None and torch.equal(after.inverted, before.inverted)
    assert not after.inverted.is_inference()
    assert list(after.previews) == list(before.previews)
    assert [strength for _, strength in adapters_to_apply([after])] == [0.7]


def test_loaders_are_chained_and_a_new_file_changes_the_fingerprint() -> None:
    name = saved(motion(), "chained")
    first = loaded(name)
    stack = loaded(name, -1.0, motions=first)
    assert stack[0] is first[0] and [one.strength for one in stack] == [1.0, -1.0]
    print_before = LoadMotionAdapter.fingerprint_inputs(adapter=name)
    path = save_folder(ADAPTERS) / name
    os.utime(noise_path(path), ns=(1, 1))
    assert LoadMotionAdapter.fingerprint_inputs(adapter=name) != print_before


def test_a_file_is_replaced_only_if_asked_and_old_noise_goes() -> None:
    inputs = {"name": "numbers", "folder": ADAPTERS}
    first = called(SaveMotionAdapter, motions=(motion(),), replace=False, **inputs).args[1]
    second = called(SaveMotionAdapter, motions=(motion(),), replace=False, **inputs).args[1]
    assert (first, second) == ("numbers.safetensors", "numbers-2.safetensors")
    silent = motion(inverted=None, noise=None)
    assert called(SaveMotionAdapter, motions=(silent,), replace=True, **inputs).args[1] == first
    assert loaded(first)[0].inverted is None


def test_a_name_is_given_once_in_both_folders() -> None:
    """A motion LoRA and whole weights, saved under one name, by kind."""
    inputs = {"name": "my motion", "folder": BY_KIND, "replace": False}
    first = called(SaveMotionAdapter, motions=(motion(),), **inputs).args[1]
    second = called(SaveMotionAdapter, motions=(full_weights(),), **inputs).args[1]
    assert (first, second) == ("my motion.safetensors", "my motion-2.safetensors")
    assert (save_folder(ADAPTERS) / second).is_file()
    assert not (save_folder(ADAPTERS) / first).exists()


def test_files_of_one_name_can_both_be_chosen() -> None:
    """As versions before wrote them; the bare name is no one's."""
    whole = saved(full_weights(), "double")
    shutil.copy(
        save_folder(ADAPTERS) / saved(motion(), "single"), save_folder(MOTION_LORAS) / whole
    )
    assert {f"{ADAPTERS}/{whole}", f"{MOTION_LORAS}/{whole}"} <= set(listed())
    assert whole not in listed() and "single.safetensors" in listed()
    (one,), (other,) = loaded(f"{ADAPTERS}/{whole}"), loaded(f"{MOTION_LORAS}/{whole}")
    assert isinstance(one.adapters["temporal"], WeightsAdapter)
    assert isinstance(other.adapters["temporal"], LoraAdapter)
    with pytest.raises(FormatError, match=r"There is no double\.safetensors"):
        loaded(whole)


def test_lists_of_other_packs_are_not_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No extensions are every file to ComfyUI, and stay so in folders that are others'."""
    places = {"LLM": (["/others"], set()), "text2video": (["/others"], {".gguf"})}
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", places)
    for _ in range(2):
        register_folders()
        assert places["LLM"][1] == set() and len(places["LLM"][0]) == 2
        assert {".gguf", ".safetensors"} <= places["text2video"][1]
        assert places[ADAPTERS][1] == {".safetensors", ".sft", ".ckpt", ".pt", ".bin"}


def test_files_go_where_animatediff_evolved_looks_if_it_can_load_them() -> None:
    for what, key in ((motion(), MOTION_LORAS), (full_weights(), ADAPTERS)):
        name = saved(what, f"by kind {key}", BY_KIND)
        assert (Path(folder_paths.models_dir) / key / name).is_file()
        assert loaded(name)[0].info.method == "motion_director"


def test_a_motion_lora_of_animatediff() -> None:
    path = save_folder(MOTION_LORAS) / "zoom.ckpt"
    torch.save({"state_dict": exported(adapters()["temporal"], "animatediff")}, path)
    (zoom,) = loaded("zoom.ckpt")
    assert zoom.info.is_foreign and zoom.info.version == ""
    assert isinstance(zoom.adapters["temporal"], LoraAdapter)
    text = called(InspectMotionAdapter, motions=(zoom,)).args[0]
    assert "the file has no other information about its training" in text


def write_list(path: Path, names: list[str]) -> None:
    """A list as the official MotionDirector writes it, of rank 1."""
    layout, tensors = zeroscope_layout(), []
    for name in names:
        out, width = layout.get_submodule(name).weight.shape
        tensors += [torch.zeros(out, 1), torch.zeros(1, width)]
    path.parent.mkdir(parents=True)
    torch.save(tensors, path)


def test_a_checkpoint_folder_of_the_official_motion_director() -> None:
    folder, layout = save_folder(ADAPTERS) / "checkpoint-150", zeroscope_layout()
    write_list(folder / "temporal" / "lora" / "150_unet.pt", temporal_linear_names(layout))
    write_list(folder / "spatial" / "lora" / "150_unet.pt", spatial_linear_names(layout))
    assert {"checkpoint-150", "checkpoint-150/temporal/lora/150_unet.pt"} <= set(listed())
    (both,) = loaded("checkpoint-150")
    assert set(both.adapters) == {"temporal", "spatial.0"} and both.info.family == "zeroscope"
    assert len(adapters_to_apply([both])) == 1


def embedding() -> LoadedAdapter:
    values = torch.arange(8.0).view(1, 1, 4, 2)
    block = BlockEmbedding(values, values + 1, values + 2)
    name = "mid_block.motion_modules.0.transformer_blocks.0"
    adapter = EmbeddingAdapter(family="animatediff", blocks={name: block})
    return motion("embedded", adapters={"temporal": adapter})


def test_debias_is_for_embeddings_alone() -> None:
    name = saved(embedding(), "embedded")
    assert loaded(name, debias=AS_SAVED)[0].adapters["temporal"].options["debias"] == "difference"
    changed = loaded(name, debias="drop_value")[0]
    assert changed.adapters["temporal"].options["debias"] == "drop_value"
    with pytest.raises(AdapterError, match="contains no motion embedding"):
        loaded(saved(motion(), "no embedding"), debias="none")


def test_noise_of_another_family_and_files_of_another_role_are_refused() -> None:
    path = save_folder(ADAPTERS) / "other.safetensors"
    save_adapter(path, adapters(), an_info())
    save_noise(noise_path(path), torch.zeros(1, 4, 3, 4, 4), noise_info("zeroscope"))
    with pytest.raises(FormatError, match="do not belong together"):
        loaded("other.safetensors")
    write_tensors(
        save_folder(ADAPTERS) / "vae.safetensors",
        {"first_stage_model.decoder.conv_in.weight": torch.zeros(1)},
        {},
    )
    with pytest.raises(FormatError, match="is a VAE, not an adapter"):
        loaded("vae.safetensors")
    with pytest.raises(FormatError, match=r"There is no gone\.safetensors in models"):
        loaded("gone.safetensors")


def test_inspect_says_it_in_words_and_pictures() -> None:
    output = called(InspectMotionAdapter, motions=(motion(), full_weights()))
    text, pictures = output.args
    for expected in (
        "bicycle",
        "motion_director (lora, rank 2), 150 steps",
        "animatediff-sd15-v2 (animatediff), licence creativeml-openrail-m",
        "384x256, 16 frames at 8 fps",
        "a person is riding a bicycle",
        "spatial.1   spatial lora",
        "applied     temporal at strength 1",
        "noise       3 frames of 32x32",
        "crafted",
        "temporal    temporal weights, 6 parameters",
    ):
        assert expected in text
    assert pictures.shape == (2, 64, 32, 3) and float(pictures.min()) > 0.99
    assert output.ui.as_dict()["text"] == (text,)
    without = called(InspectMotionAdapter, motions=(motion(previews=()),)).args[1]
    assert isinstance(without, ExecutionBlocker)


def blended(
    first: LoadedAdapter, second: LoadedAdapter, blend: str, *weights: float
) -> tuple[LoadedAdapter, ...]:
    a, b = weights or (1.0, 1.0)
    return called(
        BlendMotions,
        first=(first,),
        second=(second,),
        blend=blend,
        first_weight=a,
        second_weight=b,
    ).args[0]


def test_weights_multiply_strengths_and_zero_takes_out() -> None:
    first, second = motion("a", strength=0.5), motion("b", strength=2.0)
    both = blended(first, second, BOTH, 0.5, -1.0)
    assert [one.strength for one in both] == [0.25, -2.0]
    assert (first.strength, second.strength) == (0.5, 2.0)
    assert len(adapters_to_apply(blended(first, second, BOTH, 1.0, 0.0))) == 1


def test_the_motion_of_one_with_the_looks_of_another() -> None:
    first, second = motion("a"), motion("b", strength=0.5)
    moving, looking = adapters_to_apply(blended(first, second, LOOKS))
    assert moving == (first.adapters["temporal"], 1.0)
    assert looking == (second.adapters["spatial.0"], 0.5)
    with pytest.raises(AdapterError, match="crafted contains no appearance"):
        blended(first, full_weights(), LOOKS)


def test_motions_of_two_families_do_not_play_together() -> None:
    info = an_info("zeroscope")
    other = motion("z", info=info, adapters=adapters("zeroscope"), noise=noise_info("zeroscope"))
    with pytest.raises(AdapterError, match="a is for animatediff, z is for zeroscope"):
        blended(motion("a"), other, BOTH)
    with pytest.raises(AdapterError, match="cannot be combined"):
        loaded(saved(other, "zeroscope"), motions=(motion("a"),))


def saved_together(stack: tuple[LoadedAdapter, ...], name: str, **more: object) -> str:
    inputs = {"name": name, "folder": ADAPTERS, "replace": True, **more}
    return called(SaveMotionAdapter, motions=stack, **inputs).args[1]


def test_a_blend_is_saved_as_it_plays() -> None:
    """0.5 · up @ down + 2 · 0.25 · up @ down, at strength 1; the looks do not play."""
    both = blended(motion("a", strength=0.5), motion("b", strength=0.25), BOTH, 1.0, 2.0)
    (one,) = loaded(saved_together(both, "a blend"))
    assert one.strength == 1.0 and list(one.adapters) == ["temporal"]
    assert one.info.settings["objective"] == {"of": "a at 0.5 + b at 0.5"}
    assert one.inverted is None and len(one.previews) == 2
    before = adapters()["temporal"].pairs
    for layer, pair in one.adapters["temporal"].pairs.items():
        expected = before[layer].up @ before[layer].down
        torch.testing.assert_close(pair.up @ pair.down, expected)
    silent = motion("b", inverted=None, noise=None)
    (noisy,) = loaded(saved_together((motion("a"), silent), "one noise"))
    assert noisy.inverted is not None
    (looks,) = loaded(saved_together(blended(motion("a"), motion("b"), LOOKS), "looks"))
    assert [adapter.scope for adapter, _ in adapters_to_apply([looks])] == ["temporal", "spatial"]


def test_a_single_motion_is_saved_whole_or_at_its_strength() -> None:
    name = saved_together((motion(strength=0.0), motion()), "whole")
    assert same_tensors(loaded(name)[0], motion())
    (half,) = loaded(saved_together((motion(strength=0.5),), "half"))
    assert list(half.adapters) == ["temporal"]
    last = (motion("a"), full_weights())
    name = saved_together(last, "the last", what=LAST_AS_TRAINED)
    assert same_tensors(loaded(name)[0], full_weights())


def test_kinds_that_do_not_add_up_go_into_one_file() -> None:
    """A LoRA with an embedding, and the sum of whole weights with one."""
    for first, kind in ((motion("a"), "lora"), (full_weights(), "weights")):
        (one,) = loaded(saved_together((first, first, embedding()), "mixed"))
        kinds = {name: adapter.kind for name, adapter in one.adapters.items()}
        assert kinds == {"temporal": kind, "embedding": "embedding"}
        assert len(adapters_to_apply([one])) == 2
    with pytest.raises(AdapterError, match="are for different bases"):
        saved_together((motion("a"), full_weights()), "other sizes")
    with pytest.raises(AdapterError, match="every strength is 0"):
        saved_together((motion(strength=0.0),), "nothing")


def converted(
    what: LoadedAdapter, rank: int = 32, **to: object
) -> tuple[tuple[LoadedAdapter, ...], str, str]:
    return called(ConvertMotionAdapter, motions=(what,), to=to, rank=rank).args


def test_full_weights_become_a_lora() -> None:
    """Rank 1 keeps 16 of 9 + 16 + 25 = 50: 32 %."""
    (lora,), file, report = converted(full_weights(), rank=1, to="LoRA")
    assert file == "" and "temporal: rank 1 keeps 32.0% of the energy" in report
    assert (lora.info.parametrisation, lora.info.rank) == ("lora", 1)
    pair = lora.adapters["temporal"].pairs[LAYER]
    torch.testing.assert_close(pair.up @ pair.down, torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
    assert loaded(saved(lora, "crafted lora"))[0].info.rank == 1


def test_files_for_other_programs() -> None:
    one = motion()
    how = {"name": "exported", "replace": True}
    file = converted(one, to="AnimateDiff motion LoRA", **how)[1]
    assert file == f"models/{MOTION_LORAS}/exported.safetensors"
    path = save_folder(MOTION_LORAS) / "exported.safetensors"
    assert import_animatediff_lora(path).pairs.keys() == one.adapters["temporal"].pairs.keys()
    file = converted(one, to="diffusers LoRA", which="spatial.1", **how)[1]
    assert file == "models/loras/exported.safetensors"
    names = open_tensors(save_folder("loras") / "exported.safetensors").shapes
    assert all(name.startswith("unet.") for name in names)
    file = converted(one, to="peft LoRA", which="", **how)[1]
    assert file == "output/motion_adapters/exported.safetensors"
    assert (Path(folder_paths.get_output_directory()) / "motion_adapters").is_dir()


def test_what_cannot_be_converted() -> None:
    how = {"name": "exported", "replace": True}
    with pytest.raises(
        AdapterError, match="is of kind 'embedding'; other programs only load LoRAs"
    ):
        converted(embedding(), to="AnimateDiff motion LoRA", **how)
    with pytest.raises(AdapterError, match=r"contains no adapter 'looks'\. Set which to one of"):
        converted(motion(), to="peft LoRA", which="looks", **how)
    with pytest.raises(SettingsError, match="it is used as a file name"):
        converted(motion(), to="peft LoRA", which="", name="../x", replace=True)
    with pytest.raises(AdapterError, match="No adapter is connected"):
        called(ConvertMotionAdapter, motions=(), to={"to": "LoRA"}, rank=1)


def test_a_lora_file_of_another_program_is_inspected_and_renamed() -> None:
    """Wan's in diffusers' names, which Load LoRA ignores, and then in ComfyUI's."""
    folder = save_folder("loras")
    names = ("transformer.blocks.0.attn1.to_q", "diffusion_model.blocks.0.self_attn.q")
    pair = {"lora_A": torch.ones(1, 8), "lora_B": torch.ones(8, 1)}
    before = {f"{names[0]}.{end}.weight": matrix for end, matrix in pair.items()}
    write_tensors(folder / "wan.safetensors", before, {})
    file = "loras/wan.safetensors"
    assert file in InspectMotionAdapter.GET_SCHEMA().inputs[1].options  # type: ignore[attr-defined]
    text = called(InspectMotionAdapter, file=file).args[0]
    assert "ComfyUI's Load LoRA: loads none of it" in text
    first = InspectMotionAdapter.fingerprint_inputs(file=file)
    os.utime(folder / "wan.safetensors", ns=(1, 1))
    assert InspectMotionAdapter.fingerprint_inputs(file=file) != first

    to = {"to": "LoRA for ComfyUI's Load LoRA", "name": "wan renamed", "replace": True, "which": ""}
    stack, saved_as, _ = called(
        ConvertMotionAdapter, motions=(motion(),), to=to, rank=1, file=file
    ).args
    assert len(stack) == 1 and saved_as == "models/loras/wan renamed.safetensors"
    made = open_tensors(folder / "wan renamed.safetensors")
    assert set(made.shapes) == {f"{names[1]}.{end}.weight" for end in pair}
    with pytest.raises(FormatError, match=r"wan\.safetensors cannot be converted to LoRA"):
        called(ConvertMotionAdapter, motions=(), to={"to": "LoRA"}, rank=1, file=file)
    with pytest.raises(FormatError, match="no longer exists"):
        called(InspectMotionAdapter, file="loras/gone.safetensors")
