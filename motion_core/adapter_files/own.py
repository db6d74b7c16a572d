"""The adapter file: one `.safetensors` with everything that a training run has learned.

In and out: adapters by name ("temporal", "spatial.0" …) and an `AdapterInfo`. The header's metadata
holds `motion_adapter`, sorted JSON of the info, `motion_adapter_previews`, a JSON list of small
pictures in base64, and what lists of models read, see `model_managers`. Tensors are named
"<adapter's name>.<its own name>"; only AnimateDiff's temporal LoRA stands without a prefix, so that
AnimateDiff-Evolved loads the file as a motion LoRA (it drops whatever has no "temporal" in its
name).
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from ..adapters import ADAPTERS, check_kinds
from ..adapters.base import Adapter, Scope, check_family
from ..adapters.lora.keys import lora_names
from ..backbones.base import Family
from ..backbones.families import FAMILIES
from ..backbones.files.kinds import ADAPTER_METADATA, require_role
from ..backbones.files.lora_names import PEFT_NAMES
from ..backbones.files.roles import Role
from ..backbones.files.tensors import TensorFile, open_tensors, write_tensors
from ..errors import AdapterError, FormatError, SettingsError
from ..settings import from_mapping, require, to_mapping
from .model_managers import manager_metadata

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
PREVIEWS_KEY = "motion_adapter_previews"
MAX_PREVIEWS = 8
MAX_PREVIEW_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class AdapterEntry:
    """One adapter in the file. prefix: what its tensors' names begin with, "" or "<name>.".
    options: what else it takes to apply it.
    """

    kind: str
    scope: Scope
    prefix: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AdapterInfo:
    """What a file says about its adapters, enough to choose, apply and train them again.

    method: registry name; settings: all of the method's and the run's, as plain values.
    parametrisation: "lora", "full", "embedding" …; rank: None without a LoRA. family, version: of
    the base. sites: which layers are adapted, "temporal.attn1" and the like. frames, width, height
    (pixels), fps, prompts: of the reference clips. steps: trained. reference_hash: of the clips.
    licence: of the base's weights. shown: names of the adapters that a sample applies where nothing
    else is asked for. adapters: filled in by `save_adapter`. For other programs' files
    see `is_foreign`.
    """

    method: str
    settings: Mapping[str, object]
    parametrisation: str
    family: Family
    version: str
    rank: int | None
    sites: tuple[str, ...]
    frames: int
    width: int
    height: int
    fps: float
    prompts: tuple[str, ...]
    steps: int
    reference_hash: str
    licence: str
    package_version: str
    shown: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION
    adapters: Mapping[str, AdapterEntry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = f"one of {', '.join(FAMILIES)}"
        require(self.family in FAMILIES, "family", self.family, known)
        for name in ("frames", "width", "height"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.steps >= 0, "steps", self.steps, "at least 0")
        require(self.fps > 0, "fps", self.fps, "more than 0")

    @property
    def is_foreign(self) -> bool:
        """Whether another program trained it, whose file says nothing of that: version, licence,
        hash and package version are then empty, and frames, size and fps are the usual ones there.
        """
        return not self.reference_hash


def save_adapter(
    path: Path,
    adapters: Mapping[str, Adapter],
    info: AdapterInfo,
    previews: Sequence[bytes] = (),
) -> None:
    """Writes the file in one go: under a temporary name, flushed to disk, then renamed.

    previews: up to 8 JPEG or PNG pictures of at most 64 KiB each; see `preview_jpeg`.
    Raises AdapterError if there is nothing to save, two adapters' tensors have the same name or a
    kind of adapter is unknown.
    """
    check_kinds(adapters.values())
    require(len(previews) <= MAX_PREVIEWS, "previews", len(previews), f"at most {MAX_PREVIEWS}")
    for picture in previews:
        require(
            len(picture) <= MAX_PREVIEW_BYTES,
            "bytes of a preview",
            len(picture),
            f"at most {MAX_PREVIEW_BYTES}",
        )
    entries = {
        name: AdapterEntry(
            kind=adapter.kind,
            scope=adapter.scope,
            prefix=_prefix(name, adapter, info.family),
            options=adapter.options,
        )
        for name, adapter in adapters.items()
    }
    metadata = {
        **manager_metadata(to_mapping(info), path.stem, previews),
        ADAPTER_METADATA: _to_json(dataclasses.replace(info, adapters=entries)),
        PREVIEWS_KEY: json.dumps([base64.b64encode(picture).decode() for picture in previews]),
    }
    write_tensors(path, _tensors(adapters, entries), metadata)


def load_adapter(path: Path) -> tuple[AdapterInfo, dict[str, Adapter]]:
    """Reads what `save_adapter` wrote, the tensors as float32 on the CPU.

    Raises FormatError for another role's file, a newer format, an unknown kind of adapter, missing
    or unknown tensors, or a truncated file, before a tensor is read.
    """
    file = open_tensors(path)
    info = _checked_info(file)
    shares: dict[str, dict[str, Tensor]] = {name: {} for name in info.adapters}
    for key in file.shapes:
        owner = _owner(key, info.adapters)
        assert owner is not None, key  # _checked_info has seen to it
        shares[owner][key.removeprefix(info.adapters[owner].prefix)] = file.read(key).clone()
    return info, {
        name: ADAPTERS[entry.kind].from_state_dict(
            shares[name], scope=entry.scope, family=info.family, options=entry.options
        )
        for name, entry in info.adapters.items()
    }


def read_info(path: Path) -> AdapterInfo:
    """What the file says of its adapters, which are not read. Raises FormatError as `load_adapter`
    does.
    """
    return _checked_info(open_tensors(path))


def read_previews(path: Path) -> list[bytes]:
    """The preview pictures, JPEG or PNG, from the header; empty if there are none.

    Raises FormatError if they are damaged.
    """
    file = open_tensors(path)
    try:
        return [base64.b64decode(p) for p in json.loads(file.metadata.get(PREVIEWS_KEY, "[]"))]
    except (ValueError, TypeError) as error:
        raise FormatError(
            f"{file.name} has damaged previews ({error}). Save or download it again."
        ) from error


def preview_jpeg(frame: Tensor, size: int = 128) -> bytes:
    """A frame (3, H, W) in [-1, 1] as a JPEG with its longer side at most `size` pixels."""
    levels = ((frame.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    picture = Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())
    picture.thumbnail((size, size))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


class Versioned(Protocol):
    """What adapters fit or do not: a Backbone, or a part of one."""

    @property
    def family(self) -> Family: ...

    @property
    def version(self) -> str: ...


def check_fits(info: AdapterInfo, backbone: Versioned) -> None:
    """Raises AdapterError if the base is of another family; logs a warning for another version.

    A version's adapter may work on the next (AnimateDiff v2's on v3, say), so that is for the user
    to judge; layers that do not fit are refused when the adapter is applied.
    """
    check_family(info.family, backbone.family)
    if info.version and info.version != backbone.version:
        logger.warning(
            "The adapter was trained on %s, but the base is %s: the motion may be weaker.",
            info.version,
            backbone.version,
        )


def _checked_info(file: TensorFile) -> AdapterInfo:
    require_role(file, (Role.OWN_ADAPTER,), "an adapter from Motion Adapters")
    info = _from_json(file.metadata[ADAPTER_METADATA], file.name)
    for name, entry in info.adapters.items():
        if entry.kind not in ADAPTERS:
            raise FormatError(
                f"{file.name} contains an adapter {name!r} of kind {entry.kind!r}; known kinds: "
                f"{', '.join(ADAPTERS)}. Update Motion Adapters."
            )
    if missing := [name for name in info.shown if name not in list(info.adapters)]:
        raise FormatError(
            f"{file.name} says that samples apply {missing[0]!r}, which it does not contain (it "
            f"contains {', '.join(info.adapters)}). Save or download it again."
        )
    owners = {key: _owner(key, info.adapters) for key in file.shapes}
    odd = [key for key, owner in owners.items() if owner is None]
    empty = [name for name in info.adapters if name not in owners.values()]
    if odd or empty:
        raise FormatError(
            f"{file.name} has adapters without tensors ({', '.join(empty) or 'none'}) or tensors "
            f"without adapter ({', '.join(odd[:3]) or 'none'}). Save or download it again."
        )
    return info


def _prefix(name: str, adapter: Adapter, family: Family) -> str:
    plain = adapter.kind == "lora" and lora_names(adapter.scope, family) != PEFT_NAMES
    return "" if plain else f"{name}."


def _tensors(
    adapters: Mapping[str, Adapter], entries: Mapping[str, AdapterEntry]
) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, adapter in adapters.items():
        for key, tensor in adapter.state_dict().items():
            full = entries[name].prefix + key
            if full in tensors or _owner(full, entries) != name:
                raise AdapterError(
                    f"Two adapters in this file claim the tensor {full!r}. Give them names that "
                    f"do not start the same way; got {', '.join(adapters)}."
                )
            tensors[full] = tensor
    if not tensors:
        raise AdapterError("There is no adapter to save. Train for at least one step first.")
    return tensors


def _owner(key: str, entries: Mapping[str, AdapterEntry]) -> str | None:
    """The adapter whose prefix is the longest that fits."""
    fitting = [name for name, entry in entries.items() if key.startswith(entry.prefix)]
    return max(fitting, key=lambda name: len(entries[name].prefix), default=None)


def _to_json(info: AdapterInfo) -> str:
    plain = to_mapping(info)
    plain["adapters"] = {name: to_mapping(entry) for name, entry in info.adapters.items()}
    return json.dumps(plain, sort_keys=True)


def _from_json(raw: str, source: str) -> AdapterInfo:
    damaged = f"{source} has a damaged {ADAPTER_METADATA!r} entry; save or download it again"
    try:
        plain: dict[str, Any] = json.loads(raw)
        version = plain["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{damaged}.") from error
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FormatError(
            f"{source} has adapter format {version!r}; this package reads up to {FORMAT_VERSION}. "
            "Update Motion Adapters."
        )
    try:
        entries = plain.pop("adapters")
        plain["adapters"] = {name: from_mapping(AdapterEntry, e) for name, e in entries.items()}
        return from_mapping(AdapterInfo, plain)
    except (SettingsError, KeyError, AttributeError, TypeError) as error:
        raise FormatError(f"{damaged}. ({error})") from error
