"""Adapters in a MODEL: on for each of the sampler's questions to the network, and off again.

In: a ModelPatcher, and what makes adapters ready for its network. Out: wrappers on the ModelPatcher
(`comfy.patcher_extension`). Between two questions, and whatever ends the sampling, the network is
as it was; hooks are only on models that are loaded at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ...motion_core.settings import require
from .adapter_hooks import AdapterHooks

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.patcher_extension import WrapperExecutor

KEY = "motion_adapters"

# From the MODEL's network, its `diffusion_model`, to what is applied there.
Prepare = Callable[[nn.Module], Sequence[AdapterHooks]]


def apply_while_sampling(model: ModelPatcher, prepare: Prepare, end_percent: float = 1.0) -> None:
    """Lets `model`, a clone of the caller's, apply adapters whenever it samples.

    Several calls add up. end_percent: more than 0 to 1, the share of the noise schedule's way in
    which they take part (`adapter_end` of the core's SampleSettings). Raises AdapterError, from
    `prepare`, if an adapter does not fit, SettingsError for a share out of range.
    """
    require(0.0 < end_percent <= 1.0, "end_percent", end_percent, "more than 0, at most 1")
    applied = _Applied(prepare, model.model.diffusion_model, end_percent)
    if not applied.is_empty:
        model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, applied.sample)
        model.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, applied.predict)


class _Applied:
    """The wrappers, and the adapters that are ready for the network that was sampled last."""

    def __init__(self, prepare: Prepare, network: nn.Module, end_percent: float) -> None:
        self._prepare = prepare
        self._end_percent = end_percent
        self._network = network
        self._hooks = prepare(network)

    @property
    def is_empty(self) -> bool:
        return not any(self._hooks)

    def sample(self, executor: WrapperExecutor, *args: Any, **kwargs: Any) -> Tensor:
        """Around a whole sampling."""
        try:
            return executor(*args, **kwargs)
        finally:
            for hooks in self._hooks:
                hooks.release()

    def predict(
        self, executor: WrapperExecutor, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Around one question, with all of its prompts and context windows. timestep: σ."""
        inner = executor.class_obj.inner_model
        end = inner.model_sampling.percent_to_sigma(self._end_percent)
        with ExitStack() as stack:
            # A step that begins where the adapters' share ends is not theirs.
            if float(timestep.max()) > end * (1.0 + 1e-4):
                for hooks in self._hooks_on(inner.diffusion_model):
                    stack.enter_context(hooks.on())
            return executor(x, timestep, *args, **kwargs)

    def _hooks_on(self, network: nn.Module) -> Sequence[AdapterHooks]:
        """ComfyUI may sample another copy of the network than the one that was patched (its
        ModelPatcherDynamic does, for prompts with hooks).
        """
        if network is not self._network:
            self._hooks = self._prepare(network)
            self._network = network
        return self._hooks
