"""The route by which the page asks what suits the nodes of its graph: POST /motion_adapters/suited
with {"prompt": …}, as the page would queue it, and in "touched" the inputs of each node that a
person has set.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from server import PromptServer

from ..host.http import answered, fresh

SUITED = "/motion_adapters/suited"


def add_suited_route() -> None:
    """Adds the route; ComfyUI answers it under /api as well."""
    PromptServer.instance.routes.post(SUITED)(answered(_suited))


async def _suited(request: web.Request) -> web.StreamResponse:
    asked: dict[str, Any] = await request.json()
    return fresh({"nodes": await asyncio.to_thread(_answers, asked)})


def _answers(asked: dict[str, Any]) -> dict[str, Any]:
    # Imported here: it needs the libraries that the nodes register without.
    from .answers import answers
    from .here import here

    return answers(asked["prompt"], here(), asked.get("touched"))
