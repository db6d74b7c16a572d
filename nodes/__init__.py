"""The ComfyUI nodes: a thin skin over `motion_core`. The list of them is in `extension`."""
