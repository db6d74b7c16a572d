"""Files renamed, wrongly typed, cut short and mixed up: whatever is read of them, or refused with a
MotionError; and inspect and sample agree on which.

MODEL_FILE_MUTATIONS sets how many are tried (the default takes seconds).
"""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from motion_core.adapter_files.formats import FORMATS
from motion_core.adapter_files.inspection import file_lines, inspect_file
from motion_core.adapter_files.other_programs import renamed
from motion_core.adapter_files.reading import read_any_adapter
from motion_core.backbones.files.lora_content import lora_content
from motion_core.backbones.files.tensors import open_tensors
from motion_core.errors import MotionError
from tests.adapter_files.test_own import adapters
from tests.known_files import KNOWN_FILES, Shapes
from tests.lora_names import NAMINGS, named, with_alpha

TRIES = int(os.environ.get("MODEL_FILE_MUTATIONS", "250"))
SUFFIXES = (".safetensors", ".ckpt", ".SFT", ".bin")
PREFIXES = ("unet.", "diffusion_model.", "lora_unet_", "transformer.", "module.", "x.", "")

Tensors = dict[str, Tensor]


def seeds() -> list[tuple[Tensors, Mapping[str, str]]]:
    """The files that people have, and a motion LoRA in every naming, all of them small."""
    temporal = adapters()["temporal"]
    few = type(temporal)(
        scope="temporal", family="animatediff", pairs=dict(list(temporal.pairs.items())[:4])
    )
    loras: list[Tensors] = [named(few, naming) for naming in NAMINGS]
    loras += [with_alpha(few, naming, 0.5) for naming in ("kohya", "peft", "diffusers")]
    known = [(small(file.shapes), file.metadata) for file in KNOWN_FILES.values()]
    return [*((tensors, {}) for tensors in loras), *known]


def small(shapes: Shapes) -> Tensors:
    return {k: torch.zeros([min(size, 9) for size in shape]) for k, shape in shapes.items()}


def renamed_prefix(tensors: Tensors, rng: random.Random) -> Tensors:
    prefix = rng.choice(PREFIXES)
    return {prefix + key: tensor for key, tensor in tensors.items()}


def without_prefix(tensors: Tensors, rng: random.Random) -> Tensors:
    return {key.partition(".")[2] or key: tensor for key, tensor in tensors.items()}


def misspelled(tensors: Tensors, rng: random.Random) -> Tensors:
    key = rng.choice(list(tensors))
    place = rng.randrange(len(key))
    wrong = key[:place] + rng.choice("._0aZé\0") + key[place + rng.randrange(2) :]
    return {wrong if name == key else name: tensor for name, tensor in tensors.items()}


def wrongly_typed(tensors: Tensors, rng: random.Random) -> Tensors:
    kind = rng.choice((torch.int8, torch.int64, torch.bool, torch.bfloat16, torch.float64))
    some = set(rng.sample(list(tensors), rng.randint(1, len(tensors))))
    return {key: t.to(kind) if key in some else t for key, t in tensors.items()}


def wrongly_shaped(tensors: Tensors, rng: random.Random) -> Tensors:
    key = rng.choice(list(tensors))
    shape = [rng.choice((0, 1, 3, 4, 9)) for _ in range(rng.randrange(6))]
    return {**tensors, key: torch.zeros(shape)}


def not_finite(tensors: Tensors, rng: random.Random) -> Tensors:
    key = rng.choice(list(tensors))
    return {**tensors, key: torch.full_like(tensors[key].float(), rng.choice((float("nan"), 1e38)))}


def incomplete(tensors: Tensors, rng: random.Random) -> Tensors:
    kept = rng.sample(list(tensors), rng.randint(0, len(tensors)))
    return {key: tensors[key] for key in kept}


def mixed(tensors: Tensors, rng: random.Random) -> Tensors:
    other, _ = rng.choice(seeds_once())
    return {**tensors, **{key: t for key, t in other.items() if rng.random() < 0.5}}


_SEEDS: list[tuple[Tensors, Mapping[str, str]]] = []


def seeds_once() -> list[tuple[Tensors, Mapping[str, str]]]:
    if not _SEEDS:
        _SEEDS.extend(seeds())
    return _SEEDS


MUTATIONS: Sequence[Callable[[Tensors, random.Random], Tensors]] = (
    renamed_prefix,
    without_prefix,
    misspelled,
    wrongly_typed,
    wrongly_shaped,
    not_finite,
    incomplete,
    mixed,
)


def written(tensors: Tensors, metadata: Mapping[str, str], path: Path, rng: random.Random) -> None:
    """As safetensors or torch, and now and then cut short or with some bytes changed."""
    plain = {key: tensor.clone().contiguous() for key, tensor in tensors.items()}
    if rng.random() < 0.3:
        torch.save(rng.choice((plain, {"state_dict": plain}, {"a": plain, "b": plain})), path)
    else:
        path.write_bytes(save(plain, dict(metadata)))
    if rng.random() < 0.25:
        content = bytearray(path.read_bytes())
        if rng.random() < 0.5:
            content = content[: rng.randrange(len(content) + 1)]
        for _ in range(rng.randrange(4) if content else 0):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(bytes(content))


def outcome(action: Callable[[], object]) -> str | None:
    """None if it went well; a MotionError's text. Every other error goes through."""
    try:
        action()
    except MotionError as error:
        assert str(error).strip()
        return str(error)
    return None


def agree(path: Path) -> None:
    facts: dict[str, object] = {}
    unreadable = outcome(lambda: facts.update(inspect_file(path)))
    refused = outcome(lambda: read_any_adapter(path))
    if unreadable is not None:
        assert refused is not None, unreadable
        return
    assert file_lines(facts)
    is_adapter = "loras" in facts or "adapter" in facts or "embeddings" in facts
    assert is_adapter == (refused is None), (facts, refused)
    file = open_tensors(path)
    if content := lora_content(file):
        for form in FORMATS:
            outcome(lambda form=form, content=content: renamed(content, form))


def test_mutations_leave_clear_errors_alone(tmp_path: Path) -> None:
    for number in range(TRIES):
        rng = random.Random(number)
        tensors, metadata = rng.choice(seeds_once())
        for _ in range(rng.randint(1, 3)):
            if tensors:
                tensors = rng.choice(MUTATIONS)(tensors, rng)
        path = tmp_path / f"x{rng.choice(SUFFIXES)}"
        written(tensors, metadata, path, rng)
        try:
            agree(path)
        except Exception as error:
            raise AssertionError(f"mutation {number}: {type(error).__name__}: {error}") from error
        path.unlink()


HEADERS: Mapping[str, object] = {
    "a header that is a list": [],
    "a tensor without a shape": {"x": {"dtype": "F32", "data_offsets": [0, 4]}},
    "an unknown type": {"x": {"dtype": "Q4", "shape": [1], "data_offsets": [0, 4]}},
    "offsets beyond the file": {"x": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}},
    "negative sizes": {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
    "metadata that is no text": {"__metadata__": {"a": 1}},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_no_program_writes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header = json.dumps(HEADERS[name]).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert "damaged or incomplete" in str(outcome(lambda: inspect_file(path)))
