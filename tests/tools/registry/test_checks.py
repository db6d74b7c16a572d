"""The pack as the registry would check it, and faults that the checks must find."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.registry.archive import ROOT
from tools.registry.checks import PLACEHOLDER, faults, forbidden
from tools.registry.pictures import BANNER, FOLDER, ICON, TURNS, banner, icon, places

PICTURES = [FOLDER / f"{name}.png" for name in ("icon", "banner")]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The project's file, licence and pictures in a repository of an account, with one module."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text.replace(PLACEHOLDER, "somebody"), "utf-8")
    (tmp_path / "module.py").write_text("x = 1\n", encoding="utf-8")
    shutil.copy(ROOT / "LICENSE", tmp_path)
    shutil.copy(ROOT / ".comfyignore", tmp_path)
    (tmp_path / "docs" / "registry").mkdir(parents=True)
    for picture in PICTURES:
        shutil.copy(picture, tmp_path / "docs" / "registry")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "--all"], check=True)
    return tmp_path


def test_nothing_but_the_account_stands_in_the_way() -> None:
    """Also reads every module that would be published for calls that are not allowed."""
    assert [fault for fault in faults() if PLACEHOLDER not in fault] == []


def test_one_edit_names_the_account(published: Path) -> None:
    assert faults(published) == []
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (published / "pyproject.toml").write_text(text, encoding="utf-8")
    (fault,) = faults(published)
    assert fault.startswith(f"pyproject.toml still says {PLACEHOLDER}")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "motion-adapters"', 'name = "motion--adapters"', "project.name"),
        ('name = "motion-adapters"', 'name = "ComfyUI-motion"', "must not contain ComfyUI"),
        ('version = "0.', 'version = "v0.', "project.version"),
        ("Repository =", "Homepage =", "project.urls.Repository"),
        ("PublisherId =", "Publisher =", "tool.comfy.PublisherId is missing"),
        ("registry/icon.png", "registry/logo.png", "tool.comfy.Icon"),
        ("registry/banner.png", "registry/icon.png", "must be 21:9"),
        ("registry/icon.png", "registry/banner.png", "must be square"),
        ("NVIDIA CUDA", "NVIDIA", "no accelerator"),
        ("OS Independent", "Any", "no system"),
        ('requires-comfyui = ">=0.8.0"', 'requires-comfyui = ">=0.8"', "requires-comfyui"),
        ('{ file = "LICENSE" }', '"LICENSE"', "project.license"),
        ("DisplayName =", 'web = "web"\nDisplayName =', "tool.comfy.web"),
    ],
)
def test_faults_of_the_project_are_found(published: Path, old: str, new: str, told: str) -> None:
    file = published / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert any(told in fault for fault in faults(published)), faults(published)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("eval('1')", "calls eval"),
        ("def f(text):\n    exec(text)", "calls exec"),
        ("subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])", "installs"),
        ("os.system('pip install x')", "installs"),
        ("subprocess.check_call(['uv', 'pip', 'install', 'x'])", "installs"),
        ("a = 1; b = 2", "two statements"),
    ],
)
def test_forbidden_calls_are_found(published: Path, source: str, told: str) -> None:
    assert [what for _, what in forbidden(source) if told in what]
    (published / "module.py").write_text(source, encoding="utf-8")
    assert any(f.startswith("module.py:") and told in f for f in faults(published))


@pytest.mark.parametrize(
    "source",
    ["model.eval()", "raise Missing('Install it with pip install wandb.')", "x = re.compile('a')"],
)
def test_what_looks_alike_is_allowed(source: str) -> None:
    assert list(forbidden(source)) == []


def test_the_pictures_are_those_that_are_drawn() -> None:
    for file, drawn, size in zip(PICTURES, (icon(), banner()), (ICON, BANNER), strict=True):
        with Image.open(file) as kept:
            assert kept.size == drawn.size == size
            apart = np.abs(np.asarray(kept.convert("RGB"), int) - np.asarray(drawn, int))
        # The font and the filter of another Pillow may differ by a little.
        assert (apart.max(axis=2) > 40).mean() < 0.01


def test_places_lead_from_the_zigzags_start_to_its_end() -> None:
    """In a unit box, three parts: the turns themselves are among places at their lengths."""
    way = places((0.0, 0.0, 1.0, 1.0), 1001)
    assert way[0] == pytest.approx(TURNS[0])
    assert way[-1] == pytest.approx(TURNS[-1])
    for turn in TURNS:
        assert min(abs(x - turn[0]) + abs(y - turn[1]) for x, y in way) < 0.003
    assert all(a[0] < b[0] for a, b in pairwise(way))
