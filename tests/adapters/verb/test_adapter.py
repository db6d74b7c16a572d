"""The motion enhancer: its residual, and where it is added."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from motion_core.adapters.verb.adapter import (
    VerbAdapter,
    fresh_enhancer,
    on_positions,
    residual,
    verb_embed,
)
from motion_core.backbones.base import Backbone, Family
from motion_core.errors import AdapterError, FormatError
from tests.tiny import PROMPT_DIM, tiny_animatediff, tiny_zeroscope

BACKBONES = [tiny_animatediff, tiny_zeroscope]
PROMPT = "a cat jumping high"
JUMPING = 3  # its one token, after start, "a" and "cat"


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return tiny_animatediff()


def adapter(
    seed: int = 0,
    width: int = PROMPT_DIM,
    frozen: bool = False,
    family: Family = "animatediff",
) -> VerbAdapter:
    rng = torch.Generator().manual_seed(seed)
    return VerbAdapter(
        scope="temporal",
        family=family,
        verb="jumping",
        frozen=frozen,
        w1=torch.randn(4, 3 + width, generator=rng),
        w2=torch.randn(width, 4, generator=rng),
        video_embed=torch.randn(3, generator=rng),
        residual=torch.randn(width, generator=rng),
    )


def own_residual(enhancer: VerbAdapter, embeds: Tensor, position: int) -> Tensor:
    return residual(enhancer.w1, enhancer.w2, enhancer.video_embed, embeds[0, position])


def test_residual_is_equation_3() -> None:
    """[ψ; τ] = (1, 2, 0); W1 of it is (10 + 0, -10); GELU(10) = 10 and GELU(-10) = 0 to seven
    digits; W2 gives 10 · (1, 2).
    """
    w1 = torch.tensor([[10.0, 0.0, 3.0], [0.0, -5.0, 3.0]])
    w2 = torch.tensor([[1.0, 5.0], [2.0, 7.0]])
    made = residual(w1, w2, torch.tensor([1.0]), torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(made, torch.tensor([10.0, 20.0]))


def test_the_verbs_tokens_are_averaged_and_each_gets_the_change() -> None:
    embeds = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 6.0], [9.0, 9.0]])
    assert verb_embed(embeds, [1, 2]).tolist() == [2.0, 4.0]
    change = on_positions(torch.tensor([5.0, 7.0]), [1, 2], 4)
    assert change.tolist() == [[0.0, 0.0], [5.0, 7.0], [5.0, 7.0], [0.0, 0.0]]


def test_a_fresh_enhancer_adds_nothing() -> None:
    w1, w2 = fresh_enhancer(3, 8, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert (w1.shape, w2.shape) == ((8, 11), (8, 8)) and w1.abs().min() > 0
    assert not residual(w1, w2, torch.ones(3), torch.ones(8)).any()


@pytest.mark.parametrize("make", BACKBONES)
def test_only_the_verb_of_a_prompt_changes(make: Callable[[], Backbone]) -> None:
    """E_cond = E_b + strength · E_r (Eq. 4) at position 3; the empty prompt stays; then all is as
    before.
    """
    text, enhancer = (backbone := make()).text, adapter(family=backbone.family)
    before = text.encode([PROMPT, ""])
    with enhancer.applied(backbone, 0.5):
        changed = text.encode([PROMPT, ""])
    expected = before.clone()
    expected[0, JUMPING] += 0.5 * own_residual(enhancer, before, JUMPING)
    torch.testing.assert_close(changed, expected)
    assert torch.equal(changed[1], before[1]) and not torch.equal(changed[0], before[0])
    assert torch.equal(text.encode([PROMPT, ""]), before)


def test_the_residual_is_made_anew_for_another_form_and_another_verb(backbone: Backbone) -> None:
    enhancer = adapter()
    for prompt, position in (("a dog jumps", 3), ("a black dog running", 4)):
        before = backbone.text.encode([prompt])
        with enhancer.applied(backbone, 1.0):
            change = backbone.text.encode([prompt]) - before
        torch.testing.assert_close(
            change[0, position], own_residual(enhancer, before, position), rtol=1e-4, atol=1e-5
        )
        assert change.abs().sum(-1).count_nonzero() == 1


def test_a_frozen_residual_is_the_stored_one(backbone: Backbone) -> None:
    enhancer = adapter(frozen=True)
    before = backbone.text.encode([PROMPT])
    with enhancer.applied(backbone, 2.0):
        change = backbone.text.encode([PROMPT])[0, JUMPING] - before[0, JUMPING]
    torch.testing.assert_close(change, 2 * enhancer.residual, rtol=1e-4, atol=1e-5)


def test_two_enhancers_add_up_each_from_the_models_own_embedding(backbone: Backbone) -> None:
    first, second = adapter(1), adapter(2)
    before = backbone.text.encode([PROMPT])
    with first.applied(backbone, 1.0), second.applied(backbone, -0.5):
        change = backbone.text.encode([PROMPT])[0, JUMPING] - before[0, JUMPING]
    expected = own_residual(first, before, JUMPING) - 0.5 * own_residual(second, before, JUMPING)
    torch.testing.assert_close(change, expected, rtol=1e-4, atol=1e-5)


def test_a_prompt_without_a_verb_is_left_and_that_is_logged(
    backbone: Backbone, caplog: pytest.LogCaptureFixture
) -> None:
    before = backbone.text.encode(["a blue square"])
    with adapter().applied(backbone, 1.0):
        assert torch.equal(backbone.text.encode(["a blue square"]), before)
        assert "'a blue square' has no verb" in caplog.text
        caplog.clear()
        backbone.text.encode([""])
    assert not caplog.records


def test_another_prompt_width_is_refused(backbone: Backbone) -> None:
    with (
        pytest.raises(AdapterError, match=r"prompts of width 9; these are 8 wide"),
        adapter(width=9).applied(backbone, 1.0),
    ):
        pass


@pytest.mark.parametrize(
    ("tensors", "options"),
    [
        ({"w1": torch.zeros(4, 12)}, {}),
        ({"w3": torch.zeros(1)}, {}),
        ({}, {"frozen": "yes"}),
        ({}, {"colour": "red"}),
    ],
)
def test_a_damaged_file_is_refused(tensors: dict[str, Tensor], options: dict[str, object]) -> None:
    enhancer = adapter()
    with pytest.raises(FormatError):
        VerbAdapter.from_state_dict(
            {**enhancer.state_dict(), **tensors},
            scope="temporal",
            family="zeroscope",
            options={**enhancer.options, **options},
        )


def test_of_a_file_lacking_a_tensor() -> None:
    tensors = adapter().state_dict()
    del tensors["w2"]
    with pytest.raises(FormatError, match="motion enhancer has w1"):
        VerbAdapter.from_state_dict(
            tensors,
            scope="temporal",
            family="zeroscope",
            options=adapter().options,
        )
