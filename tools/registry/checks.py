"""What `comfy node validate` and the registry's pages ask of a pack, as a list of faults.

Fields, their forms and the pictures' sizes: docs.comfy.org/registry/specifications. Calls that are
not allowed: docs.comfy.org/registry/standards; comfy-cli looks for three of them with ruff (S102,
S307, E702), here they are read from the syntax tree, with the packages that are installed at run
time, which the standards forbid too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from .archive import ROOT, archive_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

PLACEHOLDER = "OWNER"
RAW = "https://raw.githubusercontent.com"
ICON_SIDE = 400  # pixels at most; square
BANNER_RATIO = (21, 9)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg")
MAX_NAME = 100
ACCELERATORS = (
    "GPU :: NVIDIA CUDA",
    "GPU :: AMD ROCm",
    "GPU :: Intel Arc",
    "NPU :: Huawei Ascend",
    "GPU :: Apple Metal",
)
SYSTEMS = ("Microsoft", "POSIX", "MacOS", "OS Independent")
VERSION = r"\d+\.\d+\.\d+"
FORBIDDEN = ("eval", "exec")
INSTALLERS = ("pip", "uv", "conda", "ensurepip")


def project(root: Path = ROOT) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def faults(root: Path = ROOT) -> list[str]:
    """All that stands in the way of publishing, in words; empty if nothing does."""
    told = project(root)
    return [
        *_of_project(told["project"], root),
        *_of_comfy(told.get("tool", {}).get("comfy", {}), told["project"], root),
        *_of_code(root),
    ]


def _of_project(told: Mapping[str, Any], root: Path) -> Iterator[str]:
    name = told.get("name", "")
    parts = r"[A-Za-z](?:[A-Za-z0-9]|[-_.](?![-_.]))*"
    if not re.fullmatch(parts, name) or len(name) >= MAX_NAME:
        yield f"project.name is {name!r}: letters, digits and single - _ . after a letter."
    if "comfyui" in name.lower():
        yield f"project.name is {name!r}, which must not contain ComfyUI."
    if not re.fullmatch(VERSION, told.get("version", "")):
        yield f"project.version is {told.get('version')!r}, not MAJOR.MINOR.PATCH."
    licence = told.get("license", {})
    if not isinstance(licence, Mapping) or not (
        "text" in licence or (root / licence.get("file", "?")).is_file()
    ):
        yield f"project.license is {licence!r}, neither a file that exists nor a text."
    if not told.get("description"):
        yield "project.description is empty."
    yield from _of_classifiers(told.get("classifiers", []))


def _of_classifiers(classifiers: list[str]) -> Iterator[str]:
    for line in classifiers:
        head, _, rest = line.partition(" :: ")
        if head == "Operating System" and not rest.startswith(SYSTEMS):
            yield f"The classifier {line!r} names no system that the registry knows."
        if head == "Environment" and rest not in ACCELERATORS:
            yield f"The classifier {line!r} names no accelerator that the registry knows."


def _of_comfy(told: Mapping[str, Any], named: Mapping[str, Any], root: Path) -> Iterator[str]:
    for field in ("PublisherId", "DisplayName", "Icon", "Banner"):
        if not told.get(field):
            yield f"tool.comfy.{field} is missing."
    if not re.fullmatch(rf"[<>=!~]*\s*{VERSION}", told.get("requires-comfyui", "")):
        yield f"tool.comfy.requires-comfyui is {told.get('requires-comfyui')!r}, not >=1.2.3."
    if "web" in told:
        yield "tool.comfy.web is set: with WEB_DIRECTORY, the page would load everything twice."
    yield from _of_urls(told, named.get("urls", {}), root)


def _of_urls(told: Mapping[str, Any], urls: Mapping[str, str], root: Path) -> Iterator[str]:
    repository = urls.get("Repository", "")
    address = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+)", repository)
    if address is None:
        yield f"project.urls.Repository is {repository!r}, not https://github.com/OWNER/NAME."
        return
    if address[1] == PLACEHOLDER:
        yield (
            f"pyproject.toml still says {PLACEHOLDER}. Replace it there by the account that the "
            "repository belongs to, everywhere at once."
        )
    start = f"{RAW}/{address[1]}/{address[2]}/main/"
    for field in ("Icon", "Banner"):
        url = told.get(field, "")
        picture = root / url.removeprefix(start)
        if not url.startswith(start) or not picture.is_file():
            yield f"tool.comfy.{field} is {url!r}, not {start} and a file of this repository."
        elif picture.suffix not in PICTURES:
            yield f"tool.comfy.{field} is not one of {', '.join(PICTURES)}."
        elif fault := _of_size(field, picture):
            yield fault


def _of_size(field: str, picture: Path) -> str | None:
    with Image.open(picture) as image:
        width, height = image.size
    if field == "Icon" and (width != height or width > ICON_SIDE):
        return f"The icon has {width}x{height} pixels; it must be square, {ICON_SIDE} at most."
    if field == "Banner" and width * BANNER_RATIO[1] != height * BANNER_RATIO[0]:
        return f"The banner has {width}x{height} pixels; it must be 21:9."
    return None


def _of_code(root: Path) -> Iterator[str]:
    for name in archive_files(root):
        if name.suffix == ".py":
            for line, what in forbidden((root / name).read_text(encoding="utf-8")):
                yield f"{name}:{line} {what}, which the registry does not allow."


def forbidden(source: str) -> Iterator[tuple[int, str]]:
    """Lines, and what stands there that the registry does not allow: eval and exec, packages that
    are installed by a process of their own, and two statements in a line.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _called(node)):
            words = {word for part in ast.walk(node) for word in _words(part)}
            if name in FORBIDDEN:
                yield node.lineno, f"calls {name}"
            elif "install" in words and words & set(INSTALLERS):
                yield node.lineno, "installs a package"
    for block in _blocks(tree):
        lines = [statement.lineno for statement in block]
        for line in {line for line in lines if lines.count(line) > 1}:
            yield line, "has two statements in a line"


def _called(node: ast.Call) -> str:
    """A builtin's name, or that of what belongs to a module; methods such as `model.eval()` are
    their own.
    """
    if isinstance(node.func, ast.Name):
        return node.func.id
    return f".{node.func.attr}" if isinstance(node.func, ast.Attribute) else ""


def _words(part: ast.AST) -> list[str]:
    """The words of a text that may be a command; a sentence for people is none."""
    if isinstance(part, ast.Constant) and isinstance(part.value, str):
        words = part.value.split()
        commands = (*INSTALLERS, "python")
        return words if len(words) == 1 or words[:1] in [[name] for name in commands] else []
    return []


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                yield block
