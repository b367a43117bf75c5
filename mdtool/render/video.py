"""Frames to files: H.264 in mp4, VP9 in webm, GIF and animated WebP, one frame at a time, and PNG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image

from mdtool.atomic import replacing, unwritable
from mdtool.errors import MdtoolError

_BT709 = 1
_PALETTE = 255
_PALETTE_SIDE = 256
"""Longest side of the pictures that the palette is made from, pixels."""

_ToFrame = Callable[[np.ndarray], av.VideoFrame]


def write_mp4(path: str | Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write frames [H, W, 3] uint8 of even height and width as H.264, 4:2:0, ready to stream.

    Raises:
        MdtoolError: the place cannot be written, the disk is full, or the encoder refuses the frames.
    """
    _write(
        path, frames, fps, _yuv, ("mp4", {"movflags": "+faststart"}), ("libx264", {"crf": "18", "preset": "veryfast"})
    )


def write_webm(path: str | Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write frames [H, W, 3] uint8 of even height and width as VP9, 4:2:0, at constant quality.

    Raises:
        MdtoolError: the place cannot be written, the disk is full, or the encoder refuses the frames.
    """
    quality = {"crf": "28", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
    _write(path, frames, fps, _yuv, ("webm", {}), ("libvpx-vp9", quality))


def write_webp(path: str | Path, frames: Iterable[np.ndarray], fps: float) -> None:
    """Write frames [H, W, 3] uint8 of even height and width as an endless animated WebP.

    Raises:
        MdtoolError: the place cannot be written, the disk is full, or the encoder refuses the frames.
    """
    _write(path, frames, fps, _yuv, ("webp", {"loop": "0"}), ("libwebp_anim", {"quality": "80"}))


def write_gif(path: str | Path, frames: Iterable[np.ndarray], fps: float, examples: Iterable[np.ndarray]) -> None:
    """Write frames [H, W, 3] uint8 as an endless GIF with one palette.

    Args:
        examples: frames like the others, from which the palette is made.

    Raises:
        MdtoolError: the place cannot be written or the disk is full.
    """
    palette = _common_palette(examples)
    colours = np.array(palette.getpalette("RGB"), np.uint8).reshape(-1, 3)
    table = np.full((256, 4), 255, np.uint8)  # alpha, red, green, blue
    table[: len(colours), 1:] = colours

    def to_frame(picture: np.ndarray) -> av.VideoFrame:
        indices = np.asarray(Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE))
        return av.VideoFrame.from_ndarray((indices, table), format="pal8")  # type: ignore[arg-type]  # and its palette

    _write(path, frames, fps, to_frame, ("gif", {"loop": "0"}), ("gif", {}), pixels="pal8")


def gif_fps(fps: float) -> float:
    """The nearest frame rate that a GIF can hold: its pauses are whole hundredths of a second, at least two."""
    return 100 / max(2, round(100 / fps))


def write_png(path: str | Path, picture: np.ndarray) -> None:
    """Write a picture [H, W, 3] uint8.

    Raises:
        MdtoolError: the place cannot be written or the disk is full.
    """
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", compress_level=6)


def _write(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    to_frame: _ToFrame,
    container: tuple[str, dict[str, str]],
    codec: tuple[str, Mapping[str, str]],
    pixels: str = "yuv420p",
) -> None:
    """Encode frames as they come; `container` and `codec` are (name, options)."""
    path = Path(path)
    with replacing(path) as temporary:
        try:
            with av.open(str(temporary), "w", format=container[0], options=container[1]) as opened:
                _encode(opened, frames, fps, to_frame, codec, pixels)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise unwritable(path, error) from error
            raise MdtoolError(f"cannot encode {path}: {error}; try another --size or --fps", exit_code=1) from error


def _encode(
    container: av.container.OutputContainer,
    frames: Iterable[np.ndarray],
    fps: float,
    to_frame: _ToFrame,
    codec: tuple[str, Mapping[str, str]],
    pixels: str,
) -> None:
    stream = None
    for picture in frames:
        if stream is None:
            name, options = codec
            rate = Fraction(fps).limit_denominator(100_000)
            stream = cast(VideoStream, container.add_stream(name, rate=rate, options=dict(options)))
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = pixels
            if pixels == "yuv420p":
                context = stream.codec_context
                context.color_range = ColorRange.MPEG
                context.colorspace = context.color_primaries = context.color_trc = _BT709
        container.mux(stream.encode(to_frame(picture)))
    if stream is not None:
        container.mux(stream.encode(None))


def _yuv(picture: np.ndarray) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def _common_palette(examples: Iterable[np.ndarray]) -> Image.Image:
    """One palette of 255 colours for all examples."""
    pictures = [Image.fromarray(example) for example in examples]
    for picture in pictures:
        picture.thumbnail((_PALETTE_SIDE, _PALETTE_SIDE))
    tall = np.concatenate([np.asarray(picture) for picture in pictures])
    return Image.fromarray(tall).quantize(_PALETTE, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
