"""What the ComfyUI Registry gets and checks: `python -m tools.registry --help`."""
