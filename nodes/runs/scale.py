"""How far a training is, on one scale from the first clip encoded to the last sample.

In: what the run will do. Out: whole numbers for a progress bar. The unit is a forward pass of the
network: a training step is three of them, as its backward pass takes as long as two, and a step of
a sample is two, one for each branch of guidance. The steps of an earlier part of the run count as
done.
"""

from __future__ import annotations

from dataclasses import dataclass

A_CLIP, A_STEP, A_SAMPLING_STEP, AN_INVERSION_STEP = 3, 3, 2, 1


@dataclass(frozen=True, kw_only=True)
class Scale:
    """clips: to encode. steps: of the training. passes: of the clips in each of them. sample_every:
    steps between samples, 0 for none. prompts: of a sample. sampling: steps for each prompt.
    inversion: steps, 0 for none.
    """

    clips: int
    steps: int
    passes: int
    sample_every: int
    prompts: int
    sampling: int
    inversion: int

    @property
    def total(self) -> int:
        last = 0 if self._due(self.steps) else self._a_sample
        return self._inverted + last

    @property
    def prepared(self) -> int:
        """All clips are encoded."""
        return A_CLIP * self.clips

    def trained(self, step: int) -> int:
        """So many steps are done, and the samples that are due before."""
        before = (step - 1) // self.sample_every if self.sample_every and step else 0
        return self.prepared + A_STEP * self.passes * step + self._a_sample * before

    def sampled(self, step: int, prompt: int, share: float) -> int:
        """This share of the sample after so many steps is done, for this prompt (from 0). One that
        is not due, as somebody asked for it, leaves the bar where it is; the last one comes behind
        the inversion, if it is not due.
        """
        if self._due(step):
            start = self.trained(step)
        elif step == self.steps:
            start = self._inverted
        else:
            return self.trained(step)
        return start + int(A_SAMPLING_STEP * self.sampling * (prompt + share))

    def inverted(self, share: float) -> int:
        """This share of the inversion is done."""
        size = AN_INVERSION_STEP * self.inversion
        return self._inverted - size + int(size * share)

    @property
    def _inverted(self) -> int:
        """With the sample of the last step, where that is due."""
        made = self._a_sample if self._due(self.steps) else 0
        return self.trained(self.steps) + made + AN_INVERSION_STEP * self.inversion

    @property
    def _a_sample(self) -> int:
        return A_SAMPLING_STEP * self.sampling * self.prompts

    def _due(self, step: int) -> bool:
        return self.sample_every > 0 and step > 0 and step % self.sample_every == 0
