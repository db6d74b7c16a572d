"""`python -m tools.registry check | version | changelog | archive FILE`: what is published.

check: says all that stands in the way, and fails if anything does. version: of pyproject.toml.
changelog: what CHANGELOG.md says of that version. archive: writes the file that would be published.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .archive import write_archive
from .changelog import section
from .checks import faults, project


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.registry", description=__doc__)
    parser.add_argument("what", choices=("check", "version", "changelog", "archive"))
    parser.add_argument("file", nargs="?", type=Path, help="of archive: where to write it")
    given = parser.parse_args(arguments)
    if given.what == "archive":
        if given.file is None:
            parser.error("archive needs a FILE to write.")
        write_archive(given.file)
        return 0
    version = project()["project"]["version"]
    if given.what == "check":
        found = faults()
        sys.stdout.write("".join(f"{fault}\n" for fault in found))
        return 1 if found else 0
    sys.stdout.write(f"{version if given.what == 'version' else section(version)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
