"""The settings of a LoRA, which several methods have, declared once."""

from __future__ import annotations

from typing import Any

from ..settings import setting


def lora_rank(what: str, source: str, *, main: bool = False) -> Any:
    """what: the LoRAs meant, as the help has them."""
    return setting(
        32,
        low=1,
        widget_high=256,
        main=main,
        source=source,
        help=f"Rank of {what}. Higher ranks capture finer motion, but also more of the clip's "
        "appearance, and make a larger file. The papers use 32.",
    )


def lora_alpha(*, main: bool = False) -> Any:
    return setting(
        None,
        above=0,
        widget_high=512,
        step=0.5,
        main=main,
        none="uses the rank, a scale of 1",
        help="The LoRA's scale is alpha / rank, 1 where both are alike. Higher values learn "
        "faster but less steadily.",
    )


def lora_dropout(source: str, *, main: bool = False) -> Any:
    return setting(
        0.1,
        low=0,
        below=1,
        widget_high=0.9,
        step=0.05,
        main=main,
        source=source,
        help="Share of the LoRA's inputs dropped during training, 0 to 0.9; higher values reduce "
        "overfitting to the clip.",
    )
