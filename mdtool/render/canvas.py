"""Layers of one picture: solid ones that hide each other, and translucent ones laid over them where they are nearer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdtool.render.rasteriser import rasterise


class Canvas:
    """The box of a picture that some layers cover, with `samples` × `samples` samples per pixel."""

    def __init__(self, picture: np.ndarray, screens: Sequence[np.ndarray], samples: int) -> None:
        """`picture` [3, H, W] float32 in 0..255 is painted in place; `screens` are vertices in pixels [V, 2]."""
        limit = np.array([picture.shape[2], picture.shape[1]])
        low = np.floor(np.min([screen.min(0) for screen in screens], axis=0))
        high = np.ceil(np.max([screen.max(0) for screen in screens], axis=0)) + 1
        low, high = (np.clip(corner, 0, limit).astype(int) for corner in (low, high))
        self.columns, self.rows = (int(size) for size in high - low)
        self.samples = samples
        self._low = low.astype(np.float32)
        self._box = picture[:, low[1] : high[1], low[0] : high[0]]
        self._nearness: np.ndarray | None = None

    @property
    def empty(self) -> bool:
        """Whether everything lies outside the picture."""
        return self.columns < 1 or self.rows < 1

    def rasterise(
        self, screen: np.ndarray, values: np.ndarray, faces: np.ndarray, cull: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Samples [n] that faces cover, and their interpolated `values` [C, n]; column 0 is the nearness."""
        samples = self.samples
        place = (screen - self._low) * np.float32(samples)
        return rasterise(place, values, faces, self.columns * samples, self.rows * samples, cull)

    def lay(self, fine: np.ndarray, colours: np.ndarray, opacity: np.ndarray | None = None) -> None:
        """Blend samples `fine` [n] of display colour [3, n] in 0..255 into the picture; opacity [n], 1 by default."""
        samples, columns, rows = self.samples, self.columns, self.rows
        fine = fine.astype(np.int32)
        fine_row = fine // (columns * samples)  # far quicker than divmod, and so are 32 bits than 64
        pixel = (fine_row // samples) * columns + (fine - fine_row * (columns * samples)) // samples
        pixel = pixel.astype(np.intp)  # what bincount would do four times
        share = np.float32(1 / samples**2)

        def summed(weight: np.ndarray | None) -> np.ndarray:
            counted = np.bincount(pixel, weight, rows * columns)
            return np.multiply(counted, share, dtype=np.float32, casting="same_kind").reshape(rows, columns)

        self._box *= 1 - summed(opacity)
        for plane, colour in zip(self._box, colours, strict=True):
            plane += summed(colour if opacity is None else colour * opacity)

    def lay_picture(self, colours: np.ndarray, cover: np.ndarray) -> None:
        """Blend a picture of this box, [rows, columns, 3] in 0..255 already multiplied by `cover` [rows, columns]."""
        self._box *= 1 - cover
        self._box += np.moveaxis(colours, 2, 0)

    def hide_behind(self, fine: np.ndarray, nearness: np.ndarray) -> None:
        """Remember how near (1/metres) the solid layer is at samples `fine`, for `in_front`."""
        if self._nearness is None:
            self._nearness = np.zeros(self.rows * self.columns * self.samples**2, np.float32)
        self._nearness[fine] = np.maximum(self._nearness[fine], nearness)

    def hide_behind_picture(self, nearness: np.ndarray) -> None:
        """The same for a nearness [rows, columns] per pixel, 0 where nothing is."""
        self._nearness = nearness.repeat(self.samples, 0).repeat(self.samples, 1).ravel().astype(np.float32)

    def in_front(self, fine: np.ndarray, nearness: np.ndarray, slack: float) -> np.ndarray:
        """Whether each sample is nearer than the solid layer or at most `slack` metres behind its surface; [n] bool."""
        if self._nearness is None:
            return np.ones(len(fine), bool)
        solid = self._nearness[fine]
        return 1 / nearness < 1 / np.maximum(solid, np.float32(1e-6)) + np.float32(slack)

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the box covers."""
        left, top = (int(place) for place in self._low)
        return slice(top, top + self.rows), slice(left, left + self.columns)
