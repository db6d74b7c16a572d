"""What suits a training: every value known beforehand, and none that was given changed."""

from __future__ import annotations

import pytest

from motion_core.bases import BASES
from motion_core.errors import SettingsError
from motion_core.methods import METHODS
from motion_core.methods.defaults import Material
from motion_core.settings import fields_by_name, from_mapping
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import Suited, suited
from motion_core.video.settings import ClipSettings

ONE = Material(videos=1, images=0)
EACH = [(method, base) for method in METHODS for base in BASES]
# None is what these are, and no value of somebody else's.
NOTHING = {"max_grad_norm", "motion", "verb", "recaptioner", "image_encoder"}


def steps(method: str, base: str, *, videos: int = 0, images: int = 0, frames: int = 16) -> object:
    material = Material(videos=videos, images=images, frames=frames)
    return suited(METHODS[method], BASES[base], material).train["steps"]


@pytest.mark.parametrize(("method", "base"), EACH)
def test_every_setting_has_a_value(method: str, base: str) -> None:
    found = suited(METHODS[method], BASES[base], ONE)
    assert found.settings.keys() == fields_by_name(METHODS[method].Settings).keys()
    assert found.train.keys() == fields_by_name(TrainSettings).keys()
    unknown = {n for n, value in {**found.settings, **found.train}.items() if value is None}
    assert unknown <= NOTHING
    ClipSettings(**found.clip)


@pytest.mark.parametrize(("method", "base"), EACH)
def test_a_value_that_is_chosen_is_kept(method: str, base: str) -> None:
    """Each of the method's settings at each of its values in turn, the defaults among them."""
    for name, field in fields_by_name(METHODS[method].Settings).items():
        choices = field.choices if field.choices and not field.many else (field.default,)
        for value in choices:
            found = suited(METHODS[method], BASES[base], ONE, {name: value})
            assert found.settings[name] == value
            from_mapping(METHODS[method].Settings, found.settings)


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(SettingsError, match="has no setting 'betta'"):
        suited(METHODS["motion_director"], BASES["zeroscope"], ONE, {"betta": 1.0})


def test_motion_directors_steps_are_by_what_there_is() -> None:
    """configs/config_single_video.yaml, …_24.yaml, README.md and the image configs; several videos
    100 each, between the 300 of the README and 1000.
    """
    for base in ("zeroscope", "animatediff"):
        assert steps("motion_director", base, videos=1) == 150
        assert steps("motion_director", base, videos=1, frames=24) == 300
        assert [steps("motion_director", base, videos=n) for n in (2, 3, 4, 5, 10, 20)] == [
            300,
            300,
            400,
            500,
            1000,
            1000,
        ]
        assert steps("motion_director", base, images=1) == 300
        assert steps("motion_director", base, images=7) == 1000
        assert steps("motion_director", base, videos=1, images=7) == 1150


def test_motrans_learns_each_appearance() -> None:
    """300 steps a video, then about 600 for the motion (Sec. 4.1)."""
    for videos, looks in ((1, 300), (4, 1200), (10, 3000)):
        found = suited(METHODS["motrans"], BASES["zeroscope"], Material(videos=videos, images=0))
        assert found.settings["appearance_steps"] == looks
        assert found.train["steps"] == looks + 600
    chosen = {"appearance_steps": 40}
    assert suited(METHODS["motrans"], BASES["zeroscope"], ONE, chosen).train["steps"] == 640


def test_rates_are_by_what_is_trained() -> None:
    """Whole weights learn more slowly than a LoRA; MotionDirector's decay is by the material."""

    def rates(method: str, material: Material = ONE, **chosen: object) -> tuple[object, object]:
        train = suited(METHODS[method], BASES["zeroscope"], material, chosen).train
        return train["learning_rate"], train["weight_decay"]

    assert rates("motion_director") == (5e-4, 1e-2)
    assert rates("motion_director", Material(videos=2, images=0)) == (5e-4, 1e-4)
    assert rates("motion_director", Material(videos=0, images=1)) == (5e-4, 1e-4)
    assert rates("motion_crafter") == (2e-5, 0.0)
    assert rates("motion_crafter", parametrisation="lora") == (5e-4, 1e-2)
    assert rates("motion_inversion") == (0.02, 1e-2)
    assert rates("motrans") == (5e-4, 1e-2)
    assert rates("vmc") == (1e-4, 1e-2)
    assert rates("vmc", parametrisation="lora") == (5e-4, 1e-2)
    assert rates("coupled") == (5e-4, 1e-2)


def of(method: str, base: str, prompts: tuple[str, ...] = (), **chosen: object) -> Suited:
    material = Material(videos=1, images=0, prompts=prompts)
    return suited(METHODS[method], BASES[base], material, chosen)


def test_motion_inversion_as_its_config() -> None:
    """configs/config.yaml: 400 steps, 576x320, 24 frames; inference.py: always a prior of 0.5."""
    found = of("motion_inversion", "zeroscope")
    assert found.train["steps"] == 400
    assert found.clip == {"width": 576, "height": 320, "frames": 24, "fps": 8.0}
    assert found.sampled_its_way == {"noise_prior": 0.5}
    assert found.sample["noise_prior"] == 0.5 and found.settings["spatial_learning_rate"] == 5e-4
    other = of("motion_inversion", "animatediff")
    assert (other.train["steps"], other.sample["noise_prior"]) == (400, 0.5)
    assert (other.clip["width"], other.clip["height"], other.clip["frames"]) == (512, 512, 16)


def test_motion_crafter_as_its_paper() -> None:
    """v2, Sec. 4.1: 256x256, 16 frames, 150 to 300 iterations; 25 steps, guidance 7.5."""
    found = of("motion_crafter", "zeroscope")
    assert found.train["steps"] == 300
    assert found.clip == {"width": 256, "height": 256, "frames": 16, "fps": 8.0}
    assert found.sampled_its_way == {"steps": 25, "guidance_scale": 7.5}
    other = of("motion_crafter", "animatediff")
    assert (other.sample["steps"], other.sample["guidance_scale"]) == (25, 7.5)
    assert (other.clip["width"], other.clip["height"]) == (512, 512)


def test_motrans_size() -> None:
    """Sec. 4.1: 24 frames at 8 fps and 576x320; DDIM, 30 steps, guidance 12."""
    found = of("motrans", "zeroscope")
    assert found.clip == {"width": 576, "height": 320, "frames": 24, "fps": 8.0}
    assert (found.sample["steps"], found.sample["guidance_scale"]) == (30, 12.0)


def test_motion_directors_noise_prior_is_for_one_video() -> None:
    """validation_data of config_single_video.yaml: 0.5; of the other configs: 0."""
    director, base = METHODS["motion_director"], BASES["zeroscope"]
    for material, prior in ((ONE, 0.5), (Material(videos=2, images=0), 0.0)):
        assert suited(director, base, material).sample["noise_prior"] == prior
    looks = Material(videos=0, images=3)
    assert suited(director, base, looks).sample["noise_prior"] == 0.0


def test_vmc_as_its_configs() -> None:
    """configs/*.yml: 400 steps, 75 of inversion; train_inference.py: gradients cut at 1, samples
    begin with the inverted noise alone.
    """
    for base in ("zeroscope", "animatediff"):
        found = of("vmc", base)
        assert (found.train["steps"], found.train["max_grad_norm"]) == (400, 1.0)
        assert (found.inversion_steps, found.sample["noise_prior"]) == (75, 1.0)
        assert found.sample["steps"] == BASES[base].sample_steps


@pytest.mark.parametrize("base", ["shape-world-animatediff", "shape-world-zeroscope"])
def test_small_bases_are_sampled_with_fresh_noise(base: str) -> None:
    for method in METHODS:
        found = of(method, base)
        assert (found.sample["noise_prior"], found.sample["steps"]) == (0.0, 12)
        assert (found.clip["width"], found.clip["frames"]) == (64, 16)


def test_the_motion_is_found_in_the_prompts() -> None:
    """By verb, one line for all that say the same; what is chosen is not looked for."""
    crafter, base = METHODS["motion_crafter"], BASES["zeroscope"]
    assert of("motion_crafter", "zeroscope").settings["motion"] is None
    prompts = ("a car turns left on a road", "a bus turns left")
    assert of("motion_crafter", "zeroscope", prompts).settings["motion"] == "turning left"
    silent = Material(videos=1, images=0, prompts=("a sunset",))
    with pytest.raises(SettingsError, match="Set motion to what happens"):
        suited(crafter, base, silent)
    assert suited(crafter, base, silent, {"motion": "glowing"}).settings["motion"] == "glowing"


def test_the_verb_is_found_where_all_prompts_share_it() -> None:
    """Others are found clip by clip; without the enhancer none is needed."""
    for prompts, enhancer, verb in (
        (("a car turns left", "a bus turns"), "recomputed", "turns"),
        (("a car turns left", "a dog runs"), "recomputed", None),
        (("a sunset",), "recomputed", None),
        (("a car turns left",), "none", None),
    ):
        found = of("motrans", "zeroscope", prompts, enhancer=enhancer)
        assert found.settings["verb"] == verb


def test_alpha_is_the_rank() -> None:
    for method in ("motion_director", "motrans", "coupled"):
        for chosen, alpha in (({}, 32.0), ({"rank": 8}, 8.0), ({"rank": 8, "alpha": 4.0}, 4.0)):
            found = suited(METHODS[method], BASES["zeroscope"], ONE, chosen)
            assert found.settings["alpha"] == alpha


def test_a_base_of_its_own_wins_over_every_bases() -> None:
    """The small bases' numbers, which are tuned: of the base, and above it of the method there."""
    for base, expected in (
        ("shape-world-animatediff", {"motion_director": 300, "motion_crafter": 330}),
        ("shape-world-zeroscope", {"motion_director": 350, "motion_crafter": 220}),
    ):
        for method, number in expected.items():
            assert steps(method, base, videos=1) == number
    small = suited(METHODS["motrans"], BASES["shape-world-animatediff"], ONE)
    assert (small.settings["appearance_steps"], small.train["steps"]) == (60, 420)
    assert (small.train["learning_rate"], small.train["noise_draws"]) == (5e-3, 3)


@pytest.mark.parametrize(
    ("given", "every"),
    [
        ({"steps": 1000}, 250),
        ({"steps": 1001}, 251),
        ({"steps": 60}, 40),  # two, as each takes 60 passes and 20 steps take 60
        ({"steps": 3}, 40),  # the one at the end
        ({"steps": 60, "noise_draws": 2}, 20),
        ({"steps": 60, "accumulation": 4}, 15),
    ],
)
def test_samples_are_spread_over_the_steps_that_are_given(
    given: dict[str, int], every: int
) -> None:
    found = suited(METHODS["motion_director"], BASES["zeroscope"], ONE, train=given)
    assert found.train["sample_every"] == every
    with pytest.raises(SettingsError, match="steps is 0"):
        suited(METHODS["motion_director"], BASES["zeroscope"], ONE, train={"steps": 0})
