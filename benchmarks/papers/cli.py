"""The benchmark's command line: measures the methods and the papers' claims on shape world."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from motion_core.cli.main import run_parsed
from motion_core.cli.parsing import Parser

SUMMARY = "Measure the methods, and test their papers' claims, on the small bundled bases."

CACHE = Path("out/bench")
REPORT = Path("docs")

EXAMPLES = """examples:
  python -m benchmarks.papers --quick
  python -m benchmarks.papers
  python -m benchmarks.papers --only 'motion-crafter*' --only 'coupled/zeroscope/zigzag'

Trains each method on shape world's reference clips, samples other subjects, and scores motion and
appearance from the pixels: means with 95 % intervals, and for each row what its paper claims and
whether that holds here. Takes about 55 minutes on two cores; 6 with --quick.
Writes results.json, results.md and results/MOTION.png. Finished rows and trainings are kept in
--cache: an interrupted benchmark resumes where it stopped, and anything that has changed since
(settings, weights, code) is measured again."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns its exit status. argv: without the program's name."""
    parser = Parser(prog="python -m benchmarks.papers", description=SUMMARY, epilog=EXAMPLES)
    add_arguments(parser)
    parser.set_defaults(run=run)
    return run_parsed(parser, argv)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        help="folder for the results (default: docs for the full set, otherwise the cache)",
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=CACHE,
        help="folder for trainings and finished rows (default: out/bench)",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="the four methods on one backbone")
    size.add_argument(
        "--full", action="store_true", help="all variants, backbones and motions: many hours"
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        nargs="+",
        action="extend",
        default=[],
        help="rows VARIANT/BACKBONE/MOTION or variants, with * as a wildcard; the base is always "
        "included",
    )
    parser.add_argument(
        "--objective", metavar="NAME", help="only rows of this method; the base is always included"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto"
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .cli_run import run_bench
    from .plans import chosen, default_plan, full_plan, quick_plan

    plan = (quick_plan if arguments.quick else full_plan if arguments.full else default_plan)()
    method = arguments.objective and arguments.objective.replace("-", "_")
    plan = dataclasses.replace(plan, rows=chosen(plan.rows, arguments.only, method))
    whole = not (arguments.quick or arguments.only or method)
    return run_bench(
        plan,
        arguments.output or (REPORT if whole else arguments.cache),
        arguments.cache,
        device=arguments.device,
        command=_command(arguments),
    )


def _command(arguments: argparse.Namespace) -> str:
    """What was asked for, without the places on this machine."""
    words = ["python", "-m", "benchmarks.papers"]
    words += [f"--{name}" for name in ("quick", "full") if getattr(arguments, name)]
    for pattern in arguments.only:
        words += ["--only", pattern]
    if arguments.objective:
        words += ["--objective", arguments.objective]
    return shlex.join(words)
