"""The methods' registry: what it needs to be imported, and what every method says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from motion_core.methods import METHODS
from motion_core.settings import fields_of

HEAVY = ("diffusers", "peft", "transformers", "open_clip")


def test_the_methods_need_torch_alone() -> None:
    """ComfyUI asks for the nodes' widgets at its start, also where these libraries are broken. Its
    own process, in which nothing has imported them before."""
    code = f"import sys, motion_core.methods; print(*[n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_is(name: str) -> None:
    method = METHODS[name]
    assert method.name == name and method.title and not method.summary.endswith(".")
    assert method().settings == method.Settings()
    assert all(field.said.help.endswith(".") for field in fields_of(method.Settings))
