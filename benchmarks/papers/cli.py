"""The benchmark's command line: measures the methods and the papers' claims on shape world."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from motion_core.cli.main import run_parsed
from motion_core.cli.parsing import Parser

SUMMARY = "Measure the methods, and test their papers' claims, on the small bundled bases."

CACHE = Path("out/bench")
REPORT = Path("docs")
README = Path("README.md")

EXAMPLES = """examples:
  python -m benchmarks.papers --quick
  python -m benchmarks.papers --processes 8
  python -m benchmarks.papers --only 'motion-crafter*' --only 'coupled/zeroscope/zigzag'
  python -m benchmarks.papers --report

Trains each method on shape world's reference clips, samples other subjects, and scores motion and
appearance from the pixels: means with 95 % intervals over prompts, and for each row what is asked
of it and whether that holds here. The whole takes a night on two cores; 6 minutes with --quick.
Writes results.json, results.md, results/MOTION.png, README's figures and, as soon as it is
finished, each training's record in results/rows. An interrupted benchmark resumes where it stopped,
also on another machine that has these records; what has changed since (settings, weights, code) is
measured again. --report makes the report anew from the records and trains nothing."""


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
        help="folder for the results (default: docs for the whole set, otherwise the cache)",
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=CACHE,
        help="folder for trainings (default: out/bench)",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="the four methods on one backbone")
    size.add_argument(
        "--full", action="store_true", help="all variants, backbones and motions: days"
    )
    parser.add_argument(
        "--report", action="store_true", help="only make the report from what has been measured"
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
    parser.add_argument(
        "--processes",
        metavar="N",
        type=_count,
        help="trainings at a time, each takes about 2 GB (default: one a core, at most 4; one on a "
        "GPU)",
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here: torch and diffusers take seconds to import.
    from .cli_run import Places, report_only, run_bench
    from .plans import chosen, default_plan, full_plan, quick_plan

    plan = (quick_plan if arguments.quick else full_plan if arguments.full else default_plan)()
    method = arguments.objective and arguments.objective.replace("-", "_")
    plan = chosen(plan, arguments.only, method)
    whole = not (arguments.quick or arguments.only or method)
    places = Places(
        output=arguments.output or (REPORT if whole else arguments.cache),
        cache=arguments.cache,
        readme=README if whole and not arguments.output else None,
    )
    if arguments.report:
        return report_only(plan, places, device=arguments.device, command=_command(arguments))
    return run_bench(
        plan,
        places,
        device=arguments.device,
        command=_command(arguments),
        processes=arguments.processes,
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is not 1 or more")
    return count


def _command(arguments: argparse.Namespace) -> str:
    """What was asked for, without the places on this machine and how it is done there."""
    words = ["python", "-m", "benchmarks.papers"]
    words += [f"--{name}" for name in ("quick", "full") if getattr(arguments, name)]
    for pattern in arguments.only:
        words += ["--only", pattern]
    if arguments.objective:
        words += ["--objective", arguments.objective]
    return shlex.join(words)
