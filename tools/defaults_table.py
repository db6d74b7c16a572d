"""Writes docs/defaults.md, every default beside what its paper or official code says:
`python -m tools.defaults_table`.

All of it follows from the declarations: of the settings, the bases and the methods. Which of them
counts, `training.suited` decides; here the same order is gone through for what is told of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from motion_core.bases import BASES, BaseDefaults
from motion_core.methods import METHODS
from motion_core.methods.base import Method
from motion_core.methods.defaults import Material
from motion_core.settings import Setting, fields_by_name
from motion_core.training.settings import TrainSettings
from motion_core.training.suited import Suited, suited

FILE = Path(__file__).parents[1] / "docs" / "defaults.md"
PROMPT = "a car turns left on a road"
ONE = Material(videos=1, images=0, prompts=(PROMPT,))
OTHERS: Mapping[str, Material] = {
    "24 frames": Material(videos=1, images=0, frames=24, prompts=(PROMPT,)),
    "4 videos": Material(videos=4, images=0, prompts=(PROMPT,)),
    "10 videos": Material(videos=10, images=0, prompts=(PROMPT,)),
    "1 image": Material(videos=0, images=1),
    "10 images": Material(videos=0, images=10),
}
LARGE = [BASES[name] for name in ("animatediff", "zeroscope")]
SMALL = [base for base in BASES.values() if base not in LARGE]
TABLES = ("settings", "train", "clip", "sample")
TITLES = {"settings": "", "train": "", "clip": "clip: ", "sample": "sample: "}
RATES = ("learning_rate", "weight_decay")
OF_METHODS = ("steps", *RATES)  # of a training; a sample's are told of each base
FOUND_IN_PROMPTS = ("motion", "verb")
INTRODUCTION = f"""# Defaults

What runs where nothing is asked for, by method, base and clips. A value that is given, by a flag,
in a file or on a node, is the value that runs, equal to a default or not.
`python -m tools.defaults_table` writes this page from the declarations in `motion_core/bases.py`,
`motion_core/training/settings.py` and `motion_core/methods/`.

The full-size bases follow the papers; the small bundled ones have values that were tuned for their
size, two of them where AnimateDiff's and ZeroScope's architecture differ. Values are for one video
of the base's usual length, with the prompt "{PROMPT}"; the rows below say what
changes with other clips. "Paper or official code" has the source's value, and the last column why
another one was chosen.
"""
COLUMNS = (
    "setting",
    "AnimateDiff",
    "ZeroScope",
    "small bases",
    "paper or official code",
    "from",
    "why another",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(frozen=True, kw_only=True)
class Told:
    """Of a default. source: where it is from. official: what is said there, if it is another."""

    source: str = ""
    official: str = ""
    reason: str = ""


def page() -> str:
    """The whole file."""
    parts = [INTRODUCTION, "## Every method\n", HEAD, *_common_rows()]
    for method in METHODS.values():
        parts += ["", f"## {method.title}\n", HEAD, *_rows_of(method)]
    return "\n".join(parts) + "\n"


class _AnyMethod(METHODS["coupled"]):
    """A method without defaults of its own."""

    defaults: ClassVar = {}


def _common_rows() -> Iterator[str]:
    """What is the same for every method, unless its own table says something else."""
    usual = suited(_AnyMethod, LARGE[0], ONE)
    names = {"train": usual.train, "clip": usual.clip, "sample": usual.sample}
    for table, values in names.items():
        for name in values:
            if table != "train" or name not in OF_METHODS:
                yield _row(_AnyMethod, table, name)
    yield _row(_AnyMethod, "sample", "inversion_steps")


def _rows_of(method: type[Method]) -> Iterator[str]:
    for table, name in _own(method):
        yield _row(method, table, name)
        for words, material in OTHERS.items():
            if name not in FOUND_IN_PROMPTS and _with(method, material, table, name) != _with(
                method, ONE, table, name
            ):
                yield _row(method, table, name, words, material)


def _own(method: type[Method]) -> list[tuple[str, str]]:
    """The table and name of all that the method has a default of its own for."""
    names = {table: dict[str, None]() for table in TABLES}
    names["settings"] = dict.fromkeys(fields_by_name(method.Settings))
    names["train"] = dict.fromkeys(("steps", *RATES))
    for layer in method.defaults.values():
        for table in TABLES:
            names[table] |= dict.fromkeys(getattr(layer, table))
    return [(table, name) for table in TABLES for name in names[table]]


def _row(
    method: type[Method], table: str, name: str, words: str = "", material: Material = ONE
) -> str:
    values = _with(method, material, table, name)
    told = [told_of(method, base, table, name) for base in (*LARGE, *SMALL)]
    source = next((one.source for one in reversed(told[: len(LARGE)]) if one.source), "")
    official = next((one.official for one in told if one.official), "")
    papers = official or (values[1] if source and not source.startswith("not ") else "")
    reasons = " ".join(dict.fromkeys(one.reason for one in told if one.reason))
    label = f"{TITLES[table]}`{name}`" + (f", {words}" if words else "")
    small = " / ".join(dict.fromkeys(values[2:]))
    if words:
        papers, source, reasons = "", "", ""
    return f"| {' | '.join((label, *values[:2], small, papers, source, reasons))} |"


def _with(method: type[Method], material: Material, table: str, name: str) -> list[str]:
    """The value on each base, in words; first those of full size."""
    return [
        _words(_value(suited(method, base, material), table, name)) for base in (*LARGE, *SMALL)
    ]


def _value(usual: Suited, table: str, name: str) -> object:
    return usual.inversion_steps if name == "inversion_steps" else getattr(usual, table)[name]


def told_of(method: type[Method], base: BaseDefaults, table: str, name: str) -> Told:
    """What is told of the declaration that counts, in the order of `suited`."""
    every, named = method.defaults_of(base.name)
    layers = [getattr(layer, table) for layer in (every, *named)]
    of_base = table == "train" and name in base.train
    for layer in reversed(layers[1:] if of_base else layers):
        if usual := layer.get(name):
            return Told(source=usual.source, official=usual.official, reason=usual.reason)
    if name == "inversion_steps":
        return Told(source="MotionDirector_train.py and Motion Inversion's train.py, inverse_video")
    if of_base or table in ("clip", "sample"):
        at_base = "sample_steps" if (table, name) == ("sample", "steps") else name
        return Told(source=base.source, reason=base.reasons.get(at_base, ""))
    if name in RATES:
        return Told(source=method().rates(ONE)[2 + RATES.index(name)])
    return _said(fields_by_name(TrainSettings if table == "train" else method.Settings)[name].said)


def _said(said: Setting) -> Told:
    return Told(source=said.source, official=said.official, reason=said.reason)


def _words(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _listed(value)
    return str(value)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "empty"


def main() -> None:
    """Command line; see above."""
    FILE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
