"""Frames to files that move: H.264 in mp4, and GIF."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from mdtool.atomic import replacing, unwritable
from mdtool.errors import MdtoolError

_BT709 = 1
_PALETTE = 255
_PALETTE_SIDE = 256
"""Longest side of the pictures that the palette is made from, pixels."""


def write_mp4(path: str | Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write frames [H, W, 3] uint8 of even height and width as H.264, 4:2:0, ready to stream.

    Raises:
        MdtoolError: the place cannot be written, the disk is full, or the encoder refuses the frames.
    """
    path = Path(path)
    with replacing(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container:
                _encode(container, frames, fps)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise unwritable(path, error) from error
            raise MdtoolError(f"cannot encode {path}: {error}; try another --size or --fps", exit_code=1) from error


def _encode(container: av.container.OutputContainer, frames: Iterable[np.ndarray], fps: float) -> None:
    stream = None
    for picture in frames:
        if stream is None:
            rate = Fraction(fps).limit_denominator(100_000)
            stream = container.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.color_range = ColorRange.MPEG
            context.colorspace = context.color_primaries = context.color_trc = _BT709
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        container.mux(stream.encode(frame))
    if stream is not None:
        container.mux(stream.encode(None))


def gif_fps(fps: float) -> float:
    """The nearest frame rate that a GIF can hold: its pauses are whole hundredths of a second, at least two."""
    return 100 / max(2, round(100 / fps))


def write_gif(path: str | Path, frames: Iterable[np.ndarray], fps: float, examples: Iterable[np.ndarray]) -> None:
    """Write frames [H, W, 3] uint8 as an endless GIF with one palette.

    Args:
        examples: frames like the others, from which the palette is made.

    Raises:
        MdtoolError: the place cannot be written or the disk is full.
    """
    palette = _common_palette(examples)
    images = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first = next(images)
    with replacing(path) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images,
            duration=round(1000 / fps),
            loop=0,
            optimize=False,
        )


def write_png(path: str | Path, picture: np.ndarray) -> None:
    """Write a picture [H, W, 3] uint8.

    Raises:
        MdtoolError: the place cannot be written or the disk is full.
    """
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", compress_level=6)


def _common_palette(examples: Iterable[np.ndarray]) -> Image.Image:
    """One palette of 255 colours for all examples."""
    pictures = [Image.fromarray(example) for example in examples]
    for picture in pictures:
        picture.thumbnail((_PALETTE_SIDE, _PALETTE_SIDE))
    tall = np.concatenate([np.asarray(picture) for picture in pictures])
    return Image.fromarray(tall).quantize(_PALETTE, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
