"""The pack as a package, under a name that a test can import.

ComfyUI loads this repository as a package named after its folder. Here the same is done under the
name `motion_adapters`. Within it the core is `motion_adapters.motion_core`; it is made to be the
very same modules as `motion_core`, which the tests import: else there were two of each class.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location, spec_from_loader
from pathlib import Path
from types import ModuleType

NAME = "motion_adapters"
CORE = f"{NAME}.motion_core"


class OneCore(MetaPathFinder, Loader):
    """Imports of the pack's core give the modules of `motion_core`."""

    def __init__(self) -> None:
        self.specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = name == CORE or name.startswith(f"{CORE}.")
        return spec_from_loader(name, self) if ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(spec.name.removeprefix(f"{NAME}."))
        self.specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the other name's spec on it.
        assert module.__spec__ is not None
        module.__spec__ = self.specs[module.__spec__.name]


def load_pack() -> ModuleType:
    """The pack's root package, imported once."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    root = Path(__file__).resolve().parents[1]
    spec = spec_from_file_location(
        NAME, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None and spec.loader is not None
    sys.meta_path.insert(0, OneCore())
    module = module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module
