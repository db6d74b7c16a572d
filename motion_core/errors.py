"""Errors that a user can act on. Each message says what happened, what was given, and what to
do."""

from __future__ import annotations


class MotionError(Exception):
    """Base of every error that the core raises for its users. The message is one line or a short
    list."""


class ClipError(MotionError):
    """A video, image or caption that cannot be used as it is."""


class FormatError(MotionError):
    """A file of another role, format or version than the one asked for."""


class SettingsError(MotionError):
    """A setting that is unknown, of the wrong type or out of range."""


class AdapterError(MotionError):
    """An adapter that does not fit the base or the request."""


class TrainingError(MotionError):
    """A run that cannot go on; the last good state is kept."""
