"""The panel's page on a real registry, served without ComfyUI: the same answers as the routes give.

Small and alone, so that widths, themes, keys and long histories can be tried in seconds. What the
routes themselves and ComfyUI's page do is tested in a real ComfyUI.
"""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from motion_adapters.nodes.runs.registry.folder import RunRequestError
from motion_adapters.nodes.runs.registry.registry import RunRegistry
from motion_adapters.nodes.runs.registry.requests import parse_since

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_name("panel.html")
RUNS, WAITING = "/motion_adapters/runs", "/motion_adapters/waiting"
QUEUE = ("/queue", "/interrupt")  # ComfyUI's own


@dataclass
class Queue:
    """What the page is told of the queue, and what it has asked of it: route and body."""

    waiting: list[dict[str, Any]] = field(default_factory=list)
    libraries: bool = True
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def served(registry: RunRegistry, queue: Queue) -> Iterator[str]:
    """The address of the page, while the context lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(registry, queue))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(registry: RunRegistry, queue: Queue) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_DELETE(self) -> None:
            self._answer("DELETE")

        def _answer(self, method: str) -> None:
            if self.path == WAITING:
                told = {"waiting": queue.waiting, "libraries": queue.libraries}
                self._send(200, json.dumps(told).encode(), "application/json")
                return
            if self.path in QUEUE:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                queue.asked.append((self.path, json.loads(body)))
                self._send(200, b"", "text/plain")
                return
            try:
                answer = _answered(registry, method, self.path)
            except RunRequestError as error:
                self._send(error.status, json.dumps({"error": str(error)}).encode(), "text/json")
                return
            if isinstance(answer, Path):
                kind = mimetypes.guess_type(answer.name)[0] or "application/octet-stream"
                self._send(200, answer.read_bytes(), kind)
            else:
                self._send(200, json.dumps(answer).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler


def _answered(registry: RunRegistry, method: str, target: str) -> Any:
    path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
    if path == "/":
        return PAGE
    if path == "/i18n":
        return {
            language: json.loads((REPOSITORY / "locales" / language / "main.json").read_text())
            for language in ("en", "zh")
        }
    if path.startswith("/web/") and ".." not in path:
        return REPOSITORY / path[1:]
    parts = [unquote(part) for part in path.removeprefix(RUNS).strip("/").split("/") if part]
    if not path.startswith(RUNS):
        raise RunRequestError(f"There is no {path}.", 404)
    return _of_runs(registry, method, parts, query.get("since", ["0"])[0])


def _of_runs(registry: RunRegistry, method: str, parts: list[str], since: str) -> Any:
    if not parts:
        return {"runs": registry.runs()}
    if method == "DELETE":
        registry.delete(parts[0])
        return {"deleted": parts[0]}
    if method == "POST":
        registry.ask(*parts)
        return {"asked": parts[1]}
    if parts[1:] == ["prompt"]:
        return registry.prompt(parts[0])
    if len(parts) == 3:
        return registry.sample(parts[0], parts[2])
    return registry.run(parts[0], parse_since(since))
