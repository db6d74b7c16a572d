"""The training core of Motion Adapters; it runs without ComfyUI."""

__version__ = "0.1.0"
