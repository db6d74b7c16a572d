"""At most one call in an interval, and always one after the last change."""

from __future__ import annotations

import threading
import time

from motion_adapters.nodes.runs.registry.throttle import Throttle


def test_the_first_change_is_told_at_once() -> None:
    calls: list[float] = []
    Throttle(lambda: calls.append(0.0), 10.0).changed()
    assert calls == [0.0]


def test_changes_in_between_go_together_once_the_time_is_over() -> None:
    told = threading.Semaphore(0)
    times: list[float] = []

    def send() -> None:
        times.append(time.monotonic())
        told.release()

    throttle = Throttle(send, 0.3)
    for _ in range(50):
        throttle.changed()
    assert told.acquire(timeout=60)
    assert told.acquire(timeout=60)
    time.sleep(0.5)
    assert len(times) == 2
    assert times[1] - times[0] >= 0.3


def test_many_threads_get_no_more() -> None:
    calls: list[int] = []
    throttle = Throttle(lambda: calls.append(1), 60.0)
    threads = [threading.Thread(target=throttle.changed) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
