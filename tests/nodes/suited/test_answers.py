"""What suits the nodes of a prompt, against the tables that the run itself reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from motion_adapters.nodes.suited.answer import Here
from motion_adapters.nodes.suited.answers import answers
from motion_adapters.nodes.suited.connected import FolderOf
from motion_adapters.nodes.version_0_1_0 import values_then
from motion_adapters.nodes.widget_values import widget_value

from motion_core.bases import BASES
from motion_core.methods import METHODS
from motion_core.methods.defaults import ONE_VIDEO, Material
from motion_core.settings import fields_by_name
from motion_core.training.suited import suited

BASE = "shape-world-animatediff"


def here(folder: Path = Path("nowhere")) -> Here:
    folders = FolderOf(media=lambda name: folder / name, adapter=lambda name: None)
    return Here(folders=folders, precision="fp32")


def prompt(**training: Any) -> dict[str, Any]:
    """The sample base, one clip, a training and a sample of it."""
    inputs = {"base": ["1", 3], "clips": ["2", 0], "objective": "motion-crafter", "exactly": True}
    return {
        "1": node("SampleMotionBase", base="animatediff", checkpoint="standard"),
        "2": node("MotionClip", video=["1", 4], prompt="a", frames=12, width=64, height=48),
        "3": node("TrainMotionAdapter", **{**inputs, **training}),
        "4": node("SampleMotionVideo", base=["1", 3], motions=["3", 0], prompt="b"),
    }


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def test_a_sample_on_a_distilled_motion_module_has_its_few_steps() -> None:
    graph = prompt()
    module = "AnimateLCM_sd15_t2v.ckpt"
    graph["1"] = node("LoadAnimateDiffBase", checkpoint="a.safetensors", motion_module=module)
    values = answers(graph, here())["4"]["values"]
    assert (values["few_steps"], values["steps"], values["guidance_scale"]) == ("lcm", 6, 2.0)


@pytest.mark.parametrize("method", METHODS)
def test_a_training_gets_what_suits_it(method: str) -> None:
    found = answers(prompt(objective=method.replace("_", "-")), here())["3"]
    usual = suited(METHODS[method], BASES[BASE], Material(videos=1, images=0, frames=12))
    assert found["values"]["steps"] == usual.train["steps"]
    assert found["values"]["learning_rate"] == usual.train["learning_rate"]
    fields = fields_by_name(METHODS[method].Settings)
    main = [name for name, field in fields.items() if field.said.main]
    assert {name: found["values"][f"objective.{name}"] for name in main} == {
        name: widget_value(fields[name], usual.settings[name]) for name in main
    }
    assert found["becomes"] == {"precision": "fp32", "memory": "fast"}
    graph = prompt(objective=method.replace("_", "-"))
    graph["1"] = node("LoadAnimateDiffBase", checkpoint="a.safetensors", motion_module="v3.ckpt")
    assert answers(graph, here())["3"]["becomes"]["memory"] == "balanced"
    assert found["to"]["base"] == BASE and found["then"] is None


def test_what_suits_depends_on_what_is_set() -> None:
    """VMC's LoRA has another rate than whole weights; what was set is told as if it had not been,
    so that the page can bring it back.
    """
    graph = prompt(objective="vmc", advanced=["5", 0])
    graph["5"] = node("VmcSettings", parametrisation="lora")
    whole = answers(graph, here())["3"]["values"]["learning_rate"]
    chosen = answers(graph, here(), {"5": ["parametrisation"]})
    lora = suited(METHODS["vmc"], BASES[BASE], ONE_VIDEO, {"parametrisation": "lora"})
    assert chosen["3"]["values"]["learning_rate"] == lora.train["learning_rate"]
    assert whole == suited(METHODS["vmc"], BASES[BASE], ONE_VIDEO).train["learning_rate"]
    assert chosen["5"]["values"]["parametrisation"] == "full"


def test_a_settings_node_suits_the_training_that_it_is_for() -> None:
    graph = prompt(advanced=["5", 0])
    graph["5"] = node("MotionCrafterSettings")
    found = answers(graph, here())["5"]
    assert found["values"]["beta"] == 0.01 and found["values"]["kl"] == "moment_gaussian"
    assert found["values"]["noise_draws"] == 2
    graph["5"] = node("VmcSettings")  # of another method
    assert "5" not in answers(graph, here())


def test_a_clip_suits_the_base_that_it_is_trained_on() -> None:
    """Through a node that combines clips too."""
    values = {"frames": 16, "fps": 8.0, "width": 64, "height": 64}
    assert answers(prompt(), here())["2"]["values"] == values
    graph = prompt(clips=["5", 0])
    graph["5"] = node("CombineMotionClips", clips_1=["2", 0], clips_2=["6", 0])
    graph["6"] = node("MotionClip")
    found = answers(graph, here())
    assert found["2"]["values"] == values
    assert (found["3"]["to"]["videos"], found["3"]["to"]["images"]) == (2, 0)


def test_a_stride_suits_the_videos_own_rate() -> None:
    """One that a person has set, whether the rate was set too or not; 1 is none."""
    graph = prompt()
    for stride, touched, fps in (
        (2, ["stride"], 0.0),
        (2, ["stride", "fps"], 0.0),
        (1, ["stride"], 8.0),
        (2, [], 8.0),
    ):
        graph["2"]["inputs"] |= {"stride": stride, "fps": 8.0}
        found = answers(graph, here(), {"2": touched})["2"]["values"]
        assert found == {"frames": 16, "fps": fps, "width": 64, "height": 64}, (stride, touched)


def test_a_sample_suits_what_it_plays() -> None:
    """The clip's size, and the base's steps."""
    values = answers(prompt(), here())["4"]["values"]
    assert (values["frames"], values["width"], values["height"]) == (12, 64, 48)
    assert values["steps"] == BASES[BASE].sample_steps


def test_a_folder_is_counted(tmp_path: Path) -> None:
    """Three videos; a folder of images is one; a single image is an image."""
    for place, names in {"a": ["1.mp4", "2.mp4", "3.gif"], "b": ["1.png", "2.png"]}.items():
        (tmp_path / place).mkdir()
        for name in names:
            (tmp_path / place / name).touch()
    counts = {"a": (3, 0), "b": (1, 0), "b/1.png": (0, 1), "missing": (1, 0)}
    for folder, expected in counts.items():
        graph = prompt()
        graph["2"] = node("MotionClipsFromFolder", folder=folder)
        to = answers(graph, here(tmp_path))["3"]["to"]
        assert (to["videos"], to["images"]) == expected, folder
    graph["2"] = node("MotionClipsFromFolder", folder="b", images="pictures of one subject")
    to = answers(graph, here(tmp_path))["3"]["to"]
    assert (to["videos"], to["images"]) == (0, 2)


def test_a_picture_is_an_image() -> None:
    """One that is loaded, or drawn; a video that is drawn is a video."""
    for source, slot, expected in (
        ("LoadImage", 0, (0, 1)),
        ("SampleMotionClip", 1, (0, 1)),
        ("SampleMotionClip", 0, (1, 0)),
    ):
        graph = prompt()
        graph["6"] = node(source)
        graph["2"]["inputs"]["video"] = ["6", slot]
        to = answers(graph, here())["3"]["to"]
        assert (to["videos"], to["images"]) == expected, (source, slot)


def test_without_a_base_there_is_no_answer() -> None:
    graph = prompt()
    del graph["1"]
    assert answers(graph, here()) == {}


OF_THEN = {
    "steps": 0,
    "learning_rate": 0.0,
    "seed": 0,
    "precision": "auto",
    "memory": "auto",
    "sample_prompt": "",
    "sample_every": 0,
    "save_every": 50,
    "inversion_steps": 50,
    "name": "motion",
    "resume": "continue",
    "objective.beta": 5.0,
    "objective.blocks": "deep",
    "objective.parametrisation": "full",
    "objective.rank": 32,
    "objective.motion": "",
}


def test_what_a_node_of_then_ran() -> None:
    """Untouched widgets showed beta 5 and deep, and ran 0.01 and all; a touched one ran itself."""
    graph = prompt(**OF_THEN)
    del graph["3"]["inputs"]["exactly"]
    then = answers(graph, here())["3"]["then"]
    ran = values_then("motion_crafter", BASES[BASE])
    assert (
        (then["steps"], then["learning_rate"])
        == (330, 0.001)
        == (
            ran.train["steps"],
            ran.train["learning_rate"],
        )
    )
    assert (then["objective.beta"], then["objective.blocks"]) == (0.01, "all")
    graph["3"]["inputs"] |= {"objective.beta": 4.0, "steps": 7}
    then = answers(graph, here())["3"]["then"]
    assert (then["objective.beta"], then["objective.blocks"], then["steps"]) == (4.0, "all", 7)
    assert then["sample_every"] == 0 < answers(graph, here())["3"]["values"]["sample_every"]


def test_samples_are_spread_over_the_steps_that_a_person_has_set() -> None:
    """330 suit here; on the node, and draws on its settings node."""
    graph = prompt(steps=1000, sample_every=5)
    assert answers(graph, here())["3"]["values"]["sample_every"] == 83
    touched = {"3": ["steps"]}
    assert answers(graph, here(), touched)["3"]["values"]["sample_every"] == 250
    graph["3"]["inputs"]["steps"] = -3  # for the run to refuse
    assert answers(graph, here(), touched)["3"]["values"]["sample_every"] == 83
    graph = prompt(steps=4, advanced=["5", 0])
    assert answers(graph, here(), touched)["3"]["values"]["sample_every"] == 8  # 48 passes of 6
    graph["5"] = node("MotionCrafterSettings", noise_draws=1)
    touched["5"] = ["noise_draws"]
    assert answers(graph, here(), touched)["3"]["values"]["sample_every"] == 16


def test_a_settings_node_of_then_counts_for_both() -> None:
    """Its own values on itself, and on the training node where both have the widget."""
    graph = prompt(**OF_THEN, advanced=["5", 0])
    del graph["3"]["inputs"]["exactly"]
    graph["5"] = node("MotionCrafterSettings", exactly=False, beta=2.0, kl="gaussian_mse")
    found = answers(graph, here())
    assert found["3"]["then"]["objective.beta"] == found["5"]["then"]["beta"] == 2.0
    assert found["5"]["then"]["kl"] == "moment_gaussian"
    graph["5"]["inputs"]["exactly"] = True
    assert answers(graph, here())["5"]["then"] is None


def test_what_ran_then_is_told_in_numbers() -> None:
    """What an alpha of 0 and a rate of 0 stood for, and of the widest layers their word; base
    preservation, which there was not, is none.
    """
    graph = prompt(**{**OF_THEN, "objective": "motion-inversion"}, advanced=["5", 0])
    del graph["3"]["inputs"]["exactly"]
    graph["1"] = node("LoadZeroScope")
    graph["5"] = node("MotionInversionSettings", exactly=False, channels="", loss="base")
    then = answers(graph, here())["5"]["then"]
    assert (then["channels"], then["spatial_learning_rate"]) == ("widest", 5e-4)
    assert then["base_preservation"] == 0.0
    graph["3"]["inputs"]["objective"] = "coupled"
    graph["5"] = node("CoupledSettings", exactly=False, rank=8, alpha=0.0)
    found = answers(graph, here())
    assert found["3"]["then"]["objective.alpha"] == found["5"]["then"]["alpha"] == 8.0


def test_a_sample_of_then_is_told_where_it_ran_otherwise() -> None:
    """MotionCrafter on ZeroScope: its official settings are 25 steps at 7.5; what version 0.1.0
    left at 0 was the base's, 30 at 12, and a share of 1 as today. Sizes were the clip's, as now.
    """
    graph = prompt(**OF_THEN)
    graph["1"] = node("LoadZeroScope", model="a")
    size = {"frames": 0, "width": 0, "height": 0}
    graph["4"]["inputs"] |= {"steps": 0, "guidance_scale": 0.0, "adapter_end": 0.0, **size}
    found = answers(graph, here())["4"]
    assert (found["values"]["steps"], found["values"]["guidance_scale"]) == (25, 7.5)
    assert found["then"] == {"steps": 30, "guidance_scale": 12.0}
    graph["4"]["inputs"] |= {"steps": 30, "guidance_scale": 12.0}
    assert answers(graph, here())["4"]["then"] is None
