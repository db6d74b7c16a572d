"""Answers of the pack's own routes: JSON, never kept by the page; bad input gets 4xx and
{"error": reason}.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from aiohttp import web

from ...motion_core.errors import MotionError

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answered(handler: Handler) -> Handler:
    """Turns an error that a person can act on into an answer with its reason; the error may say
    its `status`.
    """

    @wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except MotionError as error:
            status = getattr(error, "status", 500)
            if status == 500:
                logger.warning("Motion Adapters: %s", error)
            return web.json_response({"error": str(error)}, status=status)

    return wrapped


def fresh(value: dict[str, Any]) -> web.Response:
    return web.json_response(value, headers={"Cache-Control": "no-store"})
