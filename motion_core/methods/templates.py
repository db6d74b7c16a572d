"""Appearance templates: prompts of many looks with a gap for the motion, one a line.

MotionCrafter's appearance prior enhancement (v2, Sec. 3.2.2): "a woman with a hat is {} in a park".
The paper shows that one and ships none, so the lists beside this file are ours; a user's own text
file takes their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SettingsError

GAP = "{}"
SHIPPED: Mapping[str, str] = {
    "everyday": "templates.txt",
    "shapes": "templates_shapes.txt",  # in the words that shape world's bases know
}


def load_templates(source: str) -> list[str]:
    """The templates of a shipped list, by its name, or of a text file, by its path; blank lines
    are skipped.

    Raises SettingsError if the file cannot be read, is empty, or a line has not exactly one {}.
    """
    path = Path(__file__).parent / SHIPPED[source] if source in SHIPPED else Path(source)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"templates is {source!r}, which cannot be read as a text file ({error}). Use "
            f"{' or '.join(map(repr, SHIPPED))}, or the path of a UTF-8 text file with one "
            "template per line."
        ) from error
    templates = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not templates:
        raise SettingsError(
            f"{path.name} contains no templates. Write one per line, such as 'a woman with a hat "
            "is {} in a park'."
        )
    for number, template in templates:
        if template.count(GAP) != 1:
            raise SettingsError(
                f"{path.name}, line {number}, has {template.count(GAP)} gaps: {template!r}. Write "
                "{} exactly once in each line, where the motion goes."
            )
    return [template for _, template in templates]


def filled_templates(templates: Sequence[str], motion: str) -> list[str]:
    """Every template with the description of the motion in its gap."""
    return [template.replace(GAP, motion.strip()) for template in templates]
