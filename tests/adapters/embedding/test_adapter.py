"""Motion embeddings: what they add, where, at which size; applied, summed, stored, taken off."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from motion_core.adapters.embedding.adapter import (
    BlockEmbedding,
    Debias,
    EmbeddingAdapter,
    debiased,
    resized,
)
from motion_core.adapters.embedding.hooks import Size
from motion_core.adapters.embedding.sites import embedding_sites
from motion_core.adapters.lora.layer import LoraLinear
from motion_core.adapters.lora.training import LoraPlan
from motion_core.backbones.base import Backbone
from motion_core.errors import AdapterError, FormatError, SettingsError
from tests.tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
HEIGHT, WIDTH, FRAMES = 4, 6, 3
PROJECTIONS = ("to_q", "to_k", "to_v")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def predict(backbone: Backbone, frames: int = FRAMES, height: int = HEIGHT, videos: int = 1):
    rng = seeded(7)
    latents = torch.randn(videos, 4, frames, height, WIDTH, generator=rng)
    prompts = torch.randn(videos, 16, 8, generator=rng)
    return backbone.predict(latents, torch.full((videos,), 500), prompts)


def an_embedding(backbone: Backbone, seed: int = 0, debias: Debias = "none") -> EmbeddingAdapter:
    """m_QK without and m_V with positions at every block, all values different."""
    rng = seeded(seed)
    blocks = {}
    for site in embedding_sites(backbone.network):
        shape = (*site.positions(HEIGHT, WIDTH), FRAMES, site.channels)
        qk = torch.randn(1, 1, *shape[2:], generator=rng)
        v1, v2 = torch.randn(2, *shape, generator=rng)
        blocks[site.name] = BlockEmbedding(qk, v1, v2)
    return EmbeddingAdapter(family=backbone.family, blocks=blocks, debias=debias)


def zeros_like(adapter: EmbeddingAdapter) -> EmbeddingAdapter:
    blocks = {n: BlockEmbedding(*(v * 0 for v in b)) for n, b in adapter.blocks.items()}
    return dataclasses.replace(adapter, blocks=blocks)


@contextmanager
def watched(block: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """What each projection of the block was given by the base, and what it worked on in the end."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    given: dict[str, Tensor] = {}
    hooks = []
    for name in (f"attn{i}.{p}" for i in (1, 2) for p in PROJECTIONS):
        layer = block.get_submodule(name)
        hooks += [
            layer.register_forward_pre_hook(lambda _, x, n=name: given.__setitem__(n, x[0])),
            layer.register_forward_hook(
                lambda _, x, y, n=name: seen.__setitem__(n, (given[n], x[0]))
            ),
        ]
    yield seen
    for hook in hooks:
        hook.remove()


def by_frames(*values: float) -> Tensor:
    return torch.tensor(values).view(1, 1, -1, 1)


def test_debias_along_frames() -> None:
    """Eq. 5 on m = (1, 3, 6): (1, 3 − 1, 6 − 3). Its mean is 10/3."""
    m = by_frames(1.0, 3.0, 6.0)
    assert torch.equal(debiased(m, "difference"), by_frames(1.0, 2.0, 3.0))
    torch.testing.assert_close(debiased(m, "normalise"), by_frames(-7 / 3, -1 / 3, 8 / 3))
    assert debiased(m, "none") is m


def test_interpolation_by_hand() -> None:
    """(0, 4) on four places: their centres lie at −1/4, 1/4, 3/4 and 5/4 of the old ones, so that
    the values are 0, 1, 3, 4; along frames, height and width alike.
    """
    four = torch.tensor([0.0, 1.0, 3.0, 4.0])
    for axis, size in enumerate((Size(4, 2, 2), Size(2, 4, 2), Size(2, 2, 4))):
        shape = [1, 1, 1, 1]
        shape[axis] = 2
        two = torch.tensor([0.0, 4.0]).view(shape).expand(2, 2, 2, 3)
        shape[axis] = 4
        expected = four.view(shape).expand(*size, 3)
        torch.testing.assert_close(resized(two, size), expected)
    same = torch.randn(2, 3, 4, 5, generator=seeded())
    assert resized(same, Size(2, 3, 4)) is same


def test_one_position_serves_all_and_follows_the_frames() -> None:
    shared = by_frames(0.0, 4.0)
    assert resized(shared, Size(50, 70, 2)) is shared
    torch.testing.assert_close(resized(shared, Size(50, 70, 4)), by_frames(0.0, 1.0, 3.0, 4.0))


@pytest.mark.parametrize("size", [Size(4, 8, 6), Size(1, 2, 2), Size(2, 4, 3)])
def test_interpolation_up_to_twice_and_half(size: Size) -> None:
    assert resized(torch.zeros(2, 4, 3, 5), size).shape == (*size, 5)


@pytest.mark.parametrize("size", [Size(5, 4, 3), Size(2, 1, 3), Size(2, 4, 7), Size(2, 4, 1)])
def test_interpolation_beyond_twice_is_refused(size: Size) -> None:
    with pytest.raises(AdapterError, match=r"4x2 positions and 3 frames.*up to 2 times"):
        resized(torch.zeros(2, 4, 3, 5), size)


@pytest.mark.parametrize("make", BACKBONES)
def test_what_each_projection_gets(make: Callable[[], Backbone]) -> None:
    """Eq. 3 with strength 0.5, for both videos of a batch: F + 0.5 m_QK for q and k of both
    attention layers, the same at all positions; F + 0.5 m̃_V, of that layer and position, for v. F
    has its positions row by row, (h, w).
    """
    backbone = make()
    adapter = an_embedding(backbone, debias="difference")
    for name, (qk, *vs) in adapter.blocks.items():
        block = backbone.network.get_submodule(name)
        with watched(block) as seen, adapter.applied(backbone, 0.5):
            predict(backbone, videos=2)
        for attention, v in zip(("attn1", "attn2"), vs, strict=True):
            change = torch.cat([v[:, :, :1], v[:, :, 1:] - v[:, :, :-1]], dim=2)
            shifts = {"to_q": qk, "to_k": qk, "to_v": change}
            for projection, shift in shifts.items():
                given, used = seen[f"{attention}.{projection}"]
                height, width = v.shape[:2]
                rows = (
                    (0.5 * shift).expand(height, width, -1, -1).reshape(height * width, FRAMES, -1)
                )
                assert torch.equal(used, given + rows.repeat(2, 1, 1)), (name, projection)


@pytest.mark.parametrize("make", BACKBONES)
def test_attention_with_an_embedding_is_equation_3(make: Callable[[], Backbone]) -> None:
    """softmax(W_q(F + m_QK) (W_k(F + m_QK))ᵀ / sqrt(d)) W_v(F + m_V), head by head, then to_out."""
    backbone = make()
    adapter = an_embedding(backbone)
    name, (qk, v1, _) = next(reversed(adapter.blocks.items()))
    block = backbone.network.get_submodule(name)
    attention, outputs = block.attn1, []
    hook = attention.register_forward_hook(lambda _, x, y: outputs.append(y))
    with watched(block) as seen, adapter.applied(backbone, 1.0):
        predict(backbone)
    hook.remove()
    hidden = seen["attn1.to_q"][0]

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (attention.heads, -1)).transpose(1, 2)

    with torch.no_grad():
        q = heads(attention.to_q(hidden + qk.flatten(0, 1)))
        k = heads(attention.to_k(hidden + qk.flatten(0, 1)))
        v = heads(attention.to_v(hidden + v1.flatten(0, 1)))
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        expected = attention.to_out[0]((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(outputs[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", BACKBONES)
def test_drop_value_leaves_v_alone_and_fits_any_size(make: Callable[[], Backbone]) -> None:
    """The official removeMFromV: V is W_v(F). What is left knows no positions."""
    backbone = make()
    adapter = an_embedding(backbone, debias="drop_value")
    block = backbone.network.get_submodule(next(iter(adapter.blocks)))
    with watched(block) as seen, adapter.applied(backbone, 1.0):
        predict(backbone, height=4 * HEIGHT)
    for attention in ("attn1", "attn2"):
        assert torch.equal(*seen[f"{attention}.to_v"])
        assert not torch.equal(*seen[f"{attention}.to_q"])


@pytest.mark.parametrize("make", BACKBONES)
def test_zeros_and_leaving_are_the_base_bit_for_bit(make: Callable[[], Backbone]) -> None:
    backbone = make()
    base, adapter = predict(backbone), an_embedding(backbone)
    still = predict(backbone, frames=1)
    with zeros_like(adapter).applied(backbone, 1.0):
        assert torch.equal(predict(backbone), base)
    with pytest.raises(RuntimeError, match="stopped"), adapter.applied(backbone, 1.0):
        assert not torch.equal(predict(backbone), base)
        assert torch.equal(predict(backbone, frames=1), still)  # no temporal module runs
        raise RuntimeError("stopped")
    assert torch.equal(predict(backbone), base)
    for module in backbone.network.modules():
        assert "forward" not in module.__dict__
        assert not module._forward_pre_hooks


def test_debias_changes_on_a_loaded_adapter() -> None:
    backbone = tiny_zeroscope()
    adapter, outputs = an_embedding(backbone), []
    choices: list[Debias] = ["difference", "drop_value", "normalise", "none"]
    for debias in choices:
        with dataclasses.replace(adapter, debias=debias).applied(backbone, 1.0):
            outputs.append(predict(backbone))
    assert all(not torch.equal(a, b) for i, a in enumerate(outputs) for b in outputs[:i])
    with pytest.raises(SettingsError, match="debias"):
        dataclasses.replace(adapter, debias="twice")


@contextmanager
def _active(plan: LoraPlan, backbone: Backbone) -> Iterator[None]:
    with plan.made("temporal", backbone, seeded()) as lora, lora.active():
        with torch.no_grad():
            for matrix in lora.parameters:
                matrix.normal_(generator=seeded(1))
        yield


@pytest.mark.parametrize("lora_first", [True, False])
def test_a_lora_sees_what_its_layer_sees(lora_first: bool) -> None:
    """Whichever comes first: with x = F + m_QK, to_q and its LoRA give W x + b + B A x."""
    backbone = tiny_zeroscope()
    adapter = an_embedding(backbone)
    name, block = next(iter(adapter.blocks.items()))
    layer = f"{name}.attn1.to_q"
    plan = LoraPlan(scope="temporal", linears=[layer], rank=2, alpha=2.0)
    contexts = [_active(plan, backbone), adapter.applied(backbone, 1.0)]
    with contexts[not lora_first], contexts[lora_first]:
        wrapped = backbone.network.get_submodule(layer)
        assert isinstance(wrapped, LoraLinear)
        given: list[Tensor] = []
        outputs: list[Tensor] = []
        wrapped.register_forward_pre_hook(lambda _, x: given.append(x[0]))
        wrapped.register_forward_hook(lambda _, x, y: outputs.append(y))
        predict(backbone)
        part = wrapped.part("temporal")
    x = given[0] + block.qk.flatten(0, 1)
    expected = wrapped.base_layer(x) + x @ part.down.T @ part.up.T
    torch.testing.assert_close(outputs[0], expected)


@pytest.mark.parametrize("make", BACKBONES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_base_keeps_its_precision(make: Callable[[], Backbone], dtype: torch.dtype) -> None:
    backbone = make()
    backbone.network.to(dtype)
    base = predict(backbone)
    with an_embedding(backbone).applied(backbone, 1.0):
        output = predict(backbone)
    assert output.dtype == dtype and output.isfinite().all()
    assert not torch.equal(output, base)


@pytest.mark.parametrize("make", BACKBONES)
def test_another_size_is_interpolated_and_said_once(
    make: Callable[[], Backbone], caplog: pytest.LogCaptureFixture
) -> None:
    """4x6 latents and 3 frames on 6x6 and 4 frames: interpolated first, debiased after."""
    backbone = make()
    adapter = an_embedding(backbone, debias="difference")
    name = next(reversed(adapter.blocks))
    block = backbone.network.get_submodule(name)
    with (
        caplog.at_level(logging.WARNING),
        watched(block) as seen,
        adapter.applied(backbone, 1.0),
    ):
        predict(backbone, frames=4, height=6)
        messages = [record.getMessage() for record in caplog.records]
        predict(backbone, frames=4, height=6)
    assert len(caplog.records) == len(messages) == len(set(messages))
    assert any(
        "from 6x4 positions and 3 frames to 6x6 positions and 4 frames" in m for m in messages
    )
    v1 = adapter.blocks[name].v1
    height, width = v1.shape[:2]
    moved = debiased(resized(v1, Size(height * 6 // 4, width, 4)), "difference")
    given, used = seen["attn1.to_v"]
    assert torch.equal(used, given + moved.flatten(0, 1))


def test_a_size_beyond_interpolation_is_refused_and_the_base_left_whole() -> None:
    backbone = tiny_zeroscope()
    base = predict(backbone)
    with (
        pytest.raises(AdapterError, match="closer to the reference clip's"),
        an_embedding(backbone).applied(backbone, 1.0),
    ):
        predict(backbone, height=3 * HEIGHT)
    assert torch.equal(predict(backbone), base)


def test_other_bases_are_refused_untouched() -> None:
    zeroscope, animatediff = tiny_zeroscope(), tiny_animatediff(mid_block=False)
    adapter = an_embedding(tiny_animatediff(mid_block=True))
    narrow = {
        name: BlockEmbedding(*(values[..., :3] for values in block))
        for name, block in an_embedding(animatediff).blocks.items()
    }
    cases: list[tuple[EmbeddingAdapter, Backbone, str]] = [
        (adapter, zeroscope, "trained on animatediff, but the base is zeroscope"),
        (adapter, animatediff, "no temporal transformer block mid_block"),
        (
            dataclasses.replace(adapter, blocks=narrow),
            animatediff,
            "is 8 in this base; .* is 3",
        ),
    ]
    for some, backbone, message in cases:
        base = predict(backbone)
        with pytest.raises(AdapterError, match=message), some.applied(backbone, 1.0):
            pass
        assert torch.equal(predict(backbone), base)


GOOD = {
    "down_blocks.0.motion_modules.0.transformer_blocks.0.qk": torch.zeros(1, 1, 3, 8),
    "down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.v": torch.zeros(2, 2, 3, 8),
    "down_blocks.0.motion_modules.0.transformer_blocks.0.attn2.v": torch.zeros(2, 2, 3, 8),
}
QK = next(iter(GOOD))


@pytest.mark.parametrize(
    ("tensors", "options", "message"),
    [
        (GOOD, {}, "one option"),
        (GOOD, {"debias": "twice"}, "one option"),
        (GOOD, {"debias": "none", "scale": 1.0}, "one option"),
        ({**GOOD, "down.0.to_q": torch.zeros(1)}, {"debias": "none"}, "not a tensor of a motion"),
        ({QK: GOOD[QK]}, {"debias": "none"}, "expected qk, attn1.v, attn2.v"),
        ({**GOOD, QK: torch.zeros(1, 3, 8)}, {"debias": "none"}, "of shape"),
        ({**GOOD, QK: torch.zeros(1, 1, 4, 8)}, {"debias": "none"}, "same frames"),
    ],
)
def test_damaged_embeddings_are_refused(
    tensors: Mapping[str, Tensor], options: Mapping[str, object], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        EmbeddingAdapter.from_state_dict(
            tensors, scope="temporal", family="animatediff", options=options
        )


@pytest.mark.parametrize("make", BACKBONES)
def test_sites_have_the_size_that_a_forward_pass_has(make: Callable[[], Backbone]) -> None:
    """7x6 latents, of which a halved level has 4x3."""
    backbone, sizes = make(), {}
    for site in embedding_sites(backbone.network):
        transformer = backbone.network.get_submodule(site.name.partition(".transformer_blocks")[0])
        transformer.register_forward_pre_hook(
            lambda _, args, kwargs, name=site.name: sizes.__setitem__(name, args[0].shape[-2:]),
            with_kwargs=True,
        )
    predict(backbone, height=7)
    expected = {
        s.name: torch.Size(s.positions(7, WIDTH)) for s in embedding_sites(backbone.network)
    }
    assert sizes == expected
    assert torch.Size([4, 3]) in sizes.values() and torch.Size([7, 6]) in sizes.values()
