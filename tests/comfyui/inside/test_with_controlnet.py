"""ControlNet and T2I-Adapter steer both kinds of MODEL frame by frame, through the core's own nodes
and objects.

The nets are ComfyUI's classes in shape world's size with random weights: a frame's hint must reach
that frame, whatever it says. ZeroScope has Stable Diffusion 2's spatial layers, so that nets for it
fit ZeroScope.
"""

from __future__ import annotations

import comfy.cldm.cldm
import comfy.controlnet
import comfy.ops
import pytest
import torch
from comfy.model_patcher import ModelPatcher
from comfy.t2i_adapter.adapter import Adapter_light
from motion_adapters.nodes.comfy_models.image_model import image_model
from torch import Tensor, nn

import nodes
from tests.comfyui.inside import any_base
from tests.comfyui.inside.any_base import moving, plain_model
from tests.comfyui.inside.motions import a_lora, an_embedding
from tests.comfyui.inside.sampling import (
    FRAMES,
    NEGATIVE,
    PROMPT,
    Backbone,
    Conditioning,
    animatediff_base,
    conditioning,
    distance,
    sampled,
)
from tests.comfyui.inside.test_with_context_windows import in_windows

Control = comfy.controlnet.ControlBase
LONG = 2 * FRAMES

# Fixtures.
backbone = any_base.backbone


@pytest.fixture
def model(backbone: Backbone) -> ModelPatcher:
    return moving(plain_model(backbone), backbone, {})


@pytest.fixture(scope="module")
def controlnet() -> Control:
    """As the core makes it of a file: by the configuration of the UNet that it is for. Both bases
    have the same spatial layers, but for how many heads they have.
    """
    config = dict(image_model(animatediff_base()).model.model_config.unet_config)
    del config["out_channels"]
    net = comfy.cldm.cldm.ControlNet(
        hint_channels=3, operations=comfy.ops.disable_weight_init, **config
    )
    return comfy.controlnet.ControlNet(drawn(net), load_device=torch.device("cpu"))


@pytest.fixture(scope="module")
def t2i_adapter() -> Control:
    """One level of features, which the core adds behind the second layer: 64 wide, 4x4 of 8x8."""
    net = drawn(Adapter_light(channels=[64], nums_rb=1, cin=3 * 64))
    return comfy.controlnet.T2IAdapter(net, 3, 4, "nearest-exact", torch.device("cpu"))


def drawn(net: nn.Module) -> nn.Module:
    """Random weights, also where training starts from zero; outputs are of the inputs' size."""
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, weight[0].numel() ** -0.5, generator=rng)
            else:
                weight.fill_(float(name.endswith("weight")))
    return net.eval().requires_grad_(False)


def hints(marked: int | None, frames: int = FRAMES) -> Tensor:
    """Grey images, one a frame; that of `marked` is noise."""
    images = torch.full((frames, 64, 64, 3), 0.5)
    if marked is not None:
        images[marked] = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(1))
    return images


def controlled(
    backbone: Backbone, control: Control, images: Tensor, strength: float = 1.0, end: float = 1.0
) -> tuple[Conditioning, Conditioning]:
    """Positive and negative, of Apply ControlNet."""
    with torch.inference_mode():
        return nodes.ControlNetApplyAdvanced().apply_controlnet(
            conditioning(backbone, PROMPT),
            conditioning(backbone, NEGATIVE),
            *(control, images, strength, 0.0, end),
        )


def steered(
    model: ModelPatcher,
    backbone: Backbone,
    control: Control,
    images: Tensor,
    steps: int = 1,
    strength: float = 1.0,
    end: float = 1.0,
    frames: int = FRAMES,
) -> Tensor:
    positive, negative = controlled(backbone, control, images, strength, end)
    return sampled(model, backbone, frames, steps, positive, negative)


@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
@pytest.mark.parametrize("marked", [0, 3, FRAMES - 1])
def test_a_frames_hint_lands_on_that_frame(
    model: ModelPatcher,
    backbone: Backbone,
    kind: str,
    marked: int,
    request: pytest.FixtureRequest,
) -> None:
    """Temporal layers carry it to the others too, where it weighs less."""
    control = request.getfixturevalue(kind)
    plain = steered(model, backbone, control, hints(None))
    change = (steered(model, backbone, control, hints(marked)) - plain).abs().mean(dim=(1, 2, 3))
    assert int(change.argmax()) == marked
    assert (change > 0).all()


def test_motions_play_under_control(
    model: ModelPatcher, backbone: Backbone, controlnet: Control
) -> None:
    """The control and the motions each have their say; of strength 0 the control has none."""
    adapters = {"lora": a_lora(backbone), "embedding": an_embedding(backbone)}
    moved = moving(plain_model(backbone), backbone, adapters)
    images = hints(3)
    free = sampled(moved, backbone, steps=2)
    bound = steered(moved, backbone, controlnet, images, steps=2)
    assert distance(bound, free) > 0.1
    assert distance(bound, steered(model, backbone, controlnet, images, steps=2)) > 0.1
    assert torch.equal(steered(moved, backbone, controlnet, images, steps=2, strength=0.0), free)
    assert torch.equal(sampled(moved, backbone, steps=2), free)


def test_a_net_that_adds_nothing_changes_nothing(
    model: ModelPatcher, backbone: Backbone, controlnet: Control
) -> None:
    """The node leaves a strength of 0 out; here the net runs, and its residuals are zeros."""
    positive, negative = controlled(backbone, controlnet, hints(3))
    for [_, extra] in (*positive, *negative):
        extra["control"].strength = 0.0
    silent = sampled(model, backbone, steps=2, positive=positive, negative=negative)
    assert torch.equal(silent, sampled(model, backbone, steps=2))


def test_control_of_one_prompt_and_of_a_share_of_the_steps(
    model: ModelPatcher, backbone: Backbone, controlnet: Control
) -> None:
    """The core then asks for each prompt by itself, or in some steps without control."""
    images = hints(3)
    free = sampled(model, backbone, steps=2)
    bound = steered(model, backbone, controlnet, images, steps=2)
    positive, _ = controlled(backbone, controlnet, images)
    one = sampled(model, backbone, steps=2, positive=positive)
    early = steered(model, backbone, controlnet, images, steps=2, end=0.4)
    for some in (one, early):
        assert distance(some, free) > 0.05 and distance(some, bound) > 0.05


def test_nets_add_up(
    model: ModelPatcher, backbone: Backbone, controlnet: Control, t2i_adapter: Control
) -> None:
    """A second Apply ControlNet behind the first, in either order."""
    nets = [(controlnet, hints(3)), (t2i_adapter, hints(5))]

    def chained(first: tuple[Control, Tensor], second: tuple[Control, Tensor]) -> Tensor:
        given = controlled(backbone, *first)
        with torch.inference_mode():
            positive, negative = nodes.ControlNetApplyAdvanced().apply_controlnet(
                *given, *second, 1.0, 0.0, 1.0
            )
        return sampled(model, backbone, steps=1, positive=positive, negative=negative)

    both = chained(*nets)
    for net in nets:
        assert distance(both, steered(model, backbone, *net)) > 1e-3
    assert distance(both, chained(*nets[::-1])) < 1e-5


@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
@pytest.mark.parametrize("marked", [2, 12])
@pytest.mark.parametrize("overlap", [0, 3])
def test_a_frames_hint_lands_on_that_frame_in_windows(
    model: ModelPatcher,
    backbone: Backbone,
    kind: str,
    marked: int,
    overlap: int,
    request: pytest.FixtureRequest,
) -> None:
    """Of 16 frames in windows of 8; a window without the frame is as it would be."""
    control = request.getfixturevalue(kind)
    windowed = in_windows(model, context_length=FRAMES, context_overlap=overlap)
    plain, other = (
        steered(windowed, backbone, control, hints(frame, LONG), frames=LONG)
        for frame in (None, marked)
    )
    change = (other - plain).abs().mean(dim=(1, 2, 3))
    assert int(change.argmax()) == marked
    if not overlap:
        elsewhere = change[FRAMES + 1 :] if marked < FRAMES else change[: FRAMES - 1]
        assert float(elsewhere.max()) == 0.0


def test_few_hints_are_taken_over_and_over_in_windows(
    model: ModelPatcher, backbone: Backbone, controlnet: Control
) -> None:
    """As without windows: six hints for sixteen frames, or one for all."""
    windowed = in_windows(model, context_length=FRAMES, context_overlap=3)
    six = hints(3, 6)
    for few in (six, six[3:4]):
        spelled = few[[frame % len(few) for frame in range(LONG)]]
        ours, every = (
            steered(windowed, backbone, controlnet, images, strength=8.0, frames=LONG)
            for images in (few, spelled)
        )
        assert distance(ours, every) < 1e-3
