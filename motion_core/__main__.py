"""`python -m motion_core`: the command line; see `motion_core.cli`."""

from .cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
