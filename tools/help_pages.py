"""Writes what follows from the nodes and the settings: `python -m tools.help_pages --object-info
FILE`.

FILE is what GET /object_info answers. Of each page in `web/docs` only the sections Inputs and
Outputs are replaced; everything else in it is written by hand. In the panel's English texts, the
labels of the settings are replaced.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from motion_core.methods import METHODS
from motion_core.settings import fields_of
from motion_core.training.settings import TrainSettings

from .workflows.graph import DYNAMIC_COMBO, default_of, kind_of

FOLDER = Path(__file__).parents[1] / "web" / "docs"
PANEL = FOLDER.parents[1] / "locales" / "en" / "main.json"
MANY = 8


def filled(page: str, definition: Mapping[str, Any]) -> str:
    """The page with the tables as the node has them now."""
    tables = {"Inputs": inputs_table(definition["input"]), "Outputs": outputs_table(definition)}
    for title, table in tables.items():
        section = f"## {title}\n\n{table}\n\n"
        page, found = re.subn(
            rf"^## {title}\n.*?(?=^## |\Z)", lambda _, s=section: s, page, flags=re.M | re.S
        )
        if found != 1:
            raise ValueError(f"The page has {found} sections {title!r}; expected one.")
    return page.rstrip() + "\n"


def inputs_table(inputs: Mapping[str, Mapping[str, Any]]) -> str:
    rows = "\n".join(input_rows(inputs, ""))
    return f"| input | values | what it does |\n|---|---|---|\n{rows}"


def input_rows(inputs: Mapping[str, Mapping[str, Any]], under: str) -> Iterator[str]:
    """A row an input; those of a dynamic combo's choices follow it, each with its choice."""
    for group in ("required", "optional"):
        for name, spec in inputs.get(group, {}).items():
            kind, options = kind_of(spec)
            where = " (optional)" if group == "optional" else ""
            values = f"{values_of(kind, options)}{where}"
            told = cell(options.get("tooltip", ""))
            yield f"| {under}`{name}` | {values} | {told} |"
            if kind == DYNAMIC_COMBO:
                for choice in options["options"]:
                    yield from input_rows(choice["inputs"], f"{choice['key']}: ")


def values_of(kind: str, options: Mapping[str, Any]) -> str:
    """What may be given, and the default."""
    if kind == DYNAMIC_COMBO:
        return ", ".join(f"`{choice['key']}`" for choice in options["options"])
    if kind == "COMBO":
        choices = options.get("options", [])
        if "default" not in options or len(choices) > MANY:
            return "a list"
        others = [f"`{choice}`" for choice in choices if choice != options["default"]]
        return ", ".join([f"**`{options['default']}`**", *others])
    if kind in ("INT", "FLOAT"):
        low, high = number(options.get("min")), number(options.get("max"))
        return f"{low} to {high}, **{number(default_of(kind, options))}**"
    if kind == "STRING":
        return "text"
    if kind == "BOOLEAN":
        return f"on or off, **{'on' if options.get('default') else 'off'}**"
    return kind.replace(",", " or ")


def number(value: float | None) -> str:
    if value is None or abs(value) >= 2**31:
        return "any"
    return f"{value:g}" if abs(value) < 1e5 else f"{value:.0f}"


def outputs_table(definition: Mapping[str, Any]) -> str:
    tooltips = definition.get("output_tooltips") or []
    rows = []
    for slot, (name, kind) in enumerate(
        zip(definition["output_name"], definition["output"], strict=True)
    ):
        told = tooltips[slot] if slot < len(tooltips) else None
        rows.append(f"| {name} | {kind} | {cell(told or '')} |")
    return "| output | type | what it is |\n|---|---|---|\n" + "\n".join(rows)


def with_labels(texts: dict[str, Any]) -> dict[str, Any]:
    """The panel's texts with the labels of all settings that a run records, as declared."""
    classes = (TrainSettings, *(method.Settings for method in METHODS.values()))
    labels = {field.name: field.label for cls in classes for field in fields_of(cls)}
    ours = texts["motionAdapters"]
    others = {**ours, "settings": {**ours["settings"], **labels}}
    return {**texts, "motionAdapters": others}


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Command line; see above."""
    parser = argparse.ArgumentParser(prog="python -m tools.help_pages", description=__doc__)
    parser.add_argument("--object-info", type=Path, required=True, help="the JSON file")
    definitions = json.loads(parser.parse_args().object_info.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.md")):
        page = filled(path.read_text(encoding="utf-8"), definitions[path.stem])
        path.write_text(page, encoding="utf-8")
    texts = with_labels(json.loads(PANEL.read_text(encoding="utf-8")))
    PANEL.write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
