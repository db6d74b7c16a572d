"""A ComfyUI server in a process of its own, and a client that queues prompts and listens."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

from .bound import bound
from .place import REPOSITORY, ComfyPlace

PACK = "motion-adapters"
Prompt = Mapping[str, Mapping[str, Any]]  # API form: node id → class_type, inputs
PREVIEWS = (b"\0\0\0\1", b"\0\0\0\4")  # without and with metadata
ENDINGS = ("execution_success", "execution_error", "execution_interrupted")


class PromptRefusedError(Exception):
    """The server would not queue a prompt; the text is its own reasons."""


@dataclass
class Finished:
    """What became of a prompt.

    outputs: node id → what the node showed or saved, as in /history. messages: every websocket
    message of the prompt, in order, as (type, data). pictures: how many previews came. error: the
    exception's message, or None.
    """

    prompt_id: str
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pictures: int = 0
    error: str | None = None
    interrupted: bool = False

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """The data of all messages of one type."""
        return [data for found, data in self.messages if found == kind]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running ComfyUI. base: its folder, with models, input, output, temp, user, custom_nodes."""

    address: str
    base: Path
    log_file: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """All that it has printed so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def output(self) -> Path:
        return self.base / "output"

    def get(self, path: str, timeout: float = 120.0) -> Any:
        """The JSON at a path."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=timeout) as answer:
            return json.load(answer)

    def read(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=120.0) as answer:
            return answer.read()

    def post(self, path: str, data: Mapping[str, Any]) -> Any:
        """Posts JSON; the answer's JSON, or None where it is empty."""
        body = json.dumps(data).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{self.address}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=120.0) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def queue(self, prompt: Prompt, client_id: str, preview_method: str = "default") -> str:
        """Queues a prompt and returns its id. preview_method: as a page's settings say.

        Raises:
            PromptRefusedError: the server found a fault in it.
        """
        try:
            extra = {"preview_method": preview_method}
            asked = {"prompt": prompt, "client_id": client_id, "extra_data": extra}
            answer = self.post("/prompt", asked)
        except urllib.error.HTTPError as error:
            raise PromptRefusedError(error.read().decode()) from None
        return answer["prompt_id"]

    @contextmanager
    def listen(self) -> Iterator[tuple[str, websocket.WebSocket]]:
        """A client id and its open websocket."""
        client_id = uuid.uuid4().hex
        listener = websocket.create_connection(
            f"ws://{self.address}/ws?clientId={client_id}", timeout=60.0
        )
        try:
            yield client_id, listener
        finally:
            listener.close()

    def run(
        self, prompt: Prompt, timeout: float = 180.0, preview_method: str = "default"
    ) -> Finished:
        """Queues a prompt, follows it over the websocket and returns what became of it.

        Raises:
            PromptRefusedError: the server found a fault in it.
            TimeoutError: it was not done in time; the prompt is interrupted.
        """
        with self.listen() as (client_id, listener):
            finished = Finished(self.queue(prompt, client_id, preview_method))
            self._follow(listener, finished, timeout)
        finished.outputs = self._history(finished.prompt_id)["outputs"]
        return finished

    def _follow(self, listener: websocket.WebSocket, finished: Finished, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            kind, data = self._next_message(listener, finished, deadline)
            if data.get("prompt_id", finished.prompt_id) != finished.prompt_id:
                continue
            finished.messages.append((kind, data))
            if kind == "execution_error":
                finished.error = f"{data.get('node_type')}: {data.get('exception_message')}"
            finished.interrupted = finished.interrupted or kind == "execution_interrupted"
            if kind in ENDINGS:
                return

    def _next_message(
        self, listener: websocket.WebSocket, finished: Finished, deadline: float
    ) -> tuple[str, dict[str, Any]]:
        """The next message in JSON; previews, which are binary, are counted."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self.post("/interrupt", {})
                raise TimeoutError(f"A prompt took too long. The server's log ends:\n{self.tail}")
            listener.settimeout(left)
            try:
                message = listener.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if isinstance(message, bytes) and message[:4] in PREVIEWS:
                finished.pictures += 1
            if isinstance(message, str) and message:
                decoded = json.loads(message)
                return decoded["type"], decoded.get("data") or {}

    def _history(self, prompt_id: str) -> dict[str, Any]:
        """The record of a prompt, which appears just after the last message."""
        for _ in range(100):
            history = self.get(f"/history/{prompt_id}")
            if prompt_id in history:
                return history[prompt_id]
            time.sleep(0.1)
        raise TimeoutError(f"No history of a prompt that ended. The log ends:\n{self.tail}")

    @property
    def tail(self) -> str:
        return "\n".join(self.log.splitlines()[-40:])


@contextmanager
def serve(
    comfyui: ComfyPlace,
    base: Path,
    environ: Mapping[str, str] | None = None,
    more_packs: Sequence[Path] = (),
    timeout: float = 600.0,
    installed: bool = False,
) -> Iterator[Server]:
    """Starts ComfyUI with this pack, waits until it answers, and ends it.

    base: an empty folder for all that it reads and writes. environ: added to the environment.
    more_packs: folders of further packs. timeout: seconds for the start. installed: this pack is in
    the folder's custom_nodes already, and is not linked there.

    Raises:
        RuntimeError: it ended before it answered, or not this pack; with the log's last lines.
        TimeoutError: it did not answer in time.
    """
    links = {folder.name: folder for folder in more_packs}
    if not installed:
        links[PACK] = REPOSITORY
    link_packs(base, links)
    port = free_port()
    log_file = base / "server.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            bound(command(comfyui, base, port, [PACK, *links])),
            cwd=comfyui.path,
            env={**os.environ, **(environ or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running = Server(address=f"127.0.0.1:{port}", base=base, log_file=log_file, process=process)
    try:
        wait_until_it_answers(running, timeout)
        yield running
    finally:
        stop(process)


def command(comfyui: ComfyPlace, base: Path, port: int, packs: Sequence[str]) -> list[str]:
    """The command line of a server on the CPU that leaves ComfyUI's own folder alone."""
    return [
        *(str(comfyui.python), str(comfyui.path / "main.py"), "--cpu"),
        *("--listen", "127.0.0.1", "--port", str(port), "--disable-auto-launch"),
        *("--base-directory", str(base), "--database-url", f"sqlite:///{base / 'comfyui.db'}"),
        *("--disable-api-nodes", "--disable-all-custom-nodes"),
        *("--whitelist-custom-nodes", *packs),
    ]


def link_packs(base: Path, packs: Mapping[str, Path]) -> None:
    """Puts packs into the folder's custom_nodes as links; makes the folders that a user has."""
    for name in ("custom_nodes", "models", "input", "output", "temp", "user"):
        (base / name).mkdir(parents=True, exist_ok=True)
    for name, folder in packs.items():
        (base / "custom_nodes" / name).symlink_to(folder, target_is_directory=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(server: Server, timeout: float) -> None:
    """Returns once the server answers; see `serve` for what it raises."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"ComfyUI ended at its start:\n{server.tail}")
        try:
            server.get("/system_stats", timeout=10.0)
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"ComfyUI did not answer in {timeout:.0f} s:\n{server.tail}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a server, by force where it will not."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
