"""The workflow that publishes: a version that has changed, once it has been checked."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.registry.archive import ROOT

FILE = ROOT / ".github" / "workflows" / "publish.yml"
CHECKED = "python -m tools.registry check"
PUBLISHED = "comfy --skip-prompt --no-enable-telemetry node publish"


def workflow() -> dict[Any, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def steps() -> list[dict[str, Any]]:
    return workflow()["jobs"]["publish"]["steps"]


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With version 0.1.0 in its only commit."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "0.1.0")
    return tmp_path


def commit(folder: Path, version: str, more: str = "") -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = re.sub(r'^version = ".+"$', f'version = "{version}"', text, flags=re.MULTILINE)
    (folder / "pyproject.toml").write_text(text + more, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", version)


def decided(folder: Path, event: str) -> str:
    """What the step that compares the versions hands to the others."""
    (step,) = (step for step in steps() if step.get("id") == "version")
    script = step["run"].replace("${{ github.event_name }}", event)
    assert "${{" not in script
    output = folder.parent / "github_output"
    output.write_text("", encoding="utf-8")
    environ = {**os.environ, "GITHUB_OUTPUT": str(output)}
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environ, check=True)
    return output.read_text(encoding="utf-8").strip()


def test_a_new_version_is_published(repository: Path) -> None:
    commit(repository, "0.2.0")
    assert decided(repository, "push") == "publish=true"


def test_another_change_of_the_project_is_not(repository: Path) -> None:
    commit(repository, "0.1.0", more="# another line")
    assert decided(repository, "push") == ""
    assert decided(repository, "workflow_dispatch") == "publish=true"


def test_nothing_is_published_that_has_not_been_checked() -> None:
    """Both steps come after the comparison and ask for its answer; the check is the first."""
    runs = [step.get("run", "") for step in steps()]
    (check,) = (number for number, run in enumerate(runs) if CHECKED in run)
    (publish,) = (number for number, run in enumerate(runs) if PUBLISHED in run)
    assert check < publish
    for number in (check, publish):
        assert steps()[number]["if"] == "steps.version.outputs.publish == 'true'"
    assert steps()[0]["with"]["fetch-depth"] == 2  # the commit before, to compare with
    assert workflow()[True]["push"] == {"branches": ["main"], "paths": ["pyproject.toml"]}
