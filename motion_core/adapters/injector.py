"""The appearance injector: what a frame looks like, told to the temporal transformers beforehand,
so that they need not learn it.

In: image embeddings. Out: changed hidden states before each temporal transformer of the network's
blocks. MoTrans (ACM MM 2024), Eq. 2, h_t = h_s ⊙ (W_p · ψ(f_i)): ⊙ is called a broadcast, the text
says "summed", and so does DreamVideo (CVPR 2024), which it follows.

Deviation: multiplying is h_s ⊙ (1 + W_p · ψ), and not h_s ⊙ (W_p · ψ) as Eq. 2 prints it: a sample
leaves the injector out, which is a factor of 1, about which the motion should have been trained;
and W_p = 0 at the start would let nothing through.

W_p is a matrix without bias for each transformer, zero at the start, which is the identity for both
ways of injecting. `transformer_in` of a network3D belongs to no block and follows no spatial
transformer: it gets none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, cast

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone, Family
from ..errors import AdapterError, FormatError
from .base import Adapter, Scope, check_family, check_joins, check_shape

Injection = Literal["add", "multiply"]
_NUM_FRAMES = 4  # its place in a temporal transformer's call where it is no keyword


@dataclass(frozen=True, kw_only=True)
class InjectorAdapter:
    """A trained injector. weights: W_p (C, V) by the name of a temporal transformer.

    image_embeds: (1, V), the image whose looks are injected; None, as after training and in every
    file, injects nothing: that is how the paper samples. It is kept by `with_image`.
    """

    scope: Scope
    family: Family
    injection: Injection
    weights: Mapping[str, Tensor]
    image_embeds: Tensor | None = None
    kind: str = "injector"
    rank: int | None = None

    def with_image(self, image_embeds: Tensor) -> InjectorAdapter:
        """The same, which injects this image. image_embeds: (1, V) or (F, V), of which the mean is
        taken. Raises AdapterError if V is another encoder's width.
        """
        width = next(iter(self.weights.values())).shape[1]
        if image_embeds.ndim != 2 or image_embeds.shape[1] != width:
            raise AdapterError(
                f"The image's embedding has shape {tuple(image_embeds.shape)}; the injector was "
                f"trained on embeddings of width {width}. Use the image encoder it was trained "
                "with."
            )
        return dataclasses.replace(self, image_embeds=image_embeds.mean(0, keepdim=True))

    def state_dict(self) -> dict[str, Tensor]:
        """W_p by the name of its transformer."""
        return {f"{name}.weight": weight for name, weight in self.weights.items()}

    @property
    def options(self) -> Mapping[str, object]:
        """How it injects; not the image."""
        return {"injection": self.injection}

    @classmethod
    def from_state_dict(
        cls,
        tensors: Mapping[str, Tensor],
        *,
        scope: Scope,
        family: Family,
        options: Mapping[str, object],
    ) -> InjectorAdapter:
        """The inverse of `state_dict` and `options`; raises FormatError for any others."""
        injection = options.get("injection")
        if set(options) != {"injection"} or injection not in ("add", "multiply"):
            raise FormatError(
                f"An injector has the option injection, 'add' or 'multiply'; got {dict(options)}. "
                "Save it again."
            )
        odd = [n for n, t in tensors.items() if not n.endswith(".weight") or t.ndim != 2]
        if odd or len({tensor.shape[1] for tensor in tensors.values()}) != 1:
            raise FormatError(
                "An injector has matrices (C, V) with the same V, named *.weight; got "
                f"{', '.join(odd[:3]) or 'others'}. The file is damaged or in another format."
            )
        weights = {name.removesuffix(".weight"): t.float() for name, t in tensors.items()}
        return cls(
            scope=scope, family=family, injection=cast(Injection, injection), weights=weights
        )

    def layers(self) -> tuple[str, ...]:
        """None: it changes what temporal transformers are given."""
        return ()

    def weight_changes(self) -> None:
        """None, either."""

    def scaled(self, strength: float) -> InjectorAdapter:
        """strength · W_p."""
        weights = {name: strength * weight for name, weight in self.weights.items()}
        return dataclasses.replace(self, weights=weights)

    def joins(self, other: Adapter) -> bool:
        """None: each is for embeddings of its own."""
        return False

    def joined(self, others: Sequence[Adapter]) -> InjectorAdapter:
        """Itself, of no others."""
        check_joins(self, others, "each injector injects by itself")
        return self

    def check_sites(self, network: nn.Module) -> None:
        """Raises AdapterError if a transformer is missing in `network` or of another width."""
        sites = injector_sites(network)
        for name, weight in self.weights.items():
            width = sites.get(name)
            check_shape(name, None if width is None else (width,), weight.shape[:1])

    @contextmanager
    def applied(self, backbone: Backbone, strength: float) -> Iterator[None]:
        """Injects strength · W_p · ψ; without an image nothing is changed.

        Raises AdapterError if the family differs, or a transformer is missing or of another width.
        """
        check_family(self.family, backbone.family)
        self.check_sites(backbone.network)
        with self.scaled(strength).on(backbone.network):
            yield

    def on(self, network: nn.Module) -> AbstractContextManager[None]:
        """Injects at strength 1 into a network that `check_sites` has passed."""
        if self.image_embeds is None:
            return nullcontext()
        return injected(network, self.weights, self.image_embeds, self.injection)


def is_injector(adapter: Adapter) -> TypeGuard[InjectorAdapter]:
    """Whether it takes an image, see `InjectorAdapter.with_image`."""
    return isinstance(adapter, InjectorAdapter)


def injector_sites(network: nn.Module) -> dict[str, int]:
    """Names of the temporal transformers in the network's blocks, and the channels of what they
    get.
    """
    from ..backbones.temporal import TEMPORAL_TRANSFORMERS  # heavy

    return {
        name: cast(nn.GroupNorm, module.norm).num_channels
        for name, module in network.named_modules()
        if isinstance(module, TEMPORAL_TRANSFORMERS) and name != "transformer_in"
    }


def zero_weights(network: nn.Module, width: int) -> dict[str, nn.Parameter]:
    """A fresh W_p (C, V) for each site, on the network's device. width: V."""
    device = next(network.parameters()).device
    return {
        name: nn.Parameter(torch.zeros(channels, width, device=device))
        for name, channels in injector_sites(network).items()
    }


@contextmanager
def injected(
    network: nn.Module, weights: Mapping[str, Tensor], image_embeds: Tensor, injection: Injection
) -> Iterator[None]:
    """Eq. 2 before every temporal transformer that has a weight.

    image_embeds: (1, V) for every clip of a batch, or (B, V). Single frames, for which temporal
    transformers are skipped, are left alone. The change is made outside of what checkpointing
    recomputes, so backward may run after the context.
    """
    device = next(network.parameters()).device
    embeds = image_embeds.to(device, torch.float32, non_blocking=True)
    with ExitStack() as stack:
        for name, weight in weights.items():
            hook = _Injection(weight.to(device, torch.float32), embeds, injection)
            module = network.get_submodule(name)
            stack.enter_context(_removing(module.register_forward_pre_hook(hook, with_kwargs=True)))
        yield


@dataclass(frozen=True)
class _Injection:
    """The hook at one transformer. weight, image_embeds: float32, on the network's device."""

    weight: Tensor
    image_embeds: Tensor
    injection: Injection

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        frames = kwargs["num_frames"] if "num_frames" in kwargs else args[_NUM_FRAMES]
        if frames == 1:
            return args, kwargs
        hidden: Tensor = args[0]
        clips = hidden.shape[0] // frames
        with torch.autocast(hidden.device.type, enabled=False):
            projected = self.image_embeds.expand(clips, -1) @ self.weight.T
            change = projected.repeat_interleave(frames, dim=0)[:, :, None, None]
            if self.injection == "add":
                changed = hidden + change.to(hidden.dtype)
            else:
                changed = hidden * (1.0 + change).to(hidden.dtype)
        return (changed, *args[1:]), kwargs


@contextmanager
def _removing(handle: torch.utils.hooks.RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()
