"""What other programs' lists of models read in an adapter file, beside this package's own entry.

`modelspec.*`: Stability AI's ModelSpec 1.0.0 (title, architecture, licence, resolution, a picture).
`ss_*`: what kohya's sd-scripts write of a training; CivitAI and LoRA managers show base model, rank
and the words of the captions by them. Only what is known is written. There is no date: equal
trainings say the same.

In: an `AdapterInfo` as plain values. Out: texts by key, as safetensors' header holds them.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..backbones.families import base_model_name

MODELSPEC_VERSION = "1.0.0"
PROGRAM = "motion-adapters"
# kohya's names of what a training's settings hold; see library/train_util.py and train_network.py
# of kohya-ss/sd-scripts.
_OF_TRAINING = {
    "ss_learning_rate": "learning_rate",
    "ss_seed": "seed",
    "ss_mixed_precision": "precision",
    "ss_gradient_accumulation_steps": "accumulation",
    "ss_gradient_checkpointing": "checkpointing",
    "ss_lr_scheduler": "lr_schedule",
    "ss_lr_warmup_steps": "warmup_steps",
    "ss_max_grad_norm": "max_grad_norm",
}


def manager_metadata(
    info: Mapping[str, Any], title: str, previews: Sequence[bytes]
) -> dict[str, str]:
    """Both kinds of entries, without those that are not known. title: what a list calls the file.
    previews: JPEG or PNG pictures; the first is shown.
    """
    told = {**_modelspec(info, title, previews), **_kohya(info, title)}
    return {key: str(value) for key, value in told.items() if value not in (None, "")}


def _modelspec(info: Mapping[str, Any], title: str, previews: Sequence[bytes]) -> dict[str, Any]:
    prompts = list(dict.fromkeys(info["prompts"]))
    version = info["version"] or info["family"]
    told = {
        "sai_model_spec": MODELSPEC_VERSION,
        "architecture": f"{version}/{info['parametrisation']}",
        "implementation": PROGRAM,
        "title": title,
        "description": f"A motion for {version}, trained with the method {info['method']}.",
        "license": info["licence"],
        "resolution": f"{info['width']}x{info['height']}",
        "tags": f"motion, video, {info['method']}",
        "usage_hint": f"Trained on: {'; '.join(prompts)}" if prompts else None,
        "thumbnail": _data_url(previews[0]) if previews else None,
    }
    return {f"modelspec.{name}": value for name, value in told.items()}


def _kohya(info: Mapping[str, Any], title: str) -> dict[str, Any]:
    training = info["settings"].get("training", {})
    words = Counter(prompt for prompt in info["prompts"] if prompt)
    return {
        "ss_output_name": title,
        "ss_base_model_version": base_model_name(info["version"]),
        "ss_network_module": PROGRAM,
        "ss_network_dim": info["rank"],
        "ss_network_alpha": info["rank"],  # alpha / rank is in the weights
        "ss_steps": info["steps"] or None,
        "ss_resolution": f"({info['width']}, {info['height']})",
        "ss_tag_frequency": json.dumps({"clips": words}) if words else None,
        "ss_training_comment": f"Motion Adapters {info['package_version']}".strip(),
        **{key: training.get(name) for key, name in _OF_TRAINING.items()},
    }


def _data_url(picture: bytes) -> str:
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
