"""Copies of trained matrices in the dtype of the products, made anew once for each optimiser step.

In: float32 matrices in training. Out: copies of them, slices of one buffer, all made by one
operation when the first is asked for after a step; copies that lie beside each other are one
matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Casts:
    """matrices: in the order in which their copies lie."""

    def __init__(self, matrices: Sequence[nn.Parameter]) -> None:
        self._matrices = list(matrices)
        self._places = {id(matrix): place for place, matrix in enumerate(matrices)}
        self._copies: list[Tensor] = []
        self._versions: list[int] = []

    def of(self, matrix: nn.Parameter, dtype: torch.dtype) -> Tensor:
        """The matrix without gradient, in this dtype."""
        if matrix.dtype == dtype:
            return matrix.detach()
        place = self._places[id(matrix)]
        if not self._holds(place, matrix, dtype):
            self._renew(matrix.device, dtype)
        return self._copies[place]

    def rows_of(self, matrices: Sequence[nn.Parameter], dtype: torch.dtype) -> Tensor:
        """Matrices (r, in) of one width as one (Σ r, in): a view where the copies lie so."""
        copies = [self.of(matrix, dtype) for matrix in matrices]
        first, width = copies[0], copies[0].shape[1]
        if len(copies) == 1:
            return first
        rows = sum(len(copy) for copy in copies)
        end = first.storage_offset()
        storage = first.untyped_storage()._cdata
        for copy in copies:
            if copy.untyped_storage()._cdata != storage or copy.storage_offset() != end:
                return torch.cat(copies)
            end += copy.numel()
        return first.as_strided((rows, width), (width, 1))

    def _holds(self, place: int, matrix: Tensor, dtype: torch.dtype) -> bool:
        if not self._copies or self._versions[place] != matrix._version:
            return False
        copy = self._copies[place]
        return copy.dtype == dtype and copy.device == matrix.device

    def _renew(self, device: torch.device, dtype: torch.dtype) -> None:
        sizes = [matrix.numel() for matrix in self._matrices]
        buffer = torch.empty(sum(sizes), device=device, dtype=dtype)
        parts = zip(buffer.split(sizes), self._matrices, strict=True)
        self._copies = [part.view_as(matrix) for part, matrix in parts]
        torch._foreach_copy_(self._copies, [matrix.detach() for matrix in self._matrices])
        self._versions = [matrix._version for matrix in self._matrices]
