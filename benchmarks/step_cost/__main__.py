"""What a training step costs at full size, counted without a GPU.

`python -m benchmarks.step_cost` counts every case (about 15 minutes on one core), writes
benchmarks/step_cost/counted.json and the tables of docs/speed.md. The trainer's own steps run on
meta tensors, with the kernels and the autocast of CUDA, and beside them the recipes of the papers
as one writes them with peft. `--guarded` counts only the few cases that `make test` compares with
the file, `--missing` those that the file has not.
"""

from __future__ import annotations

import argparse
import sys
import time

from .cases import CASES, GUARDED
from .page import write_page
from .rows import read_rows, row_of, write_rows


def main(arguments: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(prog="benchmarks.step_cost", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--guarded", action="store_true", help="only the cases of `make test`")
    which.add_argument("--missing", action="store_true", help="only cases that are not kept yet")
    chosen = parser.parse_args(arguments)
    rows = read_rows()
    cases = GUARDED if chosen.guarded else CASES
    for case in cases:
        if chosen.missing and case in rows:
            continue
        start = time.process_time()
        rows[case] = row_of(case, case.counted())
        sys.stderr.write(f"{case}: {time.process_time() - start:.0f} s\n")
        write_rows(rows[one] for one in CASES if one in rows)
    write_page(rows)


if __name__ == "__main__":
    main()
