"""Builds the files in `workflows/`: `python -m tools.workflows --server 127.0.0.1:8188`."""
