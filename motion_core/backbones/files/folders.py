"""Model folders: diffusers' and transformers' own, those in Hugging Face's cache, and weights that
are stored in several files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import FormatError
from .architecture import Config
from .tensors import TORCH_SUFFIXES, TensorFile, open_tensors

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_VARIANTS = ("", ".fp16")
_SUFFIXES = (".safetensors", *reversed(TORCH_SUFFIXES))


def model_path(path: Path) -> Path:
    """The path itself, or for a repository's folder in Hugging Face's cache (models--ORG--NAME) its
    snapshot: the one that refs/main names, else the only one.

    Raises FormatError if there is none, or if there are several to choose from.
    """
    snapshots = path / "snapshots"
    in_cache = path.name.startswith("models--") or (path / "refs").is_dir()
    if not in_cache or not snapshots.is_dir():
        return path
    found = sorted(folder for folder in snapshots.iterdir() if folder.is_dir())
    main = path / "refs" / "main"
    if main.is_file():
        named = snapshots / main.read_text(encoding="utf-8", errors="replace").strip()
        found = [named] if named in found else found
    if len(found) != 1:
        names = ", ".join(folder.name for folder in found) or "none"
        raise FormatError(
            f"{path} is a folder of Hugging Face's cache with {len(found)} snapshots ({names}). "
            "Give the folder of one snapshot."
        )
    return found[0]


def read_config(folder: Path, name: str = "config.json") -> Config:
    """A diffusers or transformers configuration file; raises FormatError if it cannot be read."""
    path = folder / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FormatError(f"{folder} contains no {name}. Is the folder complete?") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not valid JSON ({error}). Download it again.") from error
    if not isinstance(config, dict):
        raise FormatError(
            f"{path} contains a {type(config).__name__}, not a table of entries. Download it again."
        )
    return config


def open_folder(folder: Path) -> TensorFile:
    """The weights of one component's folder, full precision before fp16, safetensors first; in one
    file, or in several that an index lists.

    Raises FormatError if there are none, or if one of several files is missing.
    """
    for suffix in _SUFFIXES:
        for stem in _STEMS:
            for variant in _VARIANTS:
                path = folder / f"{stem}{variant}{suffix}"
                if path.is_file():
                    return open_tensors(path)
                index = folder / f"{stem}{suffix}.index{variant}.json"
                if index.is_file():
                    return _open_shards(index)
    raise FormatError(f"{folder} contains no weights. Is the folder complete?")


def _open_shards(index: Path) -> TensorFile:
    """The tensors of all files that an index lists, as one file."""
    places = read_config(index.parent, index.name).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise FormatError(f"{index} has no weight_map of file names. Download it again.")
    files = {name: _open_shard(index, name) for name in sorted(set(places.values()))}
    shapes: dict[str, tuple[int, ...]] = {}
    for key, name in places.items():
        if key not in files[name].shapes:
            raise FormatError(
                f"{name} lacks {key}, which {index.name} says it contains. Download both again."
            )
        shapes[key] = files[name].shapes[key]
    return TensorFile(
        name=f"{index.parent.name}/{index.name.split('.index')[0]}",
        shapes=shapes,
        read=partial(_read, places, files),
        metadata=next(iter(files.values())).metadata if files else {},
        integers={key for file in files.values() for key in file.integers},
    )


def _open_shard(index: Path, name: str) -> TensorFile:
    if Path(name).name != name:
        raise FormatError(f"{index} lists {name!r}, which is no file beside it. Download it again.")
    if not (index.parent / name).is_file():
        raise FormatError(
            f"{index.parent} lacks {name}, one of the files of this model. Download it too."
        )
    return open_tensors(index.parent / name)


def _read(places: Mapping[str, Any], files: Mapping[str, TensorFile], key: str) -> Tensor:
    return files[places[key]].read(key)
