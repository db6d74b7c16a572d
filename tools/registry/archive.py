"""The files that would be published: those that git tracks and `.comfyignore` does not name.

comfy-cli packs the same ones. `.comfyignore` has the patterns of a `.gitignore`, so git itself
reads them.
"""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
IGNORED = ".comfyignore"


def archive_files(root: Path = ROOT) -> list[PurePosixPath]:
    """Paths in the archive, sorted. Raises subprocess.CalledProcessError outside a repository."""
    left_out = set(_tracked(root, "--ignored", "--cached", f"--exclude-from={IGNORED}"))
    kept = [name for name in _tracked(root) if name not in left_out and (root / name).is_file()]
    return sorted(map(PurePosixPath, kept))


def write_archive(file: Path, root: Path = ROOT) -> None:
    """The archive, as comfy-cli writes it: compressed, with the pack's files at its top."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in archive_files(root):
            archive.write(root / name, str(name))


def _tracked(root: Path, *options: str) -> list[str]:
    # -z: else git quotes names that are not ASCII.
    command = ["git", "-C", str(root), "ls-files", "-z", *options]
    told = subprocess.run(command, check=True, capture_output=True).stdout.decode("utf-8")
    return [name for name in told.split("\0") if name]
