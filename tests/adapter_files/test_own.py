"""The adapter file: what it keeps, what it refuses, and that a failed write leaves nothing."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from motion_core.adapter_files import own as adapter_file
from motion_core.adapter_files.own import (
    AdapterInfo,
    check_fits,
    load_adapter,
    preview_jpeg,
    read_previews,
    save_adapter,
)
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.backbones.base import Family
from motion_core.errors import AdapterError, FormatError, MotionError, SettingsError
from tests.tiny import tiny_animatediff, tiny_zeroscope


def an_info(family: Family = "animatediff") -> AdapterInfo:
    return AdapterInfo(
        method="motion_director",
        settings={"rank": 2, "learning_rate": 5e-4, "anchor": "random"},
        parametrisation="lora",
        family=family,
        version={"animatediff": "animatediff-sd15-v2", "zeroscope": "zeroscope"}[family],
        rank=2,
        sites=("temporal.attn1", "temporal.attn2", "temporal.ff"),
        frames=16,
        width=384,
        height=256,
        fps=8.0,
        prompts=("a person is riding a bicycle",),
        steps=150,
        reference_hash="0123",
        licence="creativeml-openrail-m",
        package_version="0.1.0",
    )


def adapters(family: Family = "animatediff") -> dict[str, LoraAdapter]:
    """Random LoRAs on every site of the tiny base: the temporal one and two spatial ones."""
    backbone = {"animatediff": tiny_animatediff, "zeroscope": tiny_zeroscope}[family]()
    rng = torch.Generator().manual_seed(0)

    def lora(scope, names: list[str]) -> LoraAdapter:
        pairs = {}
        for name in names:
            rows, columns = backbone.network.get_submodule(name).weight.shape
            pairs[name] = LoraPair(
                torch.randn(2, columns, generator=rng), torch.randn(rows, 2, generator=rng)
            )
        return LoraAdapter(scope=scope, family=family, pairs=pairs)

    return {
        "temporal": lora("temporal", backbone.sites("temporal")),
        "spatial.0": lora("spatial", backbone.sites("spatial")),
        "spatial.1": lora("spatial", backbone.sites("spatial")),
    }


@pytest.mark.parametrize("family", ["animatediff", "zeroscope"])
def test_round_trip(family: Family, tmp_path: Path) -> None:
    """Same adapters bit for bit, same info; only `adapters` is filled in."""
    path, saved, info = tmp_path / "new" / "a.safetensors", adapters(family), an_info(family)
    save_adapter(path, saved, info)
    read, loaded = load_adapter(path)
    assert dataclasses.replace(read, adapters={}) == info
    assert loaded.keys() == saved.keys()
    for name, adapter in saved.items():
        other = loaded[name]
        assert isinstance(other, LoraAdapter)
        assert (other.kind, other.scope, other.family) == ("lora", adapter.scope, family)
        assert other.pairs.keys() == adapter.pairs.keys()
        for layer, pair in adapter.pairs.items():
            assert all(torch.equal(a, b) for a, b in zip(other.pairs[layer], pair, strict=True))
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]


def test_metadata_is_one_sorted_json(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_adapter(path, adapters(), an_info())
    with safe_open(path, framework="pt") as file:
        raw = file.metadata()["motion_adapter"]
    plain = json.loads(raw)
    assert raw == json.dumps(plain, sort_keys=True)
    assert (plain["format_version"], plain["settings"]["rank"]) == (1, 2)
    assert plain["adapters"] == {
        "temporal": {"kind": "lora", "scope": "temporal", "prefix": "", "options": {}},
        "spatial.0": {"kind": "lora", "scope": "spatial", "prefix": "spatial.0.", "options": {}},
        "spatial.1": {"kind": "lora", "scope": "spatial", "prefix": "spatial.1.", "options": {}},
    }


def test_previews(tmp_path: Path) -> None:
    """A 64 x 32 frame, all red, as a JPEG of at most 32 pixels: 32 x 16, and still red."""
    frame = torch.tensor([1.0, -1.0, -1.0])[:, None, None].expand(3, 32, 64)
    picture = preview_jpeg(frame, size=32)
    path = tmp_path / "a.safetensors"
    save_adapter(path, adapters(), an_info(), previews=[picture, picture])
    assert read_previews(path) == [picture, picture]
    image = Image.open(io.BytesIO(picture))
    assert image.size == (32, 16)
    red, green, blue = image.getpixel((8, 8))  # type: ignore[misc]
    assert red > 245 and green < 10 and blue < 10
    with pytest.raises(SettingsError, match="previews is 9; expected at most 8"):
        save_adapter(path, adapters(), an_info(), previews=[picture] * 9)
    with pytest.raises(SettingsError, match="expected at most 65536"):
        save_adapter(path, adapters(), an_info(), previews=[bytes(65537)])


def saved_file(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    save_adapter(path, adapters(), an_info())
    return path


def rewrite(path: Path, **changed: object) -> None:
    """The same tensors with a changed info."""
    with safe_open(path, framework="pt") as file:
        plain = json.loads(file.metadata()["motion_adapter"])
    save_file(load_file(path), path, {"motion_adapter": json.dumps({**plain, **changed})})


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = saved_file(tmp_path)
    data = path.read_bytes()
    for length in (0, 4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        for read in (load_adapter, read_previews):
            with pytest.raises(FormatError, match=r"a\.safetensors is damaged or incomplete"):
                read(path)


def test_a_file_of_another_role_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"conv_in.weight": torch.zeros(2)}, path)
    with pytest.raises(FormatError, match=r"model\.safetensors is .*, not an adapter from Motion"):
        load_adapter(path)
    with pytest.raises(FormatError, match="no file"):
        load_adapter(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format_version": 2}, "format 2; this package reads up to 1. Update"),
        ({"format_version": "x"}, "format 'x'"),
        ({"family": "sora"}, "damaged .*family is 'sora'"),
        ({"frames": 0}, "damaged .*frames is 0"),
        ({"surprise": 1}, "damaged .*no setting 'surprise'"),
        (
            {"adapters": {"temporal": {"kind": "sketch", "scope": "temporal", "prefix": ""}}},
            "'temporal' of kind 'sketch'; known kinds: lora,",
        ),
        (
            {"adapters": {"m": {"kind": "lora", "scope": "spatial", "prefix": "m."}}},
            r"adapters without tensors \(m\) or tensors without adapter \(",
        ),
    ],
)
def test_an_info_that_cannot_be_trusted_is_refused(
    changed: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = saved_file(tmp_path)
    rewrite(path, **changed)
    with pytest.raises(FormatError, match=message):
        load_adapter(path)


def test_a_missing_field_and_broken_json_are_refused(tmp_path: Path) -> None:
    path = saved_file(tmp_path)
    tensors = load_file(path)
    for raw in ("{", "[]", '{"format_version": 1}', '{"format_version": 1, "adapters": {}}'):
        save_file(tensors, path, {"motion_adapter": raw})
        with pytest.raises(FormatError, match="damaged 'motion_adapter' entry"):
            load_adapter(path)


def test_a_tensor_missing_of_a_pair_is_refused(tmp_path: Path) -> None:
    path = saved_file(tmp_path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors.pop(next(name for name in tensors if name.endswith(".up.weight")))
    save_file(tensors, path, metadata)
    with pytest.raises(FormatError, match="1 tensors are not LoRA pairs"):
        load_adapter(path)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved_file(tmp_path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(MotionError, match="disk full"):
        save_adapter(path, {"temporal": adapters()["temporal"]}, an_info())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    path, some = tmp_path / "a.safetensors", adapters()
    with pytest.raises(AdapterError, match="no adapter to save"):
        save_adapter(path, {}, an_info())
    with pytest.raises(AdapterError, match="Two adapters in this file claim"):
        save_adapter(path, {"a": some["temporal"], "b": some["temporal"]}, an_info())
    assert not path.exists()


def test_check_fits(caplog: pytest.LogCaptureFixture) -> None:
    check_fits(an_info(), tiny_animatediff())
    assert not caplog.records
    with caplog.at_level(logging.WARNING, logger=adapter_file.__name__):
        check_fits(an_info(), tiny_animatediff(mid_block=False))
    assert "animatediff-sd15-v2, but the base is animatediff-sd15-v3" in caplog.text
    message = "trained on zeroscope, but the base is animatediff. Use a base"
    with pytest.raises(AdapterError, match=message):
        check_fits(an_info("zeroscope"), tiny_animatediff())
