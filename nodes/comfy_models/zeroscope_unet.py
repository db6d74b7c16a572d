"""diffusers' UNet3DConditionModel in the form in which ComfyUI calls a diffusion model.

In: noisy latents with the frames as the batch, conditioning by frame, and what other nodes want to
put in. Out: the network's output. The layers, and so the names of all weights, are diffusers' own,
the ones that are trained; only the way through them is written anew, block by block, since the
blocks' own `forward` has no place for what ComfyUI lets nodes add between layers. Block numbers are
ComfyUI's: input 0 is conv_in, then every layer and downsampler counts one. Source: UNetModel in
comfy/ldm/modules/diffusionmodules/openaimodel.py of ComfyUI 0.8.0 and 0.33.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import apply_control
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from diffusers import UNet3DConditionModel
from torch import Tensor

Options = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One forward pass. embed: (B·F, E), of the timesteps. context: (B·F, L, D). frames: F.
    control: ControlNet's residuals by place, taken off the lists' ends. options: ComfyUI's
    transformer_options.
    """

    embed: Tensor
    context: Tensor
    frames: int
    control: dict[str, list[Tensor | None]] | None
    options: Options

    def at(self, place: str, number: int) -> None:
        """Notes which block runs from now on, for patches."""
        self.options["block"] = (place, number)

    def patched(self, hidden: Tensor, name: str) -> Tensor:
        """`hidden` after all patches of that name."""
        for patch in self.options.get("patches", {}).get(name, ()):
            hidden = patch(hidden, self.options)
        return hidden

    def controlled(self, hidden: Tensor, place: str) -> Tensor:
        """`hidden` with ControlNet's residual, if there is one for this block."""
        return apply_control(hidden, self.control, place)

    def layer(self, block: Any, index: int, hidden: Tensor) -> Tensor:
        """One layer of a down or up block: resnet and transformer, each with its temporal part."""
        hidden = self.resnet(block, index, hidden)
        if hasattr(block, "attentions"):
            hidden = self.attention(block, index, hidden)
        return hidden

    def resnet(self, block: Any, index: int, hidden: Tensor) -> Tensor:
        hidden = block.resnets[index](hidden, self.embed)
        return block.temp_convs[index](hidden, num_frames=self.frames)

    def attention(self, block: Any, index: int, hidden: Tensor) -> Tensor:
        self.options["activations_shape"] = list(hidden.shape)
        (hidden,) = block.attentions[index](
            hidden,
            encoder_hidden_states=self.context,
            cross_attention_kwargs={"transformer_options": self.options},
            return_dict=False,
        )
        self.options["transformer_index"] += 1
        return self.temporal(block.temp_attentions[index], hidden)

    def temporal(self, transformer: Any, hidden: Tensor) -> Tensor:
        return transformer(hidden, num_frames=self.frames, return_dict=False)[0]


class ZeroScopeUNet(UNet3DConditionModel):
    """A `diffusion_model` for ComfyUI's BaseModel."""

    # Modules with attributes of their own, which torch has no types for.
    down_blocks: Any
    mid_block: Any
    up_blocks: Any
    conv_norm_out: Any
    conv_act: Any

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        control: dict[str, list[Tensor | None]] | None = None,
        transformer_options: Options | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """The network's output (B·F, C, h, w), in the dtype of x.

        x: (B·F, C, h, w), B videos of F frames one after another, where B is the number of
        conditionings in transformer_options["cond_or_uncond"]. timesteps: (B·F,). context:
        (B·F, L, D).
        """
        options = {} if transformer_options is None else transformer_options
        wrappers = get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options)
        executor = WrapperExecutor.new_class_executor(self._run, self, wrappers)
        return executor.execute(x, timesteps, context, control, options, **kwargs)

    def _run(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        control: dict[str, list[Tensor | None]] | None,
        options: Options,
        **_: Any,
    ) -> Tensor:
        frames = self._frames(x, options)
        options["original_shape"] = list(x.shape)
        options["transformer_index"] = 0
        embed = self.time_embedding(self.time_proj(timesteps).to(x.dtype))
        for patch in options.get("patches", {}).get("emb_patch", ()):
            embed = patch(embed, self.config["block_out_channels"][0], options)
        run = _Pass(embed=embed, context=context, frames=frames, control=control, options=options)
        skips: list[Tensor] = []
        hidden = self._middle(run, self._inputs(run, x, skips), x, timesteps)
        hidden = self._outputs(run, hidden, skips)
        return self.conv_out(self.conv_act(self.conv_norm_out(hidden)))

    def _frames(self, x: Tensor, options: Options) -> int:
        videos = len(options.get("cond_or_uncond", (0,)))
        assert x.shape[0] % videos == 0, (x.shape, videos)
        return x.shape[0] // videos

    def _inputs(self, run: _Pass, x: Tensor, skips: list[Tensor]) -> Tensor:
        def done(hidden: Tensor) -> Tensor:
            hidden = run.patched(run.controlled(hidden, "input"), "input_block_patch")
            skips.append(hidden)
            return run.patched(hidden, "input_block_patch_after_skip")

        run.at("input", 0)
        hidden = done(run.temporal(self.transformer_in, self.conv_in(x)))
        for block in self.down_blocks:
            for index in range(len(block.resnets)):
                run.at("input", len(skips))
                hidden = done(run.layer(block, index, hidden))
            for downsampler in block.downsamplers or ():
                run.at("input", len(skips))
                hidden = done(downsampler(hidden))
        return hidden

    def _middle(self, run: _Pass, hidden: Tensor, x: Tensor, timesteps: Tensor) -> Tensor:
        block = self.mid_block
        run.at("middle", 0)
        hidden = run.resnet(block, 0, hidden)
        for index in range(len(block.attentions)):
            hidden = run.attention(block, index, hidden)
            hidden = run.resnet(block, index + 1, hidden)
        hidden = run.controlled(hidden, "middle")
        for patch in run.options.get("patches", {}).get("middle_block_after_patch", ()):
            about = {"x": x, "emb": run.embed, "context": run.context, "y": None}
            about |= {"timesteps": timesteps, "transformer_options": run.options}
            hidden = patch({"h": hidden, **about})["h"]
        return hidden

    def _outputs(self, run: _Pass, hidden: Tensor, skips: list[Tensor]) -> Tensor:
        number = 0
        for block in self.up_blocks:
            for index in range(len(block.resnets)):
                run.at("output", number)
                number += 1
                skip = run.controlled(skips.pop(), "output")
                for patch in run.options.get("patches", {}).get("output_block_patch", ()):
                    hidden, skip = patch(hidden, skip, run.options)
                hidden = torch.cat([hidden, skip], dim=1)
                del skip  # not needed any more: the layer's own tensors take its memory
                hidden = run.layer(block, index, hidden)
            for upsampler in block.upsamplers or ():
                # To the size of the next skip: latents of an odd size come back to it.
                hidden = upsampler(hidden, skips[-1].shape[-2:])
        return hidden
