from typing import Any

from aiohttp.web import RouteTableDef

class PromptServer:
    instance: PromptServer
    routes: RouteTableDef
    client_id: str | None
    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None: ...
