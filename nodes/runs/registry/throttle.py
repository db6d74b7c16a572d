"""At most so many calls a second, and always one after the last change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Throttle:
    """`changed` calls `send` at once, or, where the last call was less than `interval` seconds ago,
    once when that time is over: what came in between goes together.

    `send` runs on the thread that changed something, or on a timer's, never on two at a time.
    """

    def __init__(self, send: Callable[[], None], interval: float) -> None:
        self.send, self.interval = send, interval
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._last = float("-inf")
        self._timer: threading.Timer | None = None

    def changed(self) -> None:
        with self._lock:
            if self._timer is not None:
                return
            wait = self._last + self.interval - time.monotonic()
            if wait > 0:
                self._timer = threading.Timer(wait, self._send)
                self._timer.daemon = True
                self._timer.start()
                return
            self._last = time.monotonic()
        self._send_alone()

    def _send(self) -> None:
        with self._lock:
            self._timer = None
            self._last = time.monotonic()
        self._send_alone()

    def _send_alone(self) -> None:
        with self._sending:
            self.send()
