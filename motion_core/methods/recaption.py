"""Recaptioning: a prompt that says how a clip moves becomes one that also says how it looks.

In: a frame and the base prompt. Out: the recaptioned prompt c_r. MoTrans (ACM MM 2024), Sec. 3.2
and Fig. 3: a multimodal language model (there LLaVA 1.5) expands the base prompt by a random frame,
under a task instruction. Here any image-text-to-text model of transformers does, from a local
folder; nothing is fetched, and nothing of it is loaded before it is asked for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import MotionError
from ..video.writing import to_bytes

logger = logging.getLogger(__name__)

# The paper shows its instruction only in outline: expand the prompt so that it describes the
# image's looks in full. The length is what CLIP reads, 75 tokens.
INSTRUCTION = (
    'This is a frame of a video with the caption "{prompt}". Rewrite the caption as one sentence '
    "of at most 50 words. Keep its subject and its action, and add how everything looks: the "
    "subject's colours, shape, clothes and materials, the background, the light and the style. "
    "Describe only what can be seen. Answer with the sentence alone."
)
MAX_NEW_TOKENS = 96
_MODEL_FILE = "config.json"


@dataclass(frozen=True, kw_only=True)
class Recaptioner:
    """model, processor: of transformers; see `load_recaptioner`."""

    model: Any
    processor: Any

    @torch.inference_mode(False)
    @torch.no_grad()
    def recaption(self, frame: Tensor, prompt: str) -> str:
        """The prompt, expanded by what the frame (3, H, W) in [-1, 1] shows; always the same for
        the same. Raises MotionError if the model says nothing.
        """
        picture = Image.fromarray(to_bytes(frame[None])[0])
        inputs = self.processor(images=picture, text=self._asked(prompt), return_tensors="pt").to(
            self.model.device, self.model.dtype
        )
        tokens = self.model.generate(**inputs, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)
        answer = tokens[0, inputs["input_ids"].shape[1] :]
        text = " ".join(self.processor.decode(answer, skip_special_tokens=True).split()).strip('"')
        if not text:
            raise MotionError(
                f"The recaptioner gave no answer for {prompt!r}. Write the recaption yourself, "
                "or use another model."
            )
        return text

    def _asked(self, prompt: str) -> str:
        """The instruction in the model's own form of a conversation."""
        content = [
            {"type": "image"},
            {"type": "text", "text": INSTRUCTION.format(prompt=prompt)},
        ]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )


def load_recaptioner(
    folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Recaptioner:
    """An image-text-to-text model (LLaVA, Qwen-VL …) from a transformers folder.

    dtype: None is the folder's own. Raises MotionError for a folder that is missing, incomplete, of
    another kind, or whose processor has no form of a conversation.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    if not (folder / _MODEL_FILE).is_file():
        raise MotionError(
            f"There is no model in {folder} ({_MODEL_FILE} is missing). Give the folder of a "
            "transformers image-text-to-text model, such as llava-1.5-7b-hf."
        )
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, dtype=dtype or "auto"
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MotionError(
            f"{folder.name} is not an image-text-to-text model that transformers can load "
            f"({reason}). Give the complete folder of one, such as llava-1.5-7b-hf."
        ) from error
    if not getattr(processor, "chat_template", None):
        raise MotionError(
            f"{folder.name} has no chat template, so it cannot be prompted. Give the folder of "
            "an instruction-tuned model, with chat_template.json or .jinja."
        )
    logger.info("Generating recaptions with %s.", folder.name)
    return Recaptioner(model=model.to(device).eval(), processor=processor)
