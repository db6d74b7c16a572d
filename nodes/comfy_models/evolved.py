"""Motions in a MODEL that comes from AnimateDiff-Evolved ("ADE").

In: a ModelPatcher with ADE's motion models in its additional models. Out: a clone in which they are
patched: LoRAs and whole weights as weight patches, which gives the very weights that ADE's own LoRA
loader makes of the same file; embeddings as object patches on the projections of its temporal
attention. Read from ADE d8d163c, model_injection.py and motion_module_ad.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...motion_core.adapters.base import Adapter
from ...motion_core.adapters.embedding.hooks import Shift, Size
from ...motion_core.backbones.base import Family
from ...motion_core.backbones.files.keys import motion_keys
from ...motion_core.errors import AdapterError
from .adapter_hooks import Adapters, KeptShifts, of_kind
from .animatediff import EVOLVED
from .while_sampling import KEY

if TYPE_CHECKING:
    from comfy.patcher_extension import WrapperExecutor


class EvolvedModules(NamedTuple):
    """What adapters are checked against: ADE's motion model by the core's names."""

    version: str
    family: Family = "animatediff"


def evolved_modules(model: ModelPatcher) -> EvolvedModules:
    """What motion model of ADE's is in the MODEL; raises AdapterError if there is none."""
    motion_models = model.get_additional_models_with_key(EVOLVED)
    if not motion_models:
        raise AdapterError(
            "This MODEL has no motion model from AnimateDiff-Evolved. Put this node after Use "
            "Evolved Sampling, or use Apply Motion to AnimateDiff."
        )
    module: Any = motion_models[0].model
    return EvolvedModules(f"animatediff-sd15-{module.mm_info.mm_version}")


def with_evolved_motions(model: ModelPatcher, adapters: Adapters) -> ModelPatcher:
    """A clone of `model` in whose motion models of ADE's the temporal adapters are applied too.

    Raises AdapterError if an adapter does not fit them, or is of a kind that is unknown.
    """
    patched = model.clone()
    for adapter, strength in adapters:
        for motion_model in patched.get_additional_models_with_key(EVOLVED):
            of_kind(_APPLIERS, adapter)(patched, motion_model, adapter, strength)
    return patched


def _add_patches(
    model: ModelPatcher, motion_model: ModelPatcher, adapter: Adapter, strength: float
) -> None:
    # Of a LoRA up @ down, as in ADE's own loader, so that the sums round alike.
    deltas = adapter.weight_changes() or {}
    keys = motion_keys(deltas)
    patches = {places[0].key: (deltas[name],) for name, places in keys.items()}
    shapes = {key: tensor.shape for key, tensor in motion_model.model_state_dict().items()}
    odd = [key for key, (delta,) in patches.items() if shapes.get(key) != delta.shape]
    odd += [name for name in deltas if name not in keys]
    if odd:
        raise AdapterError(
            f"{len(odd)} of the adapter's {len(deltas)} layers are missing from "
            "AnimateDiff-Evolved's motion model, or have another size there: "
            f"{', '.join(odd[:3])}. Load the motion module that the adapter was trained on."
        )
    matched = motion_model.add_patches(patches, strength_patch=strength)
    assert len(matched) == len(patches)


def _add_embedding(
    model: ModelPatcher, motion_model: ModelPatcher, adapter: Any, strength: float
) -> None:
    """adapter: of kind "embedding"."""
    shifts = KeptShifts(adapter, strength)
    for name, block in adapter.blocks.items():
        _shift_block(motion_model, shifts, name, width=block.qk.shape[-1])

    def sample(executor: WrapperExecutor, *args: Any, **kwargs: Any) -> Tensor:
        try:
            return executor(*args, **kwargs)
        finally:
            shifts.release()

    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, sample)


def _leave_out(
    model: ModelPatcher, motion_model: ModelPatcher, adapter: Adapter, strength: float
) -> None:
    """For what changes no motion module: a verb, and an injector, which has no image in a graph."""


# By kind: from the MODEL, its motion model, an adapter of that kind and its strength.
_APPLIERS: Mapping[str, Callable[[ModelPatcher, ModelPatcher, Any, float], None]] = {
    "lora": _add_patches,
    "weights": _add_patches,
    "embedding": _add_embedding,
    "injector": _leave_out,
    "verb": _leave_out,
}


def _shift_block(motion_model: ModelPatcher, shifts: KeptShifts, name: str, width: int) -> None:
    transformer, _, inner = name.partition(".transformer_blocks.")
    transformer = f"{transformer}.temporal_transformer"
    path = f"{transformer}.transformer_blocks.{inner}"
    _check_width(motion_model, f"{path}.attention_blocks.0.to_q", width)
    seen = _Positions(_object(motion_model, f"{transformer}.forward"))
    motion_model.add_object_patch(f"{transformer}.forward", seen)
    for number in (0, 1):
        values: dict[str, Callable[[], Shift | None]] = {
            "to_q": lambda: shifts.by_block[name].qk,
            "to_k": lambda: shifts.by_block[name].qk,
            "to_v": lambda number=number: shifts.by_block[name][1 + number],
        }
        for layer, shift in values.items():
            key = f"{path}.attention_blocks.{number}.{layer}.forward"
            shifted = _Shifted(_object(motion_model, key), shift, seen)
            motion_model.add_object_patch(key, shifted)


class _Positions:
    """In the place of a temporal transformer's forward: notes the size that its blocks do not
    see.
    """

    height = 0
    width = 0

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        self._forward = forward

    def __call__(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.height, self.width = hidden_states.shape[-2:]
        return self._forward(hidden_states, *args, **kwargs)


class _Shifted:
    """In the place of a projection's forward: adds to its input (prompts · h · w, frames, C)."""

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        shift: Callable[[], Shift | None],
        seen: _Positions,
    ) -> None:
        self._forward = forward
        self._shift = shift
        self._seen = seen

    def __call__(self, hidden_states: Tensor) -> Tensor:
        shift = self._shift()
        if shift is None:
            return self._forward(hidden_states)
        size = Size(self._seen.height, self._seen.width, hidden_states.shape[1])
        by_video = hidden_states.unflatten(0, (-1, size.height * size.width))
        by_video = by_video + shift(size, hidden_states.device, hidden_states.dtype)
        return self._forward(by_video.flatten(0, 1))


def _check_width(motion_model: ModelPatcher, layer: str, width: int) -> None:
    try:
        own = _object(motion_model, layer).in_features
    except AttributeError:
        own = None
    if own != width:
        raise AdapterError(
            f"The motion embedding is {width} channels wide at {layer}; AnimateDiff-Evolved's "
            f"motion model has {own or 'no such layer'} there. Load the motion module that it was "
            "trained on."
        )


def _object(motion_model: ModelPatcher, name: str) -> Any:
    """A part of the model as it is with this ModelPatcher's own object patches."""
    return motion_model.get_model_object(name)
