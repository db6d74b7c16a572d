from typing import Any

class ControlBase:
    cond_hint: Any
    cond_hint_original: Any
    previous_controlnet: ControlBase | None
