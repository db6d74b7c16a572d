"""The formats of other programs that an adapter can be saved in, by the names that commands use.

Nothing heavy is imported here: the command line lists them in its help. What writes them is in
`other_programs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Format:
    """title: for people. scopes: of the LoRAs that it holds. folders: by scope, the folder of
    ComfyUI's models where a loader reads it; no loader of ComfyUI's reads another one.
    """

    title: str
    scopes: tuple[str, ...] = ("temporal", "spatial")
    folders: Mapping[str, str] = field(default_factory=dict)


FORMATS: Mapping[str, Format] = {
    "animatediff": Format(
        title="AnimateDiff motion LoRA",
        scopes=("temporal",),
        folders={"temporal": "animatediff_motion_lora"},
    ),
    "diffusers": Format(title="diffusers LoRA", folders={"spatial": "loras"}),
    "peft": Format(title="peft LoRA"),
    "comfyui": Format(title="LoRA for ComfyUI's Load LoRA", folders={"spatial": "loras"}),
    "kohya": Format(title="kohya or musubi LoRA", folders={"spatial": "loras"}),
}
