"""Sample Motion Video, Motion Noise, Evaluate Motion and Recaption Frames on shape world."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.model_management as management
import comfy.utils
import pytest
import torch
from motion_adapters.nodes.evaluate import EvaluateMotion
from motion_adapters.nodes.evaluation_models import NONE
from motion_adapters.nodes.host.bridge import image_from_pixels
from motion_adapters.nodes.host.folders import LANGUAGE, register_folders, save_folder
from motion_adapters.nodes.recaption import RecaptionFrames
from motion_adapters.nodes.sample import MotionNoise, SampleMotionVideo, _settings
from motion_adapters.nodes.sockets import MotionBase, adapters_to_apply

from motion_core.adapter_files.loaded import LoadedAdapter
from motion_core.adapter_files.sample_defaults import SAMPLING
from motion_core.adapters.injector import InjectorAdapter, injector_sites
from motion_core.adapters.lora.adapter import LoraAdapter, find_linears
from motion_core.adapters.lora.keys import LoraPair
from motion_core.bases import base_defaults
from motion_core.diffusion.generate import generate
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import AdapterError, ClipError, MotionError, SettingsError
from motion_core.settings import BASES_OWN
from motion_core.shape_world.base import load_shape_world
from motion_core.shape_world.references import DEMO_CLIP
from motion_core.types import Clip
from motion_core.video.clips import load_clips
from motion_core.video.settings import ClipSettings
from tests.adapter_files.test_own import an_info
from tests.comfyui.inside.called import called
from tests.methods.test_recaption import folder as llava  # noqa: F401  (a fixture)

NAME = "shape-world-animatediff"
PROMPT = "a blue square zigzagging on a grey background"
FRAMES, SIZE, STEPS = 4, 32, 2


@pytest.fixture(scope="module", autouse=True)
def _folders() -> None:
    register_folders()


@pytest.fixture(scope="module")
def base() -> MotionBase:
    with torch.inference_mode():
        backbone = load_shape_world(NAME)
    return MotionBase(name=NAME, backbone=backbone, defaults=base_defaults(NAME))


@pytest.fixture(scope="module")
def motion(base: MotionBase) -> LoadedAdapter:
    """A random LoRA on every temporal layer, strong enough to be seen, with noise."""
    rng = torch.Generator().manual_seed(0)
    linears = find_linears(base.backbone.network, base.backbone.sites("temporal"))
    pairs = {
        name: LoraPair(
            torch.randn(2, layer.in_features, generator=rng) * 0.1,
            torch.randn(layer.out_features, 2, generator=rng) * 0.1,
        )
        for name, layer in linears.items()
    }
    info = dataclasses.replace(
        an_info(), version=NAME, frames=FRAMES, width=SIZE, height=SIZE, fps=12.5
    )
    lora = LoraAdapter(scope="temporal", family="animatediff", pairs=pairs)
    inverted = torch.randn(1, 4, FRAMES, SIZE // 8, SIZE // 8, generator=rng)
    return LoadedAdapter(name="random", info=info, adapters={"temporal": lora}, inverted=inverted)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clips(DEMO_CLIP, ClipSettings(frames=8), "a red circle zigzagging")[0]


def sampled(base: MotionBase, *motions: LoadedAdapter, **changed: Any) -> tuple[torch.Tensor, Any]:
    inputs = {
        "prompt": PROMPT,
        "negative_prompt": "",
        "seed": 5,
        "steps": STEPS,
        "guidance_scale": 0.0,
        "guidance_rescale": 0.0,
        "frames": 0,
        "width": 0,
        "height": 0,
        "noise_prior": 0.0,
        "adapter_end": 0.0,
        **changed,
    }
    return called(SampleMotionVideo, base=base, motions=motions, **inputs).args


def small(**changed: Any) -> dict[str, Any]:
    return {"frames": FRAMES, "width": SIZE, "height": SIZE, **changed}


def settings(**changed: Any) -> SampleSettings:
    """The base's defaults, which are not those of SampleSettings."""
    usual = base_defaults(NAME)
    values = {
        "steps": STEPS,
        "guidance_scale": usual.guidance_scale,
        "adapter_end": usual.adapter_end,
        "seed": 5,
        **changed,
    }
    return SampleSettings(frames=FRAMES, width=SIZE, height=SIZE, **values)


def test_it_is_the_cores_own_sampling(base: MotionBase, motion: LoadedAdapter) -> None:
    """Size, length, steps and guidance that are left at 0 are those of the motion and the base."""
    frames, video = sampled(base, motion)
    expected = generate(base.backbone, PROMPT, adapters_to_apply([motion]), settings())
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    assert torch.equal(frames, image_from_pixels(expected))
    components = video.get_components()
    assert float(components.frame_rate) == 12.5 and torch.equal(components.images, frames)


def test_what_is_set_counts(base: MotionBase, motion: LoadedAdapter) -> None:
    said = {
        "guidance_scale": 2.0,
        "guidance_rescale": 0.5,
        "noise_prior": 0.4,
        "adapter_end": 1.0,
        "negative_prompt": "a red circle",
    }
    frames, _ = sampled(base, motion, **said)
    expected = generate(
        base.backbone, PROMPT, adapters_to_apply([motion]), settings(**said), motion.inverted
    )
    assert torch.equal(frames, image_from_pixels(expected))
    plain, _ = sampled(base, motion)
    assert not torch.equal(frames, plain)


def test_a_motion_of_strength_0_is_no_motion_bit_for_bit(
    base: MotionBase, motion: LoadedAdapter
) -> None:
    without, _ = sampled(base, **small())
    silent, video = sampled(base, dataclasses.replace(motion, strength=0.0), **small())
    playing, _ = sampled(base, motion, **small())
    assert torch.equal(silent, without) and not torch.equal(playing, without)
    assert float(video.get_components().frame_rate) == base.defaults.fps
    # The base is as it was before.
    assert torch.equal(sampled(base, **small())[0], without)


def test_without_motions_the_base_samples_at_its_own_size(base: MotionBase) -> None:
    short = dataclasses.replace(base, defaults=dataclasses.replace(base.defaults, frames=2))
    frames, video = called(SampleMotionVideo, base=short, prompt=PROMPT, steps=1).args
    assert frames.shape == (2, 64, 64, 3)
    assert float(video.get_components().frame_rate) == base.defaults.fps


@pytest.mark.parametrize(
    ("name", "steps", "guidance", "end"),
    [
        ("shape-world-animatediff", 12, 5.5, 0.6),
        ("shape-world-zeroscope", 12, 4.5, 0.6),
        ("animatediff", 25, 7.5, 1.0),
        ("zeroscope", 30, 12.0, 1.0),
    ],
)
def test_a_zero_is_what_ran_in_version_0_1_0(
    name: str, steps: int, guidance: float, end: float, base: MotionBase, motion: LoadedAdapter
) -> None:
    """By hand, from motion_core/bases.py there: whatever the adapter's method says of sampling,
    which no file of then did; what is left out is as that method samples.
    """
    own = {"steps": 20, "guidance_scale": 9.0, "adapter_end": 0.8, "noise_prior": 0.5}
    trained = dataclasses.replace(motion.info, settings={SAMPLING: own})
    motions = (dataclasses.replace(motion, info=trained),)
    on = dataclasses.replace(base, defaults=base_defaults(name))
    zeros = {n: 0 for n in ("steps", "guidance_scale", "adapter_end", "frames", "width", "height")}
    ran = _settings(on, motions, **zeros, noise_prior=0.0)
    assert ran == SampleSettings(
        steps=steps,
        guidance_scale=guidance,
        adapter_end=end,
        noise_prior=0.0,
        frames=FRAMES,
        width=SIZE,
        height=SIZE,
    )
    suits = _settings(on, motions)
    assert {n: getattr(suits, n) for n in own} == own


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompt": " "}, "prompt is empty"),
        ({"noise_prior": 0.5, "frames": 3}, "Sample at the size and number of frames"),
        ({"frames": 200}, "frames"),
        ({"steps": 5000}, "steps is 5000"),
        ({"width": 36}, "width is 36; expected a multiple of 8, at least 8"),
    ],
)
def test_what_cannot_be_sampled(
    base: MotionBase, motion: LoadedAdapter, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(MotionError, match=message):
        sampled(base, motion, **changed)


def test_noise_that_is_not_there_is_asked_for(base: MotionBase, motion: LoadedAdapter) -> None:
    silent = dataclasses.replace(motion, inverted=None)
    with pytest.raises(SettingsError, match=r"no inverted noise \(random\)"):
        sampled(base, silent, noise_prior=0.2)
    with pytest.raises(SettingsError, match="no inverted noise"):
        called(MotionNoise, motions=(silent,), noise_prior=0.2, seed=0)


def test_a_motion_of_another_family_is_refused(base: MotionBase, motion: LoadedAdapter) -> None:
    other = dataclasses.replace(motion, info=dataclasses.replace(an_info("zeroscope"), frames=4))
    with pytest.raises(AdapterError, match="trained on zeroscope"):
        sampled(base, other)


@pytest.fixture
def _cancelling() -> Iterator[None]:
    """Cancel is pressed at the first step that the progress bar shows."""

    def seen(*_: Any, **__: Any) -> None:
        management.interrupt_current_processing()

    comfy.utils.set_progress_bar_global_hook(seen)
    yield
    comfy.utils.set_progress_bar_global_hook(None)
    management.interrupt_current_processing(False)


@pytest.mark.usefixtures("_cancelling")
def test_cancel_stops_it_and_restores_the_base(base: MotionBase, motion: LoadedAdapter) -> None:
    before = [parameter.clone() for parameter in base.backbone.network.parameters()]
    with pytest.raises(management.InterruptProcessingException):
        sampled(base, motion, steps=8)
    assert not management.processing_interrupted()
    after = base.backbone.network.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_motion_noise_is_what_the_video_starts_from(
    base: MotionBase, motion: LoadedAdapter
) -> None:
    """The core's sampler with this noise as all of its prior gives the same frames."""
    (noise,) = called(MotionNoise, motions=(motion,), noise_prior=0.4, seed=5).args
    latent = {"samples": torch.zeros(FRAMES, 4, SIZE // 8, SIZE // 8)}
    made = noise.generate_noise(latent)
    assert noise.seed == 5 and made.shape == latent["samples"].shape
    start = made.transpose(0, 1)[None]
    again = generate(base.backbone, PROMPT, [], settings(noise_prior=1.0), start)
    silent = dataclasses.replace(motion, strength=0.0)
    frames, _ = sampled(base, silent, noise_prior=0.4, **small())
    assert torch.equal(frames, image_from_pixels(again))


def test_a_look_is_told_to_the_injectors_of_motrans(
    base: MotionBase, motion: LoadedAdapter
) -> None:
    rng = torch.Generator().manual_seed(2)
    weights = {
        name: torch.randn(channels, 64, generator=rng) * 0.1
        for name, channels in injector_sites(base.backbone.network).items()
    }
    injector = InjectorAdapter(
        scope="temporal", family="animatediff", injection="add", weights=weights
    )
    both = dataclasses.replace(motion, adapters={**motion.adapters, "injector": injector})
    look = torch.zeros(1, 64, 64, 3)
    plain, _ = sampled(base, both)
    seen, _ = sampled(base, both, look=look, look_encoder=BASES_OWN)
    assert torch.equal(plain, sampled(base, motion)[0]) and not torch.equal(seen, plain)
    with pytest.raises(AdapterError, match="No adapter can inject the look"):
        sampled(base, motion, look=look, look_encoder=BASES_OWN)


def evaluated(clip: Clip, frames: torch.Tensor, **changed: Any) -> tuple[str, dict[str, Any]]:
    inputs = {
        "prompt": "",
        "entity_prompt": "",
        "clip_model": NONE,
        "clip_weights": NONE,
        "videomae": NONE,
        "pick_score": NONE,
        "tracker": "opencv",
        "cotracker_weights": NONE,
        **changed,
    }
    text, record = called(EvaluateMotion, reference=(clip,), frames=frames, **inputs).args
    return text, json.loads(record)


def test_the_reference_itself_moves_as_the_reference(clip: Clip) -> None:
    """Its motion is kept at 1; a still picture of it keeps none."""
    same = image_from_pixels(clip.frames)
    still = same[:1].expand(len(same), -1, -1, -1)
    text, record = evaluated(
        clip,
        same,
        base_frames=still,
        clip_model="shape-world",
        prompt="a red circle zigzagging on a checkered background",
        entity_prompt="a red circle",
    )
    generated, base_alone = record["videos"]
    assert (generated["video"], base_alone["video"]) == ("generated", "base alone")
    moved = [v["scores"]["motion_fidelity_tracklets"] for v in (generated, base_alone)]
    points = record["reference_points"], generated["points"], base_alone["points"]
    told = "moving points: reference {}, generated {}, base alone {}".format(*points)
    assert points[0] > 0 and told in text
    assert moved[0] > 0.95 and moved[1] < 0.5
    assert {"clip_t", "clip_e", "consistency_adjacent"} <= set(generated["scores"])
    assert "MCG-NJU/videomae-base" in text and "Models go into models/motion_evaluation" in text
    assert set(record["missing"]) == {"motion_fidelity_videomae", "pick_score"}


def test_what_is_missing_is_said_and_videos_of_another_length_are_refused(clip: Clip) -> None:
    same = image_from_pixels(clip.frames)
    _, record = evaluated(clip, same)
    assert "needs a CLIP" in record["missing"]["clip_t"]
    with pytest.raises(ClipError, match="tracklets need the same number"):
        evaluated(clip, same[:4])
    image = dataclasses.replace(clip, frames=clip.frames[:1])
    with pytest.raises(ClipError, match="The reference has no motion"):
        evaluated(image, same)


def test_recaptions_by_a_person(clip: Clip) -> None:
    by = {"by": "text", "text": "a red circle with soft edges\n"}
    assert called(RecaptionFrames, clips=(clip,), by=by).args == ("a red circle with soft edges",)


def test_recaptions_by_a_model(clip: Clip, llava: Path) -> None:  # noqa: F811
    """A real LLaVA of tiny size: the same frame, the same words."""
    shutil.copytree(llava, save_folder(LANGUAGE) / "tiny-llava", dirs_exist_ok=True)
    schema = RecaptionFrames.GET_SCHEMA()
    assert schema.inputs[1].options[0].inputs[0].options == ["tiny-llava"]
    by = {"by": "model", "model": "tiny-llava", "seed": 0}
    said = called(RecaptionFrames, clips=(clip, clip), by=by).args[0]
    assert len(said.splitlines()) == 2
    assert called(RecaptionFrames, clips=(clip, clip), by=by).args[0] == said
    with pytest.raises(SettingsError, match="into models/LLM, or choose text"):
        called(RecaptionFrames, clips=(clip,), by={"by": "model", "model": NONE, "seed": 0})
