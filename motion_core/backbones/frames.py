"""Which numbers of frames a base takes, and how many latent frames it makes of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FrameRule:
    """least, most: frames of a video, most None for any number. per_latent: pixel frames that one
    latent frame holds; the first holds one alone, so that a video has per_latent·k + 1 frames.
    """

    least: int = 2
    most: int | None = None
    per_latent: int = 1

    def latent_frames(self, frames: int) -> int:
        """How many latent frames so many pixel frames are."""
        return (frames - 1) // self.per_latent + 1

    def pixel_frames(self, latent_frames: int) -> int:
        """How many pixel frames so many latent frames are."""
        return (latent_frames - 1) * self.per_latent + 1

    def misfit(self, frames: int) -> tuple[str, str] | None:
        """What so many frames are ("too few") and what it takes ("at least 8"); None where they
        fit. One frame (an image) always fits.
        """
        if frames == 1:
            return None
        if frames < self.least:
            return "too few", f"at least {self.least}"
        if self.most is not None and frames > self.most:
            return "too many", f"at most {self.most}"
        fewer = self.pixel_frames(self.latent_frames(frames))
        if frames != fewer:
            return "an unfit number", f"{fewer} or {fewer + self.per_latent}"
        return None
