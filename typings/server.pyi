from typing import Any

from aiohttp.web import RouteTableDef
from execution import PromptQueue

class PromptServer:
    instance: PromptServer
    routes: RouteTableDef
    prompt_queue: PromptQueue
    client_id: str | None
    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None: ...
