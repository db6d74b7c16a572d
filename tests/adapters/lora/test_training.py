"""LoRA: injected, trained, switched, exported, applied, taken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
import torch
from diffusers import UNet3DConditionModel, UNetMotionModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from motion_core.adapters.base import Scope
from motion_core.adapters.lora.adapter import LoraAdapter
from motion_core.adapters.lora.keys import LoraPair
from motion_core.adapters.lora.layer import LoraLinear
from motion_core.adapters.lora.training import LoraPlan, TrainableLora, trainable_lora
from motion_core.backbones.base import Backbone
from motion_core.backbones.temporal import spatial_linear_names, temporal_linear_names
from motion_core.errors import AdapterError, SettingsError
from tests.tiny import tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
Maker = Callable[[], Backbone]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def predict(backbone: Backbone) -> Tensor:
    rng = seeded(7)
    latents = torch.randn(1, 4, 3, 8, 8, generator=rng)
    prompt = torch.randn(1, 16, 8, generator=rng)
    return backbone.predict(latents, torch.tensor([500]), prompt)


def stir(lora: TrainableLora, seed: int = 1) -> None:
    """Weights as after training: none of them zero."""
    with torch.no_grad():
        for weight in lora.parameters:
            weight.normal_(0, 0.3, generator=seeded(seed))


def make_lora(
    unet: nn.Module,
    name: str,
    linears: Sequence[str],
    *,
    scope: Scope = "temporal",
    rank: int = 1,
    alpha: float = 1.0,
    dropout: float = 0.0,
) -> AbstractContextManager[TrainableLora]:
    return trainable_lora(
        unet,
        name,
        linears,
        scope=scope,
        family="animatediff",
        rank=rank,
        alpha=alpha,
        dropout=dropout,
        rng=seeded(),
    )


@contextmanager
def inject(
    unet: nn.Module, name: str, linears: list[str], rank: int = 2, dropout: float = 0.0
) -> Iterator[TrainableLora]:
    """A LoRA that takes part all the time."""
    made = make_lora(unet, name, linears, rank=rank, alpha=rank, dropout=dropout)
    with made as lora, lora.active():
        yield lora


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", BACKBONES)
@torch.no_grad()
def test_a_fresh_lora_changes_nothing(make: Maker, dtype: torch.dtype) -> None:
    """B = 0, so W0 x + B A x = W0 x, bit for bit, in the base's dtype; the LoRA's is float32."""
    backbone = make()
    backbone.network.to(dtype)
    base = predict(backbone)
    with inject(backbone.network, "temporal", backbone.sites("temporal")) as lora:
        assert torch.equal(predict(backbone), base)
        assert {weight.dtype for weight in lora.parameters} == {torch.float32}
        stir(lora)
        assert predict(backbone).dtype == dtype
        assert not torch.equal(predict(backbone), base)


@pytest.mark.parametrize("make", BACKBONES)
@torch.no_grad()
def test_only_active_ones_take_part(make: Maker) -> None:
    """None at first; each beside the others that are active already."""
    backbone = make()
    unet, spatial = backbone.network, backbone.sites("spatial")
    base = predict(backbone)
    with (
        make_lora(unet, "temporal", backbone.sites("temporal"), rank=2, alpha=2) as temporal,
        make_lora(unet, "spatial.0", spatial, rank=2, alpha=2) as first,
        make_lora(unet, "spatial.1", spatial, rank=2, alpha=2) as second,
    ):
        for seed, lora in enumerate((temporal, first, second)):
            stir(lora, seed)
        assert torch.equal(predict(backbone), base)
        with temporal.active(), first.active():
            with second.active():
                everything = predict(backbone)
            both = predict(backbone)
        with second.active():
            alone = predict(backbone)
        assert torch.equal(predict(backbone), base)
        with first.active(), temporal.active():
            assert torch.equal(predict(backbone), both)
        with first.active():
            other = predict(backbone)
    with inject(unet, "only", spatial) as lora:
        stir(lora, seed=2)
        assert torch.equal(predict(backbone), alone)
    assert len({float(x.sum()) for x in (base, everything, both, alone, other)}) == 5


def two_layers() -> nn.Sequential:
    """W = [[1, 2], [3, 4]] in both layers, no bias."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    for layer in model:
        layer.weight = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    return model


def set_weights(lora: TrainableLora, down: list[list[float]], up: list[list[float]]) -> None:
    with torch.no_grad():
        lora.parameters[0].copy_(torch.tensor(down))
        lora.parameters[1].copy_(torch.tensor(up))


def test_overlapping_sets_add_up() -> None:
    """x = (1, 1), W x = (3, 7). Set a: A = (1, 1/2), B = (2, -1), alpha / r = 3: 3 · B · 1.5 =
    (9, -4.5). Set b: A = (0, 1), B = (1, 1), alpha / r = 1: (1, 1). Both: (3 + 9 + 1, 7 - 4.5 + 1).
    """
    model, x = two_layers()[:1], torch.ones(1, 2)
    with (
        make_lora(model, "a", ["0"], alpha=3) as a,
        make_lora(model, "b", ["0"]) as b,
    ):
        set_weights(a, [[1.0, 0.5]], [[2.0], [-1.0]])
        set_weights(b, [[0.0, 1.0]], [[1.0], [1.0]])
        for loras, value in (((a, b), [13, 3.5]), ((a,), [12, 2.5]), ((b,), [4, 8]), ((), [3, 7])):
            with ExitStack() as stack:
                for lora in loras:
                    stack.enter_context(lora.active())
                assert model(x).tolist() == [value]


def test_gradients_reach_the_named_set_only() -> None:
    """L = sum(y), y = W x + s B A x, x = (1, 1), s = 3: dL/dB = s · 1 · A x = 3 · 1.5 = 4.5 in both
    rows; dL/dA = s · (B_1 + B_2) · x = 3 · (2 - 1) · (1, 1) = (3, 3). Switching sets off and on
    must not freeze them.
    """
    model, x = two_layers()[:1], torch.ones(1, 2)
    with (
        make_lora(model, "a", ["0"], alpha=3) as a,
        make_lora(model, "b", ["0"]) as b,
    ):
        set_weights(a, [[1.0, 0.5]], [[2.0], [-1.0]])
        with b.active():
            model(x).sum().backward(inputs=b.parameters)
        assert [weight.grad for weight in a.parameters] == [None, None]
        b.parameters[0].grad = b.parameters[1].grad = None
        with a.active(), b.active():
            model(x).sum().backward(inputs=a.parameters)
        down, up = (weight.grad for weight in a.parameters)
        assert down is not None and down.tolist() == [[3.0, 3.0]]
        assert up is not None and up.tolist() == [[4.5], [4.5]]
        assert [weight.grad for weight in b.parameters] == [None, None]
        assert not model[0].base_layer.weight.requires_grad
        b.parameters[0].requires_grad_(False)
        with b.active(), inject(model, "c", ["0"]):
            assert [weight.requires_grad for weight in b.parameters] == [False, True]
        assert [weight.requires_grad for weight in b.parameters] == [False, True]
        assert all(weight.requires_grad for weight in a.parameters)


@pytest.mark.parametrize("make", BACKBONES)
def test_checkpointing_gives_the_same_gradients(make: Maker) -> None:
    """Also with dropout: the recomputed block must drop what the forward pass has dropped."""
    gradients = []
    for checkpointing in (False, True):
        backbone = make()
        with inject(backbone.network, "temporal", backbone.sites("temporal"), dropout=0.5) as lora:
            stir(lora)
            torch.manual_seed(3)
            if checkpointing:
                output = checkpoint(predict, backbone, use_reentrant=False)
            else:
                output = predict(backbone)
            output.square().sum().backward(inputs=lora.parameters)
            gradients.append([weight.grad for weight in lora.parameters])
    for plain, recomputed in zip(*gradients, strict=True):
        assert plain is not None and recomputed is not None and plain.abs().sum() > 0
        torch.testing.assert_close(recomputed, plain)


@torch.no_grad()
def test_dropout_acts_until_eval() -> None:
    """In eval mode p does not matter; before, two passes differ."""
    backbone = tiny_animatediff()
    with inject(backbone.network, "temporal", backbone.sites("temporal"), dropout=0.5) as lora:
        stir(lora)
        assert not torch.equal(predict(backbone), predict(backbone))
        backbone.network.eval()
        dropless = predict(backbone)
        assert torch.equal(dropless, predict(backbone))
    with inject(backbone.network, "temporal", backbone.sites("temporal")) as lora:
        stir(lora)
        assert torch.equal(predict(backbone), dropless)


@pytest.mark.parametrize("make", BACKBONES)
def test_the_original_layers_come_back(make: Maker) -> None:
    """The very same objects and requires_grad, whether the context ends or fails, also nested."""
    backbone = make()
    unet, spatial = backbone.network, backbone.sites("spatial")
    weight = unet.get_parameter(f"{spatial[0]}.weight").requires_grad_(True)
    modules, attributes = dict(unet.named_modules()), set(vars(unet))
    with pytest.raises(RuntimeError, match="stop"), inject(unet, "spatial.0", spatial) as first:
        stir(first)
        before = predict(backbone)
        assert not weight.requires_grad
        with pytest.raises(KeyError), inject(unet, "spatial.1", spatial[:3]) as second:
            stir(second)
            raise KeyError
        assert torch.equal(predict(backbone), before)
        assert all(parameter.requires_grad for parameter in first.parameters)
        raise RuntimeError("stop")
    after = dict(unet.named_modules())
    assert after.keys() == modules.keys()
    assert all(after[name] is module for name, module in modules.items())
    assert set(vars(unet)) == attributes
    assert [name for name, p in unet.named_parameters() if p.requires_grad] == [
        f"{spatial[0]}.weight"
    ]


def test_full_names_are_matched_not_endings() -> None:
    """ "0.1" is also the ending of "1.0.1", which must stay as it is."""
    inner = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model = nn.Sequential(inner, nn.Sequential(two_layers(), nn.Linear(2, 2)))
    with inject(model, "x", ["0.1"]):
        found = [name for name, module in model.named_modules() if isinstance(module, LoraLinear)]
        assert found == ["0.1"]


@pytest.mark.parametrize("make", BACKBONES)
def test_exactly_the_given_layers_are_adapted(make: Maker) -> None:
    backbone = make()
    names = backbone.sites("temporal")
    with inject(backbone.network, "temporal", names) as lora:
        modules = backbone.network.named_modules()
        found = {name for name, module in modules if isinstance(module, LoraLinear)}
        assert found == set(names)
        assert list(lora.layers) == names
        trained = [p for p in backbone.network.parameters() if p.requires_grad]
        assert {id(p) for p in trained} == {id(p) for p in lora.parameters}


def test_initial_values_come_from_the_generator() -> None:
    """A has standard deviation 1/r: of 2 · 64 · 64 values at r = 64, about 1/64, within 5 standard
    errors (each 1 / (64 sqrt(2 n))); B = 0. The global generator is left alone.
    """
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(64, 32))
    state = torch.get_rng_state()
    with inject(model, "x", ["0", "1"], rank=64) as lora:
        first = [weight.clone() for weight in lora.parameters]
    with inject(model, "x", ["0", "1"], rank=64) as lora:
        again = lora.parameters
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not first[1].any() and not first[3].any()
    values = torch.cat([first[0], first[2]]).flatten()
    error = 1 / (64 * (2 * values.numel()) ** 0.5)
    assert abs(float(values.detach().std()) - 1 / 64) < 5 * error
    assert not torch.equal(first[0], first[2])


def test_export_bakes_alpha_in_and_copies() -> None:
    """up = B · alpha / r = (2, -1) · 3 / 1 = (6, -3)."""
    model = two_layers()
    with make_lora(model, "x", ["0"], alpha=3) as lora:
        set_weights(lora, [[1.0, 0.5]], [[2.0], [-1.0]])
        adapter = lora.export()
        stir(lora)
    assert adapter.pairs["0"].down.tolist() == [[1.0, 0.5]]
    assert adapter.pairs["0"].up.tolist() == [[6.0], [-3.0]]
    assert (adapter.kind, adapter.scope, adapter.family) == ("lora", "temporal", "animatediff")


@pytest.mark.parametrize("make", BACKBONES)
@torch.no_grad()
def test_applied_is_the_trained_lora(make: Maker) -> None:
    """Merged weights give what the injected branch gives, up to rounding; several add up."""
    backbone = make()
    temporal = LoraPlan(scope="temporal", linears=backbone.sites("temporal"), rank=2, alpha=3)
    spatial = LoraPlan(scope="spatial", linears=backbone.sites("spatial"), rank=2, alpha=2)
    with ExitStack() as stack:
        adapters = []
        for seed, (name, plan) in enumerate({"temporal": temporal, "spatial.0": spatial}.items()):
            lora = stack.enter_context(plan.made(name, backbone, seeded()))
            stack.enter_context(lora.active())
            stir(lora, seed)
            adapters.append(lora.export())
        trained = predict(backbone)
    base = predict(backbone)
    with adapters[0].applied(backbone, 1.0), adapters[1].applied(backbone, 1.0):
        torch.testing.assert_close(predict(backbone), trained, rtol=1e-4, atol=1e-4)
    assert torch.equal(predict(backbone), base)
    assert (trained - base).abs().max() > 0.1


@pytest.mark.parametrize("dtype", DTYPES)
@torch.no_grad()
def test_applied_merges_in_float32_and_restores(dtype: torch.dtype) -> None:
    """W = W0 + γ · up @ down, rounded once to the base's dtype; then the same tensor object."""
    backbone = tiny_animatediff()
    backbone.network.to(dtype)
    name = backbone.sites("temporal")[0]
    layer = backbone.network.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    original, kept = layer.weight, layer.weight.clone()
    up, down = torch.randn(8, 2, generator=seeded()), torch.randn(2, 8, generator=seeded())
    adapter = LoraAdapter(scope="temporal", family="animatediff", pairs={name: LoraPair(down, up)})
    expected = (kept.float() + 0.7 * (up @ down)).to(dtype)
    with pytest.raises(RuntimeError, match="stop"), adapter.applied(backbone, 0.7):
        assert torch.equal(layer.weight, expected)
        with adapter.applied(backbone, -0.7):
            torch.testing.assert_close(layer.weight, kept, rtol=0.05, atol=0.02)
        assert torch.equal(layer.weight, expected)
        raise RuntimeError("stop")
    assert layer.weight is original and torch.equal(original, kept)


def pair(rank: int, inputs: int, outputs: int) -> LoraPair:
    return LoraPair(torch.ones(rank, inputs), torch.ones(outputs, rank))


def test_an_adapter_that_does_not_fit_is_refused() -> None:
    backbone = tiny_animatediff()
    first, second = backbone.sites("temporal")[:2]
    original = backbone.network.get_submodule(first).weight
    bad = {
        "trained on zeroscope": LoraAdapter(
            scope="temporal", family="zeroscope", pairs={first: pair(2, 8, 8)}
        ),
        "1 of 2 parameters .* nowhere": LoraAdapter(
            scope="temporal",
            family="animatediff",
            pairs={first: pair(2, 8, 8), "nowhere": pair(2, 8, 8)},
        ),
        "is 8x8 in this base; the adapter's is 8x320": LoraAdapter(
            scope="temporal",
            family="animatediff",
            pairs={first: pair(2, 8, 8), second: pair(2, 320, 8)},
        ),
    }
    for message, adapter in bad.items():
        with pytest.raises(AdapterError, match=message), adapter.applied(backbone, 1.0):
            pass
        assert backbone.network.get_submodule(first).weight is original


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"rank": 0}, SettingsError, "rank is 0; expected at least 1"),
        ({"alpha": 0.0}, SettingsError, "alpha is 0.0"),
        ({"dropout": 1.0}, SettingsError, "dropout is 1.0"),
        ({"linears": ["9"]}, AdapterError, "1 of 1 linear layers .* 9"),
        ({"linears": []}, AdapterError, "no names were given"),
    ],
)
def test_bad_requests_leave_the_model_alone(
    changed: dict, error: type[Exception], message: str
) -> None:
    model = two_layers()
    request = {"linears": ["0"], **changed}
    with pytest.raises(error, match=message), make_lora(model, "x", **request):
        pass
    assert type(model[0]) is nn.Linear and model[0].weight.requires_grad


def test_names_are_checked() -> None:
    model = two_layers()
    with inject(model, "spatial.0", ["0"]) as lora:
        with (
            pytest.raises(AdapterError, match=r"'spatial\.0' is already"),
            inject(model, "spatial.0", ["1"]),
        ):
            pass
        assert model(torch.ones(1, 2)).requires_grad and len(lora.parameters) == 2


CROSS = "CrossAttnDownBlock3D"


def count(unet: nn.Module, names: list[str]) -> int:
    with inject(unet, "x", names, rank=32) as lora:
        return sum(weight.numel() for weight in lora.parameters)


def test_parameter_counts_of_zeroscope() -> None:
    """At width d and rank r a d → d layer has r (d + d) = 2 r d. An attention (q, k, v, out) has
    8 r d; a GEGLU feed-forward r (d + 8 d) + r (4 d + d) = 14 r d. A temporal block has two
    attentions: 30 r d; of a spatial block attn1 and ff count: 22 r d.

    Blocks: 320 and 640 wide 2 down + 3 up each, 1280 wide 2 down + 1 mid + 3 up:
    Σd = 5 · 320 + 5 · 640 + 6 · 1280 = 12480; transformer_in, temporal, adds 8 heads · 64 = 512.
    Temporal: 30 · 32 · 12992 = 12,472,320. Spatial: 22 · 32 · 12480 = 8,785,920.
    The paper says 12 and 9 million (MotionDirector, on the cost of training ZeroScope).
    """
    with torch.device("meta"):
        unet = UNet3DConditionModel(
            block_out_channels=(320, 640, 1280, 1280),
            down_block_types=(CROSS, CROSS, CROSS, "DownBlock3D"),
            layers_per_block=2,
            attention_head_dim=64,
            cross_attention_dim=1024,
        )
    assert count(unet, temporal_linear_names(unet)) == 12_472_320
    assert count(unet, spatial_linear_names(unet)) == 8_785_920


def test_parameter_counts_of_animatediff() -> None:
    """Motion modules stand at all four levels: 2 down + 3 up at 320 and 640, 4 + 6 at 1280, and one
    mid in v2: Σd = 5 · 320 + 5 · 640 + 11 · 1280 = 18880. Temporal: 30 · 32 · 18880 = 18,124,800.
    Spatial as in ZeroScope: 8,785,920.
    """
    with torch.device("meta"):
        unet = UNetMotionModel(use_motion_mid_block=True, cross_attention_dim=768)
    assert count(unet, temporal_linear_names(unet)) == 18_124_800
    assert count(unet, spatial_linear_names(unet)) == 8_785_920
