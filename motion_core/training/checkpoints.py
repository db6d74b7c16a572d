"""Resumable states of a run: run_folder/checkpoints/step-N/, with the last two kept.

A checkpoint holds the trained parameters, their AdamW states, both random generators, the clips
still to come and a description of the run, as safetensors and JSON. It is written beside its place,
flushed and renamed, so that a folder named step-N is always whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from ..errors import FormatError, TrainingError
from ..files import patiently, remove_folder
from ..methods.parts import ParameterGroup
from .records import write_json

logger = logging.getLogger(__name__)

FORMAT_VERSION = 2
COMPOSED_VERSION = 1
"""Version 0.1.0's: its runs go on with LoRAs that are computed as they were then."""
KEPT = 2

Meaning = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run stands between two steps.

    step: steps done. generator: state of the run's generator (noise, timesteps, clip order).
    dropout: state of torch's CPU generator; dropout_cuda: of the GPU's, if the run is on one.
    clips_left: indices of the clips to come before the next shuffle.
    """

    step: int
    generator: Tensor
    dropout: Tensor
    dropout_cuda: Tensor | None
    clips_left: tuple[int, ...]


def save_checkpoint(
    run_folder: Path,
    position: Position,
    *,
    groups: Mapping[str, ParameterGroup],
    optimisers: Mapping[str, AdamW],
    scaler: Mapping[str, Any],
    description: Mapping[str, Any],
    format_version: int = FORMAT_VERSION,
) -> Path:
    """Writes checkpoints/step-N and removes all but the last two. scaler: the gradient scaler's
    state, empty without one. description: what the run is, see `describe`. format_version: that the
    run began with. Returns the folder.
    """
    folder = run_folder / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".step-*"):
        remove_folder(leftover)
    temporary = folder / f".step-{position.step}"
    temporary.mkdir()
    save_file(_parameters(groups), temporary / "parameters.safetensors")
    save_file(_optimiser_states(groups, optimisers), temporary / "optimisers.safetensors")
    save_file(_generators(position), temporary / "random.safetensors")
    state = {
        "format_version": format_version,
        "step": position.step,
        "clips_left": list(position.clips_left),
        "scaler": dict(scaler),
        "description": description,
    }
    write_json(temporary / "state.json", state)
    final = folder / f"step-{position.step}"
    _put_in_place(temporary, final)
    for old in _by_step(folder)[:-KEPT]:
        _forget(old)
    return final


def latest_checkpoint(run_folder: Path) -> Path | None:
    """The newest checkpoint of the run, or None."""
    found = _by_step(run_folder / "checkpoints")
    return found[-1] if found else None


def load_checkpoint(
    path: Path, *, groups: Mapping[str, ParameterGroup], optimisers: Mapping[str, AdamW]
) -> tuple[Position, dict[str, Any]]:
    """Fills parameters and optimisers from a checkpoint; returns where the run stood and the
    scaler's state.

    Raises FormatError if a file is damaged, or a tensor missing or of another shape. Call
    `check_same_run` first.
    """
    state = _read_state(path)
    parameters, moments, random = (
        _read_tensors(path, name) for name in ("parameters", "optimisers", "random")
    )
    expected = {name: tensor.shape for name, tensor in _parameters(groups).items()}
    if {name: tensor.shape for name, tensor in parameters.items()} != expected:
        raise FormatError(f"{path} contains other parameters than this run. Use a new run folder.")
    with torch.no_grad():
        for name, parameter in _named(groups).items():
            parameter.copy_(parameters[name])
            optimiser = optimisers[name.rpartition("/")[0]]
            saved = {
                key: moments[f"{name}/{key}"]
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{name}/{key}" in moments
            }
            if saved:
                fused = bool(optimiser.defaults["fused"])
                optimiser.state[parameter] = _on_device(saved, parameter, fused)
    position = Position(
        step=state["step"],
        generator=random["generator"],
        dropout=random["dropout"],
        dropout_cuda=random.get("dropout_cuda"),
        clips_left=tuple(state["clips_left"]),
    )
    return position, state["scaler"]


def format_of(path: Path) -> int:
    """A checkpoint's format version. Raises FormatError if it is damaged, or not known here."""
    return _read_state(path)["format_version"]


def check_same_run(path: Path, description: Mapping[str, Any], meaning: Meaning = dict) -> None:
    """Raises TrainingError, naming what differs, if the checkpoint at `path` is of another run than
    `description`. meaning: of descriptions, by which they are compared; see `meaning`.
    """
    saved = meaning(_read_state(path)["description"])
    now = json.loads(json.dumps(meaning(description)))
    differences = list(_differences(json.loads(json.dumps(saved)), now, ""))
    if differences:
        raise TrainingError(
            f"{path} belongs to another run: {'; '.join(differences)}. Restore these to resume, "
            "or use a new run folder."
        )


def base_digest(network: nn.Module, dtype: torch.dtype | None = None) -> str:
    """A hash of the base's weights: names, shapes and the first 64 values of each tensor, as
    float32. dtype: that floating ones would be in, None for theirs.
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        values = tensor.detach().flatten()[:64]
        if dtype is not None and values.is_floating_point():
            values = values.to(dtype)
        values = values.to("cpu", torch.float32)
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _named(groups: Mapping[str, ParameterGroup]) -> dict[str, nn.Parameter]:
    return {
        f"{group}/{index}": parameter
        for group, entry in groups.items()
        for index, parameter in enumerate(entry.parameters)
    }


def _parameters(groups: Mapping[str, ParameterGroup]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in _named(groups).items()}


def _optimiser_states(
    groups: Mapping[str, ParameterGroup], optimisers: Mapping[str, AdamW]
) -> dict[str, Tensor]:
    """AdamW's step, exp_avg and exp_avg_sq by parameter; a group that has not been stepped yet has
    none.
    """
    return {
        f"{name}/{key}": value.detach().contiguous()
        for name, parameter in _named(groups).items()
        for key, value in optimisers[name.rpartition("/")[0]].state.get(parameter, {}).items()
    }


def _on_device(
    saved: Mapping[str, Tensor], parameter: nn.Parameter, fused: bool
) -> dict[str, Tensor]:
    """AdamW keeps its moments beside the parameter; its step counter only if it is a fused one, and
    otherwise on the CPU.
    """
    return {
        key: value.to(parameter.device) if key != "step" or fused else value
        for key, value in saved.items()
    }


def _generators(position: Position) -> dict[str, Tensor]:
    states = {"generator": position.generator, "dropout": position.dropout}
    if position.dropout_cuda is not None:
        states["dropout_cuda"] = position.dropout_cuda
    return states


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(_damaged(path, error)) from error
    if state.get("format_version") not in (COMPOSED_VERSION, FORMAT_VERSION):
        raise FormatError(
            f"{path} has checkpoint format {state.get('format_version')!r}; this version reads "
            f"{COMPOSED_VERSION} and {FORMAT_VERSION}. Use a new run folder, or the version of the "
            "pack that created it."
        )
    return state


def _read_tensors(path: Path, name: str) -> dict[str, Tensor]:
    """Copies: tensors that share memory with the file would keep it open, and on Windows nobody
    could delete this checkpoint later.
    """
    try:
        tensors = load_file(path / f"{name}.safetensors")
        return {key: tensor.clone() for key, tensor in tensors.items()}
    except (OSError, SafetensorError) as error:
        raise FormatError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return (
        f"{path} is damaged ({error}). Delete that folder to resume from the checkpoint before it."
    )


def _by_step(folder: Path) -> list[Path]:
    found = {
        int(match[1]): path
        for path in (folder.iterdir() if folder.exists() else ())
        if (match := re.fullmatch(r"step-(\d+)", path.name))
    }
    return [found[step] for step in sorted(found)]


def _put_in_place(temporary: Path, final: Path) -> None:
    for file in temporary.iterdir():
        with file.open("r+b") as handle:
            os.fsync(handle.fileno())
    if final.exists():
        remove_folder(final)
    patiently(lambda: os.replace(temporary, final))
    if hasattr(os, "O_DIRECTORY"):  # Windows cannot open, and need not flush, a folder
        handle = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(handle)
        os.close(handle)


def _forget(old: Path) -> None:
    """One checkpoint too many is no reason to end a training: the next saving tries again."""
    try:
        remove_folder(old)
    except OSError as error:
        logger.warning("%s cannot be deleted yet: %s.", old, error.strerror or error)


def _differences(saved: Any, now: Any, name: str) -> Sequence[str]:
    if isinstance(saved, dict) and isinstance(now, dict):
        return [
            line
            for key in sorted({*saved, *now})
            for line in _differences(saved.get(key), now.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if saved == now else [f"{name} was {saved!r}, now {now!r}"]
