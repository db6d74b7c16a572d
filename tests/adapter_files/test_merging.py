"""Motions merged into one file: values by hand, and what it plays on both backbones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.adapter_files.merging import merged
from motion_core.adapter_files.own import AdapterInfo, load_adapter, save_adapter
from motion_core.adapters.base import Adapter, Scope
from motion_core.adapters.embedding.adapter import BlockEmbedding, EmbeddingAdapter
from motion_core.adapters.injector import InjectorAdapter
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.verb.adapter import VerbAdapter
from motion_core.adapters.weights.adapter import WeightsAdapter
from motion_core.backbones.base import Backbone, Family
from motion_core.diffusion.generate import apply_adapters
from motion_core.errors import AdapterError

from ..adapters.test_combined import a_lora, an_embedding, full_weights, predict
from ..tiny import tiny_animatediff, tiny_zeroscope
from .test_own import an_info

BACKBONES = [tiny_animatediff, tiny_zeroscope]


def a_part(
    name: str, strength: float, family: Family = "animatediff", **adapters: Adapter
) -> LoadedAdapter:
    return LoadedAdapter(name=name, info=an_info(family), adapters=adapters, strength=strength)


def lora(scope: Scope = "temporal", **layers: tuple[list[list[float]], list[list[float]]]):
    pairs = {
        name: LoraPair(torch.tensor(down), torch.tensor(up)) for name, (down, up) in layers.items()
    }
    return LoraAdapter(scope=scope, family="animatediff", pairs=pairs)


def weights(**deltas: list[list[float]]) -> WeightsAdapter:
    tensors = {f"{name}.weight": torch.tensor(delta) for name, delta in deltas.items()}
    return WeightsAdapter(scope="temporal", family="animatediff", deltas=tensors)


def embedding(values: Sequence[float], **others) -> EmbeddingAdapter:
    """One block of two frames and one channel: qk, v1 and v2 alike."""
    tensor = torch.tensor(values).view(1, 1, -1, 1)
    blocks = {"block": BlockEmbedding(tensor, tensor, tensor)}
    return EmbeddingAdapter(family="animatediff", blocks=blocks, **others)


def merged_adapters(*parts: LoadedAdapter) -> Mapping[str, Adapter]:
    return merged(parts).adapters


def joined_loras(*loras: tuple[LoraAdapter, float]) -> LoraAdapter:
    first, *others = (adapter.scaled(strength) for adapter, strength in loras)
    made = first.joined(others)
    assert isinstance(made, LoraAdapter)
    return made


def test_loras_lay_their_ranks_side_by_side() -> None:
    """0.5 · [3]·[1 2] − 1 · [2]·[0 1] = [1.5 3] − [0 2] = [1.5 1]."""
    first, second = lora(x=([[1.0, 2.0]], [[3.0]])), lora(x=([[0.0, 1.0]], [[2.0]]))
    pair = joined_loras((first, 0.5), (second, -1.0)).pairs["x"]
    assert pair.down.tolist() == [[1.0, 2.0], [0.0, 1.0]]
    assert pair.up.tolist() == [[1.5, -2.0]]
    assert (pair.up @ pair.down).tolist() == [[1.5, 1.0]]


def test_a_layer_of_one_lora_alone_gets_the_same_rank() -> None:
    """Of ranks 1 and 2, all layers have 3; what is filled up adds nothing."""
    first = lora(x=([[1.0]], [[3.0]]))
    second = lora(x=([[1.0], [1.0]], [[1.0, 1.0]]), y=([[1.0], [2.0]], [[4.0, 5.0]]))
    pairs = joined_loras((first, 1.0), (second, 2.0)).pairs
    assert {name: tuple(pair.down.shape) for name, pair in pairs.items()} == {
        "x": (3, 1),
        "y": (3, 1),
    }
    assert (pairs["x"].up @ pairs["x"].down).item() == 3.0 + 2.0 * 2.0
    assert (pairs["y"].up @ pairs["y"].down).item() == 2.0 * (4.0 + 10.0)


def test_whole_weights_add_up_and_take_loras_in() -> None:
    """0.5 · [2 4] + 2 · [1 0] + 3 · [1]·[0 1] = [3 5]; a layer of the LoRA alone is [6]."""
    found = merged_adapters(
        a_part("a", 0.5, temporal=weights(x=[[2.0, 4.0]])),
        a_part("b", 2.0, temporal=weights(x=[[1.0, 0.0]])),
        a_part("c", 3.0, temporal=lora(x=([[0.0, 1.0]], [[1.0]]), y=([[1.0]], [[2.0]]))),
    )
    assert list(found) == ["temporal"]
    adapter = found["temporal"]
    assert isinstance(adapter, WeightsAdapter)
    assert {name: delta.tolist() for name, delta in adapter.deltas.items()} == {
        "x.weight": [[3.0, 5.0]],
        "y.weight": [[6.0]],
    }


def test_embeddings_of_one_size_and_debias_add_up() -> None:
    """0.5 · (2, 4) + 3 · (1, 0) = (4, 2)."""
    found = merged_adapters(
        a_part("a", 0.5, temporal=embedding([2.0, 4.0])),
        a_part("b", 3.0, temporal=embedding([1.0, 0.0])),
    )
    adapter = found["temporal"]
    assert isinstance(adapter, EmbeddingAdapter) and len(found) == 1
    assert [values.flatten().tolist() for values in adapter.blocks["block"]] == [[4.0, 2.0]] * 3


def test_what_does_not_add_up_stands_beside() -> None:
    """Other debias, other length, and a LoRA: each is kept, at its strength."""
    found = merged_adapters(
        a_part("a", 2.0, temporal=embedding([1.0, 2.0])),
        a_part("b", 1.0, temporal=embedding([1.0, 2.0], debias="none")),
        a_part("c", 1.0, temporal=embedding([1.0, 2.0, 3.0])),
        a_part("d", 0.5, temporal=lora(x=([[1.0]], [[4.0]]))),
    )
    assert list(found) == ["temporal", "embedding", "embedding.1", "embedding.2"]
    kept = found["embedding"]
    assert isinstance(kept, EmbeddingAdapter)
    assert kept.blocks["block"].qk.flatten().tolist() == [2.0, 4.0]
    assert isinstance(found["temporal"], LoraAdapter)
    assert found["temporal"].pairs["x"].up.item() == 2.0


def test_verbs_and_injectors_keep_their_strength() -> None:
    """E_r and W_p·ψ are linear in W2 and W_p: 0.5 · 4 = 2."""
    verb = VerbAdapter(
        scope="temporal",
        family="animatediff",
        verb="zigzag",
        frozen=False,
        w1=torch.ones(1, 2),
        w2=torch.full((1, 1), 4.0),
        video_embed=torch.ones(1),
        residual=torch.full((1,), 4.0),
    )
    injector = InjectorAdapter(
        scope="temporal",
        family="animatediff",
        injection="add",
        weights={"x": torch.full((1, 1), 4.0)},
    )
    temporal = lora(x=([[1.0]], [[4.0]]))
    half = a_part("a", 0.5, temporal=temporal, verb=verb, injector=injector)
    whole = a_part("b", 1.0, temporal=temporal, verb=verb)
    found = merged_adapters(half, whole)
    assert list(found) == ["temporal", "verb", "verb.1", "injector"]
    assert found["verb"].state_dict()["w2"].item() == 2.0
    assert found["verb"].state_dict()["residual"].item() == 2.0
    assert found["injector"].state_dict()["x.weight"].item() == 2.0
    assert found["verb.1"].state_dict()["w2"].item() == 4.0


def test_looks_and_motion_stay_apart_and_what_does_not_play_is_left_out() -> None:
    motion, looks = lora(x=([[1.0]], [[1.0]])), lora("spatial", z=([[1.0]], [[1.0]]))
    playing = a_part("a", 1.0, **{"temporal": motion, "spatial.0": looks})
    assert list(merged_adapters(playing)) == ["temporal"]
    shown = dataclasses.replace(playing.info, shown=("temporal", "spatial.0"))
    both = merged_adapters(dataclasses.replace(playing, info=shown))
    assert list(both) == ["temporal", "spatial"]


@pytest.mark.parametrize("make", BACKBONES)
def test_one_file_plays_what_the_parts_play(make: Callable[[], Backbone], tmp_path: Path) -> None:
    """Two LoRAs, whole weights, looks and two embeddings at six strengths, from a file at 1."""
    backbone = make()
    every = [
        (a_lora(backbone, "temporal", 1), 0.7),
        (a_lora(backbone, "temporal", 2), -0.3),
        (full_weights(backbone, 3), 0.5),
        (a_lora(backbone, "spatial", 4), 0.4),
        (an_embedding(backbone, 5), 0.9),
        (dataclasses.replace(an_embedding(backbone, 6), debias="none"), 0.6),
    ]
    base = predict(backbone)
    with apply_adapters(backbone, every):
        expected = predict(backbone)
    assert not torch.allclose(expected, base, rtol=1e-2)
    parts = [
        a_part(f"part {n}", strength, backbone.family, own=adapter)
        for n, (adapter, strength) in enumerate(every)
    ]
    made = merged(parts)
    save_adapter(tmp_path / "a.safetensors", made.adapters, made.info)
    info, loaded = load_adapter(tmp_path / "a.safetensors")
    with apply_adapters(backbone, [(loaded[name], 1.0) for name in info.shown]):
        assert_near(predict(backbone), expected)
    assert torch.equal(predict(backbone), base)


def assert_near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def info(**changed: object) -> AdapterInfo:
    return dataclasses.replace(an_info(), **changed)


def test_what_the_file_says(tmp_path: Path) -> None:
    """Steps add up; prompts, versions and licences are each said once."""
    own = lora(x=([[1.0]], [[1.0]]))
    name = "down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q"
    own = dataclasses.replace(own, pairs={name: own.pairs["x"]})
    parts = [
        LoadedAdapter(
            name="a", info=info(prompts=("p", "q")), adapters={"temporal": own}, strength=0.5
        ),
        LoadedAdapter(
            name="b",
            info=info(prompts=("q",), version="animatediff-sd15-v3", steps=50, licence="other"),
            adapters={"temporal": own},
            strength=1.0,
        ),
    ]
    made = merged(parts)
    save_adapter(tmp_path / "a.safetensors", made.adapters, made.info)
    said, _ = load_adapter(tmp_path / "a.safetensors")
    assert said.method == "blend" and said.rank == 2 and said.steps == 200
    assert said.prompts == ("p", "q")
    assert said.version == "animatediff-sd15-v2 and animatediff-sd15-v3"
    assert said.licence == "creativeml-openrail-m and other"
    assert said.settings["objective"] == {"of": "a at 0.5 + b at 1"}
    assert [part["strength"] for part in said.settings["parts"]] == [0.5, 1.0]
    assert not said.is_foreign


def test_files_of_other_programs_alone_stay_foreign() -> None:
    own = lora(x=([[1.0]], [[1.0]]))
    foreign = info(reference_hash="", version="", licence="")
    made = merged([LoadedAdapter(name="a", info=foreign, adapters={"temporal": own}, strength=0.5)])
    assert made.info.is_foreign


def test_what_cannot_be_merged_is_said() -> None:
    own = lora(x=([[1.0]], [[1.0]]))
    with pytest.raises(AdapterError, match=r"every strength is 0 \(a\)"):
        merged([a_part("a", 0.0, temporal=own)])
    with pytest.raises(AdapterError, match="no adapter was given"):
        merged([])
    with pytest.raises(AdapterError, match="a is for animatediff, b is for zeroscope"):
        merged([a_part("a", 1.0, temporal=own), a_part("b", 1.0, "zeroscope", temporal=own)])
    wide = lora(x=([[1.0, 2.0]], [[1.0]]))
    with pytest.raises(AdapterError, match="x is 1x1 and 1x2 in the adapters to merge"):
        merged([a_part("a", 1.0, temporal=own), a_part("b", 1.0, temporal=wide)])
