from collections.abc import Sequence
from typing import Any

from aiohttp.web import RouteTableDef

class PromptQueue:
    def get_current_queue_volatile(self) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]: ...

class PromptServer:
    instance: PromptServer
    routes: RouteTableDef
    prompt_queue: PromptQueue
    client_id: str | None
    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None: ...
