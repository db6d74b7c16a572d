"""A sample is made as the motion was trained, else as the base is usually sampled."""

from __future__ import annotations

import dataclasses

from motion_core.adapter_files.sample_defaults import sample_defaults, sample_fps
from motion_core.bases import base_defaults
from tests.adapter_files.test_own import an_info

BASE = base_defaults("zeroscope")


def test_the_base_alone() -> None:
    values = sample_defaults(BASE, [])
    assert values == {
        "steps": 30,
        "few_steps": "off",
        "guidance_scale": 12.0,
        "adapter_end": 1.0,
        "noise_prior": 0.0,
        "frames": 16,
        "width": 384,
        "height": 384,
    }
    assert sample_fps(BASE, []) == 8.0


def test_the_first_adapter_of_a_video_whose_size_is_known() -> None:
    """Images have no length, and another program's file says no size; steps stay the base's."""
    clip = dataclasses.replace(an_info("zeroscope"), frames=24, width=576, height=320, fps=6.0)
    image = dataclasses.replace(clip, frames=1, width=64)
    foreign = dataclasses.replace(clip, frames=32, reference_hash="")
    later = dataclasses.replace(clip, frames=8)
    infos = [image, foreign, clip, later]
    values = sample_defaults(BASE, infos)
    assert (values["frames"], values["width"], values["height"]) == (24, 576, 320)
    assert values["steps"] == 30 and sample_fps(BASE, infos) == 6.0


def test_a_method_samples_its_own_way() -> None:
    """What its file keeps wins over the base, and what is asked for over both; the prior is for the
    clip's size, and where there is its noise.
    """
    sampling = {"steps": 25, "guidance_scale": 7.5, "noise_prior": 0.5}
    info = dataclasses.replace(an_info("zeroscope"), frames=24, settings={"sampling": sampling})
    values = sample_defaults(BASE, [info], has_noise=True)
    assert {name: values[name] for name in sampling} == sampling
    assert values["adapter_end"] == 1.0
    assert sample_defaults(BASE, [info])["noise_prior"] == 0.0
    for asked, prior in (({"frames": 24}, 0.5), ({"frames": 16}, 0.0), ({"seed": 3}, 0.5)):
        found = sample_defaults(BASE, [info], has_noise=True, asked=asked)
        assert found["noise_prior"] == prior
    old = dataclasses.replace(info, settings={"objective": {}})
    assert sample_defaults(BASE, [old], has_noise=True)["steps"] == 30
