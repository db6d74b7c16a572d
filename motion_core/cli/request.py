"""A training run as plain values, put together from the base's defaults, files and flags.

In: layers, each a mapping with the tables `clip`, `train` and `objective` beside the entries of
`RunSettings`; a later layer wins. Out: a `TrainRequest`, checked, whose `document` is again such a
mapping: run from it, the same run comes out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..bases import BASES, PERSONALISED, BaseDefaults, base_defaults, check_parts
from ..diffusion.settings import SampleSettings
from ..errors import SettingsError
from ..methods import METHODS
from ..methods.base import Method
from ..methods.defaults import Material
from ..settings import fields_by_name, fields_of, from_mapping, refuse_unknown, require, to_mapping
from ..training.settings import TrainSettings
from ..training.suited import Suited, suited
from ..video.settings import ClipSettings
from .material import material_of_run
from .method_settings import check_owners, settings_class
from .run_settings import RunSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

Layer = Mapping[str, Any]

PARTS = ("checkpoint", "motion_module", "domain_adapter", "vae", "text_encoder")
LISTS = ("clips", "images", "prompts")
TABLES = ("clip", "train", "objective")
DEFAULT_METHOD = next(iter(METHODS))


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A run that can be started. method: configured. sampled_its_way: see `Suited`. found: settings
    of the method that were found in the prompts, to be shown.
    """

    run: RunSettings
    clip: ClipSettings
    train: TrainSettings
    method: Method
    sampled_its_way: Mapping[str, Any]
    found: Mapping[str, Any]

    @property
    def parts(self) -> dict[str, str | None]:
        """The base's files, as `load_base` takes them."""
        return {part: getattr(self.run, part) for part in PARTS}

    def prompt_of(self, index: int) -> str | None:
        """The prompt given for a clip or image; None if its caption is to be read."""
        prompts = self.run.prompts
        return None if not prompts else prompts[index if len(prompts) > 1 else 0]

    def sample_settings(self, frames: int, height: int, width: int) -> SampleSettings:
        """How the run's samples are made, at this size."""
        base = base_defaults(self.run.base, self.run.motion_module)
        return SampleSettings(
            steps=self.run.sample_steps,
            few_steps=base.few_steps,
            guidance_scale=self.run.sample_guidance,
            adapter_end=base.adapter_end,
            frames=frames,
            height=height,
            width=width,
            seed=self.train.seed,
            noise_prior=self.run.sample_noise_prior,
        )

    def document(self) -> dict[str, object]:
        """All of it as plain values, every default written out."""
        return {
            **to_mapping(self.run),
            "clip": to_mapping(self.clip),
            "train": to_mapping(self.train),
            "objective": {"name": self.method.name, **to_mapping(self.method.settings)},
        }


def build_request(layers: Sequence[Layer]) -> TrainRequest:
    """The run that the layers describe together; raises SettingsError on what is unknown or out of
    range.
    """
    name = next((layer["base"] for layer in reversed(layers) if layer.get("base")), None)
    if name is None:
        raise SettingsError(
            f"There is no base to train on. Set --base to one of {', '.join(BASES)}."
        )
    require(isinstance(name, str), "base", name, f"one of {', '.join(BASES)}")
    method_name = chosen_method(layers)
    settings, given = settings_class(method_name), _merged(layers)
    base = base_defaults(name, given.get("motion_module"))
    given["objective"].pop("name", None)
    check_owners(given["objective"], method_name)
    refuse_unknown(settings.__name__, given["objective"], fields_by_name(settings))
    method, material = METHODS[method_name], material_of_run(given)
    usual = suited(method, base, material, given["objective"], given["train"])
    has_noise = given.get("inversion_steps") != 0
    merged = _merged([_defaults(usual, has_noise), given])
    tables = {table: merged.pop(table) for table in TABLES}
    run = from_mapping(RunSettings, merged)
    check_parts(name, **{part: getattr(run, part) for part in PARTS})
    return TrainRequest(
        run=run,
        clip=from_mapping(ClipSettings, tables["clip"]),
        train=from_mapping(TrainSettings, tables["train"]),
        method=method(from_mapping(settings, tables["objective"])),
        sampled_its_way=usual.sampled_its_way,
        found=_found(method, base, material, given["objective"], usual),
    )


def chosen_method(layers: Sequence[Layer]) -> str:
    """The registry name of the method that the layers ask for; that there is one is not checked."""
    tables = [layer.get("objective") for layer in reversed(layers)]
    names = (table["name"] for table in tables if isinstance(table, Mapping) and "name" in table)
    return str(next(names, DEFAULT_METHOD)).replace("-", "_")


def read_layer(path: Path) -> Layer:
    """A configuration file, .toml or .json; its relative paths start from the file's folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}). Check the path.") from error
    try:
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}.") from error
    require(isinstance(values, dict), path.name, type(values).__name__, "a table of settings")
    return absolute_paths(values, path.absolute().parent)


def whole_record(layer: Layer) -> Layer:
    """What a run recorded of itself, with the settings that came later at the values that leave all
    as it was then: their classes' own, and not what suits a run of today.
    """
    later = {"sample_noise_prior": fields_by_name(RunSettings)["sample_noise_prior"].default}
    cls = settings_class(chosen_method([layer]))
    missing = {field.name: field.default for field in fields_of(cls)}
    return {**later, **layer, "objective": {**missing, **layer["objective"]}}


def absolute_paths(layer: Layer, folder: Path) -> Layer:
    """The layer with its paths made absolute from `folder`, and single entries as lists."""
    values = dict(layer)
    for name in LISTS:
        if isinstance(values.get(name), str):
            values[name] = [values[name]]
    for name in ("clips", "images"):
        if isinstance(values.get(name), (list, tuple)):
            values[name] = [str(folder / str(path)) for path in values[name]]
    for name in PARTS:
        if isinstance(values.get(name), str) and values[name] != PERSONALISED:
            values[name] = str(folder / values[name])
    return values


def _found(
    method: type[Method], base: BaseDefaults, material: Material, chosen: Layer, usual: Suited
) -> dict[str, Any]:
    """The settings that would be others if nothing were known of the prompts."""
    without = suited(method, base, replace(material, prompts=()), chosen).settings
    return {name: value for name, value in usual.settings.items() if value != without[name]}


def _defaults(usual: Suited, has_noise: bool) -> Layer:
    """has_noise: whether the clip's is made."""
    return {
        "sample_steps": usual.sample["steps"],
        "sample_guidance": usual.sample["guidance_scale"],
        "sample_noise_prior": usual.sample["noise_prior"] if has_noise else 0.0,
        "inversion_steps": usual.inversion_steps,
        "clip": usual.clip,
        "train": usual.train,
        "objective": usual.settings,
    }


def _merged(layers: Sequence[Layer]) -> dict[str, Any]:
    merged: dict[str, Any] = {table: {} for table in TABLES}
    for layer in layers:
        for name, value in layer.items():
            if name not in TABLES:
                merged[name] = value
                continue
            require(isinstance(value, Mapping), name, value, f"a table [{name}]")
            below = _without_rate(merged[name], value) if name == "clip" else merged[name]
            merged[name] = {**below, **value}
    return merged


def _without_rate(below: Layer, above: Layer) -> Layer:
    """A stride replaces a rate that a lower layer asks for, and the other way round."""
    if "stride" in above and "fps" not in above:
        return {**below, "fps": None}
    if "fps" in above and "stride" not in above:
        return {**below, "stride": 1}
    return below
