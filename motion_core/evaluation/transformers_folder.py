"""Reads a transformers model from its local folder; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import logging

from ..backbones.files.folders import read_config
from ..errors import FormatError

Model = TypeVar("Model", bound=PreTrainedModel)


def load_folder(
    cls: type[Model], folder: Path, model_type: str, device: torch.device | str
) -> Model:
    """The model in float32, frozen, in evaluation mode.

    model_type: what config.json must say, such as "clip". Raises FormatError for a folder that is
    missing, of another model, damaged, or without some of the weights.
    """
    if not folder.is_dir():
        raise FormatError(f"There is no folder {folder}. Give the folder with config.json in it.")
    found = read_config(folder).get("model_type")
    if found != model_type:
        raise FormatError(
            f"{folder.name} contains a model of type {found!r}; expected {model_type!r}. Give "
            "the folder of such a model."
        )
    try:
        with _no_progress_bars():
            loaded = cls.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except (OSError, RuntimeError, ValueError, UnpicklingError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FormatError(
            f"{folder.name} cannot be loaded ({reason}). Download it again."
        ) from error
    model, info = cast("tuple[Model, dict[str, Any]]", loaded)
    if missing := sorted(info["missing_keys"]):
        raise FormatError(
            f"{folder.name} lacks {len(missing)} weights of a {cls.__name__}, such as "
            f"{missing[0]}. Download it again."
        )
    # transformers' own `to` is annotated as if it had no arguments.
    nn.Module.to(model, device=device, dtype=torch.float32)
    return model.eval().requires_grad_(False)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """transformers draws one even for a second's loading; afterwards it is as it was."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
