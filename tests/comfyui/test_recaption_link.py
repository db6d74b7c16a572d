"""Recaption Frames connected to a field of the training node's menu, as the page sends it."""

from __future__ import annotations

import json

import pytest

from tests.comfyui.server import Server
from tests.comfyui.test_training import PATIENCE, prompt, run_folder

LOOKS = "a bright red circle with a thin outline on a black and white checkered background"


@pytest.mark.timeout(900)
def test_recaptions_come_over_a_link(server: Server) -> None:
    graph = prompt("recaptioned", steps=2, save_every=0, inversion_steps=0)
    training = graph["3"]["inputs"]
    del training["objective.beta"], training["objective.spatial_dropout_p"]
    training |= {
        "objective": "motrans",
        "objective.appearance_steps": 1,
        "objective.recaptions": ["4", 0],
        "objective.verb": "zigzagging",
        "objective.image_encoder": "the base's own",
    }
    given = {"clips": ["2", 0], "by": "text", "by.text": LOOKS}
    graph["4"] = {"class_type": "RecaptionFrames", "inputs": given}
    done = server.run(graph, PATIENCE)
    assert done.error is None
    document = json.loads((run_folder(server, "recaptioned") / "settings.json").read_text())
    assert document["objective"]["settings"]["recaptions"] == [LOOKS]
