"""What holds for every kind of adapter, on both backbones; each kind's own tests say what it
computes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from motion_core.adapter_files.conversion import weights_as_loras
from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.adapter_files.merging import merged
from motion_core.adapter_files.own import load_adapter, save_adapter
from motion_core.adapter_files.summary import adapter_rank, adapter_sites
from motion_core.adapters import ADAPTERS
from motion_core.adapters.base import Adapter
from motion_core.backbones.base import Backbone
from motion_core.diffusion.generate import apply_adapters
from motion_core.errors import AdapterError
from tests.adapter_files.test_own import an_info
from tests.adapters.kinds import MAKERS, an_adapter, predict
from tests.pack import load_pack
from tests.tiny import tiny_animatediff, tiny_zeroscope

load_pack()
from motion_adapters.nodes.comfy_models.adapter_hooks import AdapterHooks  # noqa: E402

Maker = Callable[[], Backbone]
BACKBONES = pytest.mark.parametrize("make", [tiny_animatediff, tiny_zeroscope])
KINDS = pytest.mark.parametrize("kind", ADAPTERS)
ADDING_UP = {"lora", "weights", "embedding"}


def assert_near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def hooks_on(network: nn.Module) -> int:
    modules = list(network.modules())
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules) + sum(
        "forward" in vars(m) for m in modules
    )


def a_part(adapter: Adapter, strength: float = 1.0) -> LoadedAdapter:
    info = an_info(adapter.family)
    return LoadedAdapter(name="a", info=info, adapters={"own": adapter}, strength=strength)


def test_every_kind_is_tried() -> None:
    assert set(MAKERS) == set(ADAPTERS)
    backbone = tiny_zeroscope()
    assert all(an_adapter(kind, backbone).kind == kind for kind in ADAPTERS)


@BACKBONES
@KINDS
def test_a_file_keeps_all_of_it(kind: str, make: Maker, tmp_path: Path) -> None:
    """Bit for bit; a file of the wrong tensors is each kind's own affair."""
    adapter = an_adapter(kind, make())
    save_adapter(tmp_path / "a.safetensors", {"own": adapter}, an_info(adapter.family))
    loaded = load_adapter(tmp_path / "a.safetensors")[1]["own"]
    assert type(loaded) is type(adapter)
    for field in ("kind", "scope", "family", "rank", "options"):
        assert getattr(loaded, field) == getattr(adapter, field), field
    assert set(loaded.layers()) == set(adapter.layers())
    mine, theirs = adapter.state_dict(), loaded.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


@BACKBONES
@KINDS
def test_strength_0_is_the_base_bit_for_bit(kind: str, make: Maker) -> None:
    backbone = make()
    base = predict(backbone)
    with an_adapter(kind, backbone).applied(backbone, 0.0):
        assert torch.equal(predict(backbone), base)


@BACKBONES
@KINDS
def test_the_base_is_itself_again_also_after_an_error(kind: str, make: Maker) -> None:
    """The very same parameters, in the same order, and no hook left."""
    backbone = make()
    base, before = predict(backbone), list(backbone.network.named_parameters())
    with (
        pytest.raises(RuntimeError, match="stopped"),
        an_adapter(kind, backbone).applied(backbone, 1.0),
    ):
        assert not torch.allclose(predict(backbone), base, rtol=1e-2)
        raise RuntimeError("stopped")
    after = list(backbone.network.named_parameters())
    assert all(a[0] == b[0] and a[1] is b[1] for a, b in zip(after, before, strict=True))
    assert hooks_on(backbone.network) == 0
    assert torch.equal(predict(backbone), base)


@BACKBONES
@KINDS
def test_scaled_does_at_1_what_it_does_at_that_strength(kind: str, make: Maker) -> None:
    backbone = make()
    adapter = an_adapter(kind, backbone)
    before = {name: tensor.clone() for name, tensor in adapter.state_dict().items()}
    with adapter.applied(backbone, -0.6):
        expected = predict(backbone)
    with adapter.scaled(-0.6).applied(backbone, 1.0):
        assert_near(predict(backbone), expected)
    assert all(torch.equal(tensor, before[n]) for n, tensor in adapter.state_dict().items())


@BACKBONES
@KINDS
def test_joined_is_one_inside_the_other(kind: str, make: Maker) -> None:
    """Those that add up become one adapter of their kind; the others say that they don't."""
    backbone = make()
    first, second = an_adapter(kind, backbone, 1), an_adapter(kind, backbone, 2)
    assert first.joins(second) == second.joins(first) == (kind in ADDING_UP)
    if kind not in ADDING_UP:
        with pytest.raises(
            AdapterError, match=f"of kind '{kind}' cannot be merged with one of kind"
        ):
            first.joined([second])
        return
    with first.applied(backbone, 1.0), second.applied(backbone, 1.0):
        expected = predict(backbone)
    joined = first.joined([second])
    assert joined.kind == kind
    with joined.applied(backbone, 1.0):
        assert_near(predict(backbone), expected)


def test_of_different_kinds_only_loras_and_whole_weights_add_up() -> None:
    backbone = tiny_zeroscope()
    adapters = {kind: an_adapter(kind, backbone) for kind in ADAPTERS}
    for kind, adapter in adapters.items():
        joining = {other for other in adapters if other != kind and adapter.joins(adapters[other])}
        assert joining == {"lora": {"weights"}, "weights": {"lora"}}.get(kind, set())


@BACKBONES
@KINDS
def test_merged_does_what_the_parts_do(kind: str, make: Maker) -> None:
    """Whether they add up or stand beside each other in the file."""
    backbone = make()
    pairs = [(an_adapter(kind, backbone, 1), 0.7), (an_adapter(kind, backbone, 2), -0.3)]
    with apply_adapters(backbone, pairs):
        expected = predict(backbone)
    made = merged([a_part(adapter, strength) for adapter, strength in pairs])
    assert len(made.adapters) == (1 if kind in ADDING_UP else 2)
    with apply_adapters(backbone, made.applied()):
        assert_near(predict(backbone), expected)


@KINDS
def test_a_base_of_another_family_is_refused_untouched(kind: str) -> None:
    backbone = tiny_zeroscope()
    base = predict(backbone)
    adapter = an_adapter(kind, tiny_animatediff())
    with (
        pytest.raises(AdapterError, match="trained on animatediff, but the base is zeroscope"),
        adapter.applied(backbone, 1.0),
    ):
        pass
    assert torch.equal(predict(backbone), base) and hooks_on(backbone.network) == 0


@BACKBONES
@KINDS
def test_hooks_in_comfyui_do_what_the_core_does(kind: str, make: Maker) -> None:
    """For a network with the core's own names. A verb's share is in the prompt, not there."""
    backbone = make()
    base, adapter = predict(backbone), an_adapter(kind, backbone)
    expected = base
    if kind != "verb":
        with adapter.applied(backbone, 0.5):
            expected = predict(backbone)
    hooks = AdapterHooks(backbone.network, [(adapter, 0.5)])
    with hooks.on():
        assert_near(predict(backbone), expected)
    assert bool(hooks) == (kind != "verb")
    assert torch.equal(predict(backbone), base) and hooks_on(backbone.network) == 0


READERS: dict[str, Callable[[Any, Path], object]] = {
    "file": lambda a, folder: save_adapter(folder / "a.safetensors", {"own": a}, an_info()),
    "merge": lambda a, folder: merged([a_part(a)]),
    "conversion": lambda a, folder: weights_as_loras(an_info(), {"own": a}, 1),
    "rank": lambda a, folder: adapter_rank({"own": a}),
    "sites": lambda a, folder: adapter_sites({"own": a}),
    "comfyui": lambda a, folder: AdapterHooks(tiny_animatediff().network, [(a, 1.0)]),
}


@pytest.mark.parametrize("reader", READERS)
def test_an_unknown_kind_is_refused_by_every_reader(reader: str, tmp_path: Path) -> None:
    """None drops it, and none applies it as nothing."""
    adapter: Any = an_adapter("lora", tiny_animatediff())
    unknown = dataclasses.replace(adapter, kind="sketch")
    with pytest.raises(AdapterError, match=r"kind.*'sketch'.*known kinds: lora, weights"):
        READERS[reader](unknown, tmp_path)
    assert list(tmp_path.iterdir()) == []
