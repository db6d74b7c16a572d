"""The archive that would be published: small, with all that is needed and nothing else."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from tools.registry.__main__ import main
from tools.registry.archive import ROOT, archive_files
from tools.registry.changelog import section
from tools.registry.checks import project

MOST = 25 * 2**20  # bytes
TOP = {
    *("__init__.py", "pyproject.toml", "requirements.txt"),
    *("README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"),
    *("motion_core", "nodes", "web", "locales", "workflows", "subgraphs", "docs"),
}
NEEDED = (
    "motion_core/shape_world/weights/image.safetensors",
    "motion_core/shape_world/clips/zigzag.mp4",
    "motion_core/methods/templates.txt",
    "nodes/version_0_1_0.json",
    "web/docs/TrainMotionAdapter.md",
    "web/lib/panel/panel.js",
    "locales/zh/nodeDefs.json",
    "workflows/sample-base-motion-director.json",
    "workflows/sample-base-motion-director.jpg",
    "subgraphs/Learn a motion.json",
)
SUFFIXES = {
    *(".py", ".toml", ".txt", ".md", ".json", ".js", ".css", ".jpg", ""),
    *(".safetensors", ".mp4", ".gz"),
}


def test_it_holds_what_is_needed_and_nothing_else() -> None:
    files = archive_files()
    assert {file.parts[0] for file in files} == TOP
    assert {name for name in NEEDED if name not in map(str, files)} == set()
    assert {file.suffix for file in files if file.name != "LICENSE"} <= SUFFIXES
    assert [f for f in files if f.parts[0] == "docs" and f.suffix != ".md"] == []


def test_every_module_that_is_imported_is_in_it() -> None:
    """All of the core and the nodes that git tracks."""
    told = {file.as_posix() for file in archive_files() if file.suffix == ".py"}
    for folder in ("motion_core", "nodes"):
        there = {f.relative_to(ROOT).as_posix() for f in (ROOT / folder).rglob("*.py")}
        assert there <= told


def test_it_is_written_and_small(tmp_path: Path) -> None:
    file = tmp_path / "pack.zip"
    assert main(["archive", str(file)]) == 0
    assert file.stat().st_size < MOST
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(map(str, archive_files()))


def test_the_changelog_tells_of_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    version = project()["project"]["version"]
    assert main(["changelog"]) == 0
    assert capsys.readouterr().out.strip() == section(version)
    assert len(section(version)) > 100
    assert main(["version"]) == 0
    assert capsys.readouterr().out.strip() == version


def test_a_version_without_a_section_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "CHANGELOG.md"
    file.write_text("# Changelog\n\n## 1.0.0\n\nFirst.\n\n## 0.1.0\n\nBefore.\n", encoding="utf-8")
    assert section("1.0.0", file) == "First."
    with pytest.raises(KeyError, match=r"0\.2\.0"):
        section("0.2.0", file)


def test_links_of_the_texts_in_it_lead_somewhere() -> None:
    """A page that is published links to files that are published, or to the repository's pictures,
    which are shown on the repository's page alone.
    """
    told = set(map(str, archive_files()))
    for page in [name for name in told if name.endswith(".md") and "/" not in name]:
        for link in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
            assert link in told or (link.startswith("docs/") and (ROOT / link).is_file()), link
