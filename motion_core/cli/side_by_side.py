"""Work on several small networks at the same time: they gain little from more than one core each.

In: a function and the arguments of each call. Out: what they return, in order.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def side_by_side(work: Callable[..., T], calls: Sequence[tuple[object, ...]]) -> list[T]:
    """Each call in a process of its own, with its share of the cores.

    work: a module's function; arguments and results travel between processes. Raises what the
    first call raises that fails.
    """
    threads = max(1, torch.get_num_threads() // len(calls))
    with ProcessPoolExecutor(
        len(calls),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(threads,),
    ) as processes:
        running = [processes.submit(work, *arguments) for arguments in calls]
        return [process.result() for process in running]
