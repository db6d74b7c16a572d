"""A video from the command line: adapters and output are checked before the base is loaded."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from ..adapter_files.loaded import LoadedAdapter
from ..adapter_files.noise_file import load_noise, noise_path
from ..adapter_files.own import check_fits
from ..adapter_files.reading import read_any_adapter
from ..adapter_files.sample_defaults import sample_defaults, sample_fps
from ..adapters.base import Adapter, check_family
from ..adapters.embedding.adapter import with_debias
from ..adapters.embedding.debias import Debias
from ..backbones.base import Backbone
from ..bases import BASES, BaseDefaults, base_defaults, check_parts, load_base
from ..diffusion.generate import generate
from ..diffusion.settings import SampleSettings
from ..errors import AdapterError, MotionError, SettingsError
from ..settings import from_mapping, require
from ..training.settings import dtype_on
from ..video.writing import (
    contact_sheet,
    require_frames_folder,
    write_frames,
    write_gif,
    write_image,
    write_video,
)
from .device import chosen_device
from .injected_image import with_image
from .request import PARTS, absolute_paths
from .run_folder import writable_folder
from .terminal import Terminal, say


def run_from_flags(
    arguments: argparse.Namespace, base: Mapping[str, Any], sample: Mapping[str, object]
) -> int:
    """base: --base, its files and --device. sample: those fields of SampleSettings that were
    given.
    """
    defaults = _checked_base(base)
    given = [read_adapter(text) for text in arguments.adapters]
    if arguments.debias is not None:
        given = debiased_files(given, arguments.debias)
    for adapter in given:
        check_family(adapter.info.family, defaults.family, adapter.name)
    noise = _noise_file(arguments.noise, given)
    plays = noise is not None and any(file.strength != 0 for file in given)
    settings = _settings(sample, given, defaults, has_noise=plays)
    fps = _fps(arguments.fps, given, defaults)
    require(arguments.enlarge >= 1, "--enlarge", arguments.enlarge, "1 or more")
    applied = chosen_adapters(
        given, with_looks="spatial_scale" in sample, looks=arguments.with_appearance
    )
    inverted = _inverted(arguments.noise, noise, settings, defaults)
    with _writable(arguments), Terminal() as terminal:
        terminal.show(f"loading {base['base']}")
        backbone = _load(base, arguments.precision)
        for adapter in given:
            check_fits(adapter.info, backbone)
        if arguments.inject_image is not None:
            encoder = arguments.image_encoder
            applied = with_image(applied, arguments.inject_image, encoder, backbone)
        on_step = terminal.steps("sampling")
        frames = generate(backbone, arguments.prompt, applied, settings, inverted, on_step)
        _write(arguments, frames, fps)
    say(f"Saved as {arguments.output}")
    return 0


def read_adapter(text: str) -> LoadedAdapter:
    """FILE or FILE:STRENGTH; see `read_any_adapter` for what it may be."""
    path, strength = split_strength(text)
    return read_any_adapter(path, strength=strength)


def debiased_files(given: Sequence[LoadedAdapter], debias: str) -> list[LoadedAdapter]:
    """The files with all of their motion embeddings debiased in this way. Raises SettingsError for
    a way that there is not, AdapterError if no file has an embedding.
    """
    require(debias in get_args(Debias), "--debias", debias, f"one of {', '.join(get_args(Debias))}")
    changed = [with_debias(file.adapters, debias) for file in given]  # type: ignore[arg-type]
    if not any(changed):
        raise AdapterError(
            "No adapter contains a motion embedding, so --debias has no effect. Leave it out."
        )
    return [
        replace(file, adapters={**file.adapters, **embeddings})
        for file, embeddings in zip(given, changed, strict=True)
    ]


def split_strength(text: str) -> tuple[Path, float]:
    """ "car.safetensors:0.8" as path and strength. A file of the whole name comes first, and a
    colon that no number follows belongs to the path (C:/car.safetensors).
    """
    path, colon, number = text.rpartition(":")
    try:
        strength = float(number)
    except ValueError:
        return Path(text), 1.0
    if not colon or Path(text).exists():
        return Path(text), 1.0
    require(math.isfinite(strength), f"The strength of {path}", number, "a finite number")
    return Path(path), strength


def chosen_adapters(
    given: Sequence[LoadedAdapter], *, with_looks: bool, looks: str | None
) -> list[tuple[Adapter, float]]:
    """What is applied of each file: what it says itself, mostly its motion; its looks where it has
    nothing else, or on demand.

    looks: the name of spatial adapters to apply, "" for the first of each file, None for no demand.
    Raises AdapterError if no file has looks of that name.
    """
    chosen: list[tuple[Adapter, float]] = []
    found = False
    for file in given:
        spatial = sorted(name for name, a in file.adapters.items() if a.scope == "spatial")
        wanted = [name for name in spatial if name == looks] if looks else spatial[:1]
        found = found or bool(wanted)
        looks_alone = len(spatial) == len(file.adapters)
        asked = with_looks or looks is not None or looks_alone
        names = [*([] if looks_alone else file.shown), *(wanted if asked else [])]
        chosen += [(file.adapters[name], file.strength) for name in dict.fromkeys(names)]
    if looks is not None and not found:
        raise AdapterError(
            f"No adapter contains an appearance{f' called {looks!r}' if looks else ''}. "
            "Use inspect to see what a file contains."
        )
    return chosen


def _checked_base(base: Mapping[str, Any]) -> BaseDefaults:
    if "base" not in base:
        raise SettingsError(f"There is no base to sample. Set --base to one of {', '.join(BASES)}.")
    defaults = base_defaults(base["base"], base.get("motion_module"))
    check_parts(base["base"], **{part: base.get(part) for part in PARTS})
    return defaults


def _load(base: Mapping[str, Any], precision: str) -> Backbone:
    device = chosen_device(base.get("device", "auto"))
    dtype = dtype_on(precision, device)
    paths = absolute_paths(base, Path.cwd())
    parts = {part: paths.get(part) for part in PARTS}
    return load_base(base["base"], **parts, dtype=dtype, device=device)


def _settings(
    sample: Mapping[str, object],
    given: Sequence[LoadedAdapter],
    defaults: BaseDefaults,
    *,
    has_noise: bool,
) -> SampleSettings:
    """The flags, then the defaults of adapters and base. has_noise: see `sample_defaults`."""
    infos = [file.info for file in given]
    usual = sample_defaults(defaults, infos, has_noise=has_noise, asked=sample)
    settings = from_mapping(SampleSettings, {**usual, **sample})
    if settings.noise_prior > 0 and "noise_prior" not in sample:
        prior = f"{settings.noise_prior:g}"
        say(f"The noise prior is {prior}, the method's own; --noise-prior 0 is fresh noise.")
    return settings


def _fps(fps: float | None, given: Sequence[LoadedAdapter], defaults: BaseDefaults) -> float:
    if fps is not None:
        require(0 < fps < math.inf, "--fps", fps, "more than 0")
        return fps
    return sample_fps(defaults, [file.info for file in given])


def _noise_file(asked: Path | None, given: Sequence[LoadedAdapter]) -> Path | None:
    """The file of inverted latents that is asked for, or lies beside an adapter."""
    beside = [noise_path(file.path) for file in given if file.path is not None]
    return asked or next((path for path in beside if path.is_file()), None)


def _inverted(
    asked: Path | None, path: Path | None, settings: SampleSettings, defaults: BaseDefaults
) -> Tensor | None:
    """The noise prior's latents; None without a prior. asked: a file for nothing is refused."""
    if settings.noise_prior == 0:
        if asked is not None:
            raise SettingsError(f"--noise {asked} has no effect without --noise-prior. Add it.")
        return None
    if path is None:
        raise SettingsError(
            f"--noise-prior is {settings.noise_prior:g}, but no adapter has a .noise.safetensors "
            "file next to it. Add --noise FILE, or leave out the prior."
        )
    info, latents = load_noise(path)
    check_family(info.family, defaults.family, f"The adapter of {path.name}")
    return latents


@contextmanager
def _writable(arguments: argparse.Namespace) -> Iterator[None]:
    if arguments.output.is_dir():
        raise MotionError(f"{arguments.output} is a folder. Choose another --output.")
    folders = [arguments.output.absolute().parent]
    if arguments.frames is not None:
        require_frames_folder(arguments.frames)
        folders.append(arguments.frames.absolute().parent)
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(writable_folder(folder))
        yield


def _write(arguments: argparse.Namespace, frames: Tensor, fps: float) -> None:
    output: Path = arguments.output
    if arguments.frames is not None:
        write_frames(arguments.frames, frames)
    suffix = output.suffix.lower()
    if suffix == ".png":
        write_image(output, contact_sheet([(arguments.prompt, frames)]))
    elif suffix == ".gif":
        write_gif(output, frames, fps, arguments.enlarge)
    else:
        write_video(output, frames, fps, arguments.enlarge)
    if arguments.gif and suffix != ".gif":
        write_gif(output.with_suffix(".gif"), frames, fps, arguments.enlarge)
