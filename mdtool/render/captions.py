"""Words on pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mdtool.render.palette import CAPTION_HALO, CAPTION_INK

_TALLEST = "ÅÉgjpqy|"
_SMALLEST = 0.72
"""How much smaller letters may get before words are shortened."""


@dataclass(frozen=True)
class Caption:
    """A line of text drawn once, to be laid over many pictures."""

    ink: np.ndarray
    """[h, w, 3] float32, premultiplied colour in 0..255."""
    cover: np.ndarray
    """[h, w, 1] float32, 0..1."""
    left: int
    top: int

    def stamp(self, picture: np.ndarray) -> None:
        """Lay the caption over a uint8 picture [H, W, 3], in place."""
        height, width = self.cover.shape[:2]
        box = picture[self.top : self.top + height, self.left : self.left + width]
        kept_rows, kept_columns = box.shape[:2]
        cover = self.cover[:kept_rows, :kept_columns]
        box[:] = (box * (1 - cover) + self.ink[:kept_rows, :kept_columns] + 0.5).astype(np.uint8)


def caption(text: str, left: int, top: int, size_px: float, width: int) -> Caption:
    """A caption of letters `size_px` high with a soft halo, made smaller or shortened to fit into `width` pixels."""
    halo = max(1, round(size_px / 9))
    room = width - 2 * halo
    font = ImageFont.load_default(size=size_px)
    if font.getlength(text) > room:
        font = ImageFont.load_default(size=size_px * max(_SMALLEST, room / font.getlength(text)))
    text = _shortened(text, font, room)
    x0, _, x1, _ = font.getbbox(text, stroke_width=halo)
    _, y0, _, y1 = font.getbbox(_TALLEST, stroke_width=halo)  # One baseline, whatever the letters.
    size = (max(1, int(np.ceil(x1 - x0))), max(1, int(np.ceil(y1 - y0))))
    layers = []
    for stroke, strength in ((halo, 0.75), (0, 1.0)):
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).text((-x0, -y0), text, fill=255, font=font, stroke_width=stroke)
        layers.append(np.asarray(mask, np.float32)[..., None] / 255 * strength)
    glow, letters = layers
    ink = glow * np.array(CAPTION_HALO, np.float32) * (1 - letters) + letters * np.array(CAPTION_INK, np.float32)
    return Caption(ink, glow + letters - glow * letters, left, top)


def readable(name: str) -> str:
    """A label as words: underscores become spaces."""
    return " ".join(name.replace("_", " ").split())


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """`text`, or as much of its beginning and its end as fits."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
        if font.getlength(short) <= width:
            return short
    return text[:1]
