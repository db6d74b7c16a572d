"""`python -m benchmarks.papers`: measures the methods and the papers' claims on shape world."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
