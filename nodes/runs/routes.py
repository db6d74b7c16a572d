"""The REST routes of the training panel: /motion_adapters/waiting, and what is under
/motion_adapters/runs.

Everything is answered in JSON but samples. Folders are read on a thread of their own, so that a
long history does not hold up the server.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from server import PromptServer

from ..host.http import answered, fresh
from .registry.requests import parse_since
from .waiting import libraries_loaded, waiting_prompts
from .watch import prompt_to_resume, run_registry

RUNS = "/motion_adapters/runs"
WAITING = "/motion_adapters/waiting"


def add_run_routes() -> None:
    """Adds the routes; ComfyUI answers them under /api as well."""
    routes = PromptServer.instance.routes
    routes.get(WAITING)(answered(_waiting))
    routes.get(RUNS)(answered(_runs))
    routes.get(f"{RUNS}/{{run}}")(answered(_run))
    routes.get(f"{RUNS}/{{run}}/prompt")(answered(_prompt))
    routes.get(f"{RUNS}/{{run}}/samples/{{name}}")(answered(_sample))
    routes.post(f"{RUNS}/{{run}}/{{command}}")(answered(_ask))
    routes.delete(f"{RUNS}/{{run}}")(answered(_delete))


async def _waiting(request: web.Request) -> web.StreamResponse:
    running, pending = PromptServer.instance.prompt_queue.get_current_queue_volatile()
    waiting = waiting_prompts(running, pending)
    return fresh({"waiting": waiting, "libraries": libraries_loaded()})


async def _runs(request: web.Request) -> web.StreamResponse:
    return fresh({"runs": await asyncio.to_thread(run_registry().runs)})


async def _run(request: web.Request) -> web.StreamResponse:
    since = parse_since(request.query.get("since", "0"))
    return fresh(await asyncio.to_thread(run_registry().run, _run_id(request), since))


async def _prompt(request: web.Request) -> web.StreamResponse:
    return fresh(await asyncio.to_thread(prompt_to_resume, _run_id(request)))


async def _sample(request: web.Request) -> web.StreamResponse:
    """A file, in ranges if the page asks for them. It may be made again by a resumed run, so the
    page asks each time whether its copy is still good.
    """
    name = request.match_info["name"]
    path = await asyncio.to_thread(run_registry().sample, _run_id(request), name)
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})


async def _ask(request: web.Request) -> web.StreamResponse:
    command = request.match_info["command"]
    await asyncio.to_thread(run_registry().ask, _run_id(request), command)
    return fresh({"asked": command})


async def _delete(request: web.Request) -> web.StreamResponse:
    await asyncio.to_thread(run_registry().delete, _run_id(request))
    return fresh({"deleted": _run_id(request)})


def _run_id(request: web.Request) -> str:
    return request.match_info["run"]
