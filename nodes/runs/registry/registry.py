"""Every training run: the one that goes on, and all that left a folder.

In: run folders, the trainer's events through `watch`, requests by a run's id. Out: plain values for
JSON, and small messages, at most four a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ....motion_core.events import CancelRun
from ....motion_core.training.records import SETTINGS, read_object, write_json
from . import folder as folders
from .folder import PROMPT, RunOrigin, RunRequestError, run_folder, run_folders
from .history import Version, thin_history, version_of
from .live_run import COMMANDS, LiveRun
from .messages import message
from .past import after, past_state, past_summary
from .throttle import Throttle

SECONDS_BETWEEN_MESSAGES = 0.25
KEPT_HISTORIES = 4

Announce = Callable[[dict[str, Any]], None]


class RunRegistry:
    """root: holds the run folders, by id. announce: gets the messages, on any thread. cancelling:
    exceptions by which a node is cancelled from outside.
    """

    def __init__(
        self,
        root: Path,
        announce: Announce,
        cancelling: tuple[type[BaseException], ...] = (),
    ) -> None:
        self.root, self.announce = root, announce
        self.cancelling = (CancelRun, KeyboardInterrupt, *cancelling)
        self._live: dict[str, LiveRun] = {}
        self._past: dict[str, tuple[Version, dict[str, Any]]] = {}
        self._sizes: dict[str, tuple[tuple[int, ...], int]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def watch(
        self, folder: Path, origin: RunOrigin, prompt: dict[str, Any] | None = None
    ) -> Iterator[LiveRun]:
        """The run's event sink, for as long as its node works: preparing, training, saving.

        folder: root/<run id>. prompt: {"output": …, "workflow": …}, what a page queues to go on
        with the run and loads to see its settings. An exception that passes is told to the pages.
        """
        run = LiveRun(folder, origin)
        run.feed = self._feed(run)
        with self._lock:
            self._live[folder.name] = run
        run.feed.changed()
        try:
            if prompt is not None:
                write_json(folder / PROMPT, prompt)
            yield run
        except self.cancelling:
            run.over("cancelled")
            raise
        except BaseException as error:
            run.over("failed", str(error))
            raise
        else:
            run.over("finished")
        finally:
            try:
                thin_history(folder)  # kept, so that the first page after a restart need not wait
            finally:
                with self._lock:
                    self._live.pop(folder.name, None)

    def runs(self) -> list[dict[str, Any]]:
        """Every run's summary with its size on the disk, the last used first. One that goes on is
        among them even if its folder was deleted.
        """
        with self._lock:
            live = {run.folder for run in self._live.values()}
        found = sorted({*run_folders(self.root), *live})
        runs = [{**self._summary(path), "size": self._size(path)} for path in found]
        return sorted(runs, key=lambda run: run["latest"], reverse=True)

    def summary(self, run_id: str) -> dict[str, Any]:
        """One run's, without its history."""
        return self._summary(self._folder(run_id))

    def run(self, run_id: str, since: int = 0) -> dict[str, Any]:
        """Summary, settings, samples, marks, and the loss curves after step `since`."""
        folder = self._folder(run_id)
        live = self._live.get(run_id)
        shown = self._live_detail(live, since) if live else self._past_detail(folder, since)
        return {
            **shown,
            "since": since,
            "settings": read_object(folder / SETTINGS),
            "reference": folders.reference_of(folder),
            "has_prompt": (folder / PROMPT).is_file(),
            "can_resume": folders.can_resume(folder, shown["state"], shown["step"], shown["total"]),
        }

    def prompt(self, run_id: str) -> dict[str, Any]:
        """What `watch` was given; RunRequestError if nothing was."""
        prompt = read_object(run_folder(self.root, run_id) / PROMPT)
        if not prompt:
            raise RunRequestError(f"Run {run_id!r} has no saved workflow.", 404)
        return prompt

    def sample(self, run_id: str, name: str) -> Path:
        return folders.sample_file(run_folder(self.root, run_id), name)

    def ask(self, run_id: str, command: str) -> None:
        """stop: end and keep what is learned. save: a checkpoint now. sample: one now. pause: save
        and end the prompt.
        """
        if command not in COMMANDS:
            raise RunRequestError(f"{command!r} is not one of {', '.join(COMMANDS)}.", 400)
        folder = self._folder(run_id)
        live = self._live.get(run_id)
        if live is None:
            state = past_state(folder)["state"]
            raise RunRequestError(f"Run {run_id!r} is {state}; it cannot {command}.", 409)
        live.ask(command)
        if live.feed is not None:
            live.feed.changed()

    def delete(self, run_id: str) -> None:
        """Removes a run that is over, checkpoints and samples and all; its adapter stays."""
        folder = run_folder(self.root, run_id)
        if run_id in self._live:
            raise RunRequestError(f"Run {run_id!r} is active. Stop it first.", 409)
        folders.delete(folder)
        self.announce({"id": run_id, "state": "deleted"})

    def _folder(self, run_id: str) -> Path:
        """As `run_folder`; that of a run that goes on need not be there."""
        live = self._live.get(run_id)
        return live.folder if live else run_folder(self.root, run_id)

    def _feed(self, run: LiveRun) -> Throttle:
        told = 0

        def send() -> None:
            nonlocal told
            shown = message(run, told)
            told = shown["step"]
            self.announce(shown)

        return Throttle(send, SECONDS_BETWEEN_MESSAGES)

    def _summary(self, folder: Path) -> dict[str, Any]:
        live = self._live.get(folder.name)
        return live.summary() if live else past_summary(folder)

    def _size(self, folder: Path) -> int:
        """Every poll of every page asks for it, and a long run has hundreds of files: of a run that
        is over they are counted once.
        """
        if folder.name in self._live:
            return folders.disk_size(folder)
        version, known = folders.content_version(folder), self._sizes.get(folder.name)
        if known is None or known[0] != version:
            known = self._sizes[folder.name] = (version, folders.disk_size(folder))
        return known[1]

    def _live_detail(self, run: LiveRun, since: int) -> dict[str, Any]:
        return {**run.summary(), **run.lists(), "curves": run.points(since)}

    def _past_detail(self, folder: Path, since: int) -> dict[str, Any]:
        """Past metrics do not change: those of the last few runs stay in memory."""
        version = version_of(folder)
        cached = self._past.get(folder.name)
        if cached is None or cached[0] != version:
            cached = (version, thin_history(folder))
            with self._lock:
                others = [entry for entry in self._past.items() if entry[0] != folder.name]
                self._past = dict([*others[1 - KEPT_HISTORIES :], (folder.name, cached)])
        shown = {**past_summary(folder), **cached[1]}
        seconds = shown.pop("seconds")
        if shown["elapsed"] is None:
            shown["elapsed"] = seconds
        curves = after(shown.pop("curves"), since)
        marks = folders.read_marks(folder)
        return {
            **shown,
            "curves": curves,
            "samples": folders.samples_of(folder),
            "checkpoints": marks["saved"],
            "resumes": marks["resumed"],
        }
