"""Read many motions from files that hold their own labels: GLB, AMASS-style npz and motion tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mdtool.data.archives import Container, open_containers
from mdtool.data.bvh import BvhRecording
from mdtool.data.bvh_map import SkeletonMap, first_unknown, match_map
from mdtool.data.bvh_motion import bvh_to_motion
from mdtool.data.csv_motion import parse_csv
from mdtool.data.defects import motion_defects
from mdtool.data.gather import Clip, Note, Reading, Skipped
from mdtool.data.glb import GlbClip, read_glb
from mdtool.data.labels import is_label_file
from mdtool.data.npz_motion import parse_npz
from mdtool.data.records import labelled
from mdtool.errors import MdtoolError


@dataclass
class FileBatch:
    """The files of one kind in some folders and archives; iterating over it reads and converts them."""

    containers: list[Container]
    convert: Callable[[bytes, str], Iterable[Clip | Note | MdtoolError]]
    """(content, name) → clips, or why one cannot be read, or what the file is instead."""
    maps: Sequence[SkeletonMap] = field(default=())

    @classmethod
    def npz(cls, sources: Sequence[str | Path]) -> FileBatch:
        """Archives in the layout of AMASS.

        Raises:
            MdtoolError: a source is missing or has no such file.
        """
        return cls(_open(sources, ".npz"), lambda content, name: [parse_npz(content, name)])

    @classmethod
    def csv(cls, sources: Sequence[str | Path]) -> FileBatch:
        """Motion tables; label files among them are passed over.

        Raises:
            MdtoolError: a source is missing or has no such file.
        """

        def convert(content: bytes, name: str) -> list[Clip | Note | MdtoolError]:
            return [Note(f"{name}: labels of clips, no motion") if is_label_file(content) else parse_csv(content, name)]

        return cls(_open(sources, ".csv"), convert)

    @classmethod
    def glb(cls, sources: Sequence[str | Path], maps: Sequence[SkeletonMap] = ()) -> FileBatch:
        """Binary glTF files; each animation is a clip. `maps` are tried before the built-in ones.

        Raises:
            MdtoolError: a source is missing or has no such file.
        """

        def convert(content: bytes, name: str) -> Iterator[Clip | MdtoolError]:
            for clip in read_glb(content, name):
                try:
                    yield glb_to_clip(clip, maps)
                except MdtoolError as error:
                    yield error

        return cls(_open(sources, ".glb"), convert, maps)

    def __len__(self) -> int:
        return sum(len(container.names) for container in self.containers)

    def __iter__(self) -> Iterator[Reading]:
        for container in self.containers:
            if container.problem:
                yield Skipped(container.path.name, container.problem)
            for name, content in container.read():
                yield from self._read(name, content)

    def _read(self, name: str, content: bytes | MdtoolError) -> Iterator[Reading]:
        try:
            if isinstance(content, MdtoolError):
                raise content
            for clip in self.convert(content, name):
                if isinstance(clip, MdtoolError):
                    yield _skipped(name, clip)
                elif isinstance(clip, Note):
                    yield clip
                else:
                    yield replace(clip, warnings=(*clip.warnings, *motion_defects(clip.motion)))
        except MdtoolError as error:
            yield _skipped(name, error)

    def unknown_recording(self) -> BvhRecording:
        """Of GLB files, the first animation whose joints fit no map; the first of all when every skeleton is known.

        Raises:
            MdtoolError: not one file can be read.
        """
        pairs = (pair for container in self.containers for pair in container.read())
        return first_unknown((_first_animation(name, content) for name, content in pairs), self.maps)


def _first_animation(name: str, content: bytes | MdtoolError) -> BvhRecording | MdtoolError:
    """The recording in the first animation of a GLB file, or why there is none."""
    if isinstance(content, MdtoolError):
        return content
    try:
        return read_glb(content, name)[0].recording
    except MdtoolError as error:
        return error


def glb_to_clip(clip: GlbClip, maps: Sequence[SkeletonMap] = ()) -> Clip:
    """Convert one animation by the first skeleton map that fits; labels are those that mdtool wrote, if any.

    Raises:
        MdtoolError: no map fits, or the recording cannot be converted.
    """
    motion = bvh_to_motion(clip.recording, match_map(clip.recording, maps))
    motion = replace(motion, fps=clip.fps, action="" if clip.record else clip.name)
    scale = clip.record.get("path_scale")
    if isinstance(scale, int | float) and scale > 0 and "pelvis" in clip.recording.joint_index:
        # mdtool's own file (other programs may write 1.0 as 1): no need to tell the size of the body from its legs.
        path = clip.recording.world()[1][:, clip.recording.joint_index["pelvis"]]
        motion = replace(motion, root=(path / scale).astype(np.float32))
    return labelled(motion, clip.record, clip.source)


def _skipped(name: str, error: MdtoolError) -> Skipped:
    """The file's name is told once, and not again in the reason."""
    return Skipped(name, str(error).removeprefix(name).lstrip(":, "))


def _open(sources: Sequence[str | Path], suffix: str) -> list[Container]:
    return [container for source in sources for container in open_containers(source, suffix)]
