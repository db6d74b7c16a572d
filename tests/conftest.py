"""Makes the pack importable as `motion_adapters` in every test."""

from __future__ import annotations

from tests.pack import load_pack

load_pack()
