"""The tables of docs/speed.md, made of the counted rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from motion_core.backbones.base import Keeps

from .cases import FAMILIES, METHODS, SIZES, Case
from .rows import COMMAND, PATH, Row, kept_versions

PAGE = Path(__file__).parents[2] / "docs" / "speed.md"
TITLES = {
    "motion_director": "MotionDirector",
    "motion_crafter": "MotionCrafter",
    "motion_inversion": "Motion Inversion",
    "motrans": "MoTrans",
    "animatediff": "AnimateDiff v3",
    "zeroscope": "ZeroScope",
}
PRESETS: Mapping[Keeps, str] = {"all": "fast", "outputs": "balanced", "inputs": "low"}
NUMBERS = "TFLOP | launches | GB moved | peak GiB | reads | writes"
Rows = Mapping[Case, Row]


def write_page(rows: Rows, path: Path = PAGE) -> None:
    """Puts the tables between the page's marks."""
    text = path.read_text("utf-8")
    for name, table in tables(rows).items():
        inside = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, found = re.subn(inside, lambda m: m[1] + table + m[2], text, flags=re.DOTALL)  # noqa: B023
        assert found == 1, name
    path.write_text(text, "utf-8")


def tables(rows: Rows) -> dict[str, str]:
    """By the name of their marks in the page."""
    makers: Mapping[str, Callable[[Rows], Iterable[str]]] = {
        "made": _made,
        "beside": _beside_the_textbook,
        "steps": _steps,
        "before": _before,
        "lengths": _lengths,
        "operations": _operations,
    }
    return {name: "\n".join(maker(rows)) + "\n" for name, maker in makers.items()}


def _made(rows: Rows) -> list[str]:
    libraries = ", ".join(f"{name} {number}" for name, number in kept_versions(PATH).items())
    return [f"Counted by `{COMMAND}` with {libraries}."]


def _beside_the_textbook(rows: Rows) -> Iterable[str]:
    yield "| method | base | size | memory | FLOPs | launches | bytes | peak |"
    yield "|---|---|---|---|---:|---:|---:|---:|"
    for book in rows.values():
        if book.case.recipe == "textbook":
            for keeps in PRESETS:
                case = replace(book.case, recipe="ours", keeps=keeps)
                if case in rows:
                    ratios = (
                        f"{getattr(rows[case], name) / getattr(book, name):.2f}x"
                        for name in ("flops", "launches", "moved", "peak")
                    )
                    yield _line([*_name(case)[1:], *ratios])


def _steps(rows: Rows) -> Iterable[str]:
    yield f"| | method | base | size | memory | {NUMBERS} |"
    yield "|---|---|---|---|---|" + "---:|" * 6
    for size in SIZES:
        for family in FAMILIES:
            for method in METHODS:
                for recipe in ("textbook", "ours"):
                    for keeps in PRESETS:
                        case = Case(recipe, method, family, *size, keeps=keeps)
                        if case in rows:
                            yield _line(_name(case) + _numbers(rows[case]))


def _before(rows: Rows) -> Iterable[str]:
    yield f"| LoRA layer | base | memory | {NUMBERS} |"
    yield "|---|---|---|" + "---:|" * 6
    for case in rows:
        if case.recipe == "0.1.0":
            for recipe, layer in (("0.1.0", "as peft's"), ("ours", "one operation")):
                row = rows[replace(case, recipe=recipe)]
                yield _line([layer, *_name(case)[2::2], *_numbers(row)])


def _lengths(rows: Rows) -> Iterable[str]:
    yield "| base | frames | TFLOP a frame | launches | GB a frame | peak MiB a frame |"
    yield "|---|---:|---:|---:|---:|---:|"
    for family in FAMILIES:
        for frames in (8, 16, 24, 32):
            row = rows.get(Case("ours", "motion_director", family, frames=frames))
            if row is not None:
                each = [
                    f"{row.flops / 1e12 / frames:.3f}",
                    f"{row.launches:,}",
                    f"{row.moved / 1e9 / frames:.2f}",
                    f"{row.peak / 2**20 / frames:.1f}",
                ]
                yield _line([TITLES[family], str(frames), *each])


def _operations(rows: Rows) -> Iterable[str]:
    yield "| operation | launches | GB moved | share of the bytes | TFLOP |"
    yield "|---|---:|---:|---:|---:|"
    row = rows[Case("ours", "motion_director", "animatediff")]
    costliest = sorted(row.operations.items(), key=lambda item: -item[1][2])[:12]
    for name, (launches, flops, moved) in costliest:
        share = f"{moved / row.moved:.0%}"
        yield _line(
            [f"`{name}`", f"{launches:,}", f"{moved / 1e9:.1f}", share, f"{flops / 1e12:.2f}"]
        )


def _name(case: Case) -> list[str]:
    size = f"{case.width}x{case.height}x{case.frames}"
    memory = "checkpointing" if case.recipe == "textbook" else PRESETS[case.keeps]
    return [case.recipe, TITLES[case.method], TITLES[case.family], size, memory]


def _numbers(row: Row) -> list[str]:
    return [
        f"{row.flops / 1e12:.2f}",
        f"{row.launches:,}",
        f"{row.moved / 1e9:.0f}",
        f"{row.peak / 2**30:.2f}",
        str(row.reads),
        str(row.writes),
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
