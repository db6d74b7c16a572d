"""An environment in which a library does not fit torch: the pack registers and says what to do.

ComfyUI itself imports torchvision and torchaudio at its start, so one that is wholly broken stops
ComfyUI before any pack. What is left, and seen with users, fails later, when diffusers makes
transformers import it anew. That is arranged here: from the first import of diffusers on, one of
the two cannot be imported any more and fails with the error that a build for another torch gives.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.comfyui.place import ComfyPlace
from tests.comfyui.server import serve
from tests.comfyui.test_object_info import NODES

ERRORS = {
    "torchvision": 'RuntimeError("operator torchvision::nms does not exist")',
    "torchaudio": 'OSError("_torchaudio.abi3.so: undefined symbol: torch_library_impl")',
}
# Python runs a module of this name at its start.
SITE_CUSTOMIZE = """
import sys
from importlib.machinery import ModuleSpec


class Broken:
    active = False

    def find_spec(self, name, path=None, target=None):
        if name == "diffusers":
            self.active = True
            for known in [*sys.modules]:
                if known.partition(".")[0] in ("LIBRARY", "transformers"):
                    del sys.modules[known]
        if self.active and name == "LIBRARY":
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        raise ERROR


sys.meta_path.insert(0, Broken())
"""


@pytest.mark.parametrize("library", sorted(ERRORS))
def test_the_library_is_named(library: str, comfyui: ComfyPlace, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    source = SITE_CUSTOMIZE.replace("LIBRARY", library).replace("ERROR", ERRORS[library])
    (site / "sitecustomize.py").write_text(source, encoding="utf-8")
    base = tmp_path / "comfyui"
    with serve(comfyui, base, {"PYTHONPATH": str(site)}) as server:
        assert "IMPORT FAILED" not in server.log
        definitions = server.get("/object_info")
        assert [node for node in NODES if node not in definitions] == []
        inputs = {"base": "animatediff", "checkpoint": "standard"}
        finished = server.run(
            {
                "1": {"class_type": "SampleMotionBase", "inputs": inputs},
                "2": {
                    "class_type": "CLIPTextEncode",
                    "inputs": {"clip": ["1", 1], "text": "a red circle"},
                },
                "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
            }
        )
        assert finished.error is not None
        assert library in finished.error and "einstall" in finished.error
        assert "Traceback" not in finished.error and len(finished.error) < 600
        assert server.process.poll() is None
