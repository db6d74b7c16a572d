from collections.abc import Sequence
from typing import Any

class PromptQueue:
    def get_current_queue_volatile(self) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]: ...
