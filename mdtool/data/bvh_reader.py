"""Read many BVH recordings: find them, label them, choose a skeleton map for each, convert them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from mdtool.data.archives import Container, open_containers
from mdtool.data.bvh import BvhRecording, parse_bvh
from mdtool.data.bvh_map import SkeletonMap, first_unknown, match_map
from mdtool.data.bvh_motion import bvh_to_motion, has_still_pelvis, is_upright
from mdtool.data.defects import motion_defects
from mdtool.data.gather import Clip, Note, Reading, Skipped
from mdtool.data.labels import Label, LabelTable, find_labels, folder_label
from mdtool.errors import MdtoolError
from mdtool.motion.motion import TRAIN


@dataclass
class BvhBatch:
    """The recordings of some folders, archives and files; iterating over it reads and converts them."""

    containers: list[Container]
    labels: LabelTable | None = None
    """None looks for a label file beside each source, then takes folder names."""
    maps: Sequence[SkeletonMap] = ()
    """Tried before the built-in ones."""
    keep_defects: bool = False
    """Keep clips that their labels call defective (as training clips)."""
    _unknown: dict[tuple[str, ...], str] = field(default_factory=dict)
    """Joint names of skeletons that fit no map → where they were met first."""

    @classmethod
    def open(
        cls,
        sources: Sequence[str | Path],
        labels: Sequence[str | Path] = (),
        maps: Sequence[SkeletonMap] = (),
        keep_defects: bool = False,
    ) -> BvhBatch:
        """Look into the sources and read the label files.

        Raises:
            MdtoolError: a source is missing or has no BVH file, or a label file is wrong.
        """
        containers = [container for source in sources for container in open_containers(source, ".bvh")]
        return cls(containers, LabelTable([Path(path) for path in labels]) if labels else None, maps, keep_defects)

    def __len__(self) -> int:
        return sum(len(container.names) for container in self.containers)

    def unknown_recording(self) -> BvhRecording:
        """The first recording whose skeleton fits no map; the first one of all when every skeleton is known.

        Raises:
            MdtoolError: not one file can be parsed; the reason is that of the first.
        """
        damaged = (MdtoolError(f"{box.path}: {box.problem}") for box in self.containers if box.problem)
        parsed = (recording for container in self.containers for _, recording in _parsed(container))
        return first_unknown(chain(damaged, parsed), self.maps)

    def __iter__(self) -> Iterator[Reading]:
        for container in self.containers:
            if container.problem:
                yield Skipped(container.path.name, container.problem)
                continue
            table, note = self._labels_of(container)
            yield note
            for name, recording in _parsed(container):
                yield self._read(container, name, recording, table)

    def _labels_of(self, container: Container) -> tuple[LabelTable | None, Note]:
        if self.labels is not None:
            files = ", ".join(path.name for path in self.labels.paths)
            return self.labels, Note(f"labels of {container.path.name}: {files}")
        found = find_labels(container.path, container.names)
        if len(found) == 1:
            return LabelTable(found), Note(f"labels of {container.path.name}: {found[0]} (found beside it)")
        if found:
            several = ", ".join(path.name for path in found)
            return None, Note(f"labels of {container.path.name}: folder names ({several} fit: choose with --labels)")
        return None, Note(f"labels of {container.path.name}: folder names")

    def _read(
        self, container: Container, name: str, recording: BvhRecording | MdtoolError, table: LabelTable | None
    ) -> Reading:
        if isinstance(recording, MdtoolError):
            return Skipped(name, _without_name(str(recording), name))
        label = folder_label(container.path, name) if table is None else table.find(container.path.name, name)
        if label is None:
            return Skipped(name, "no row of the label file names it")
        if label.defect and not self.keep_defects:
            return Skipped(name, f"labelled as defective: {label.defect} (--keep-defects keeps it)")
        try:
            return self._convert(recording, label)
        except MdtoolError as error:
            return Skipped(name, _without_name(str(error), name))

    def _convert(self, recording: BvhRecording, label: Label) -> Clip:
        skeleton_map = self._match(recording)
        motion = bvh_to_motion(recording, skeleton_map, label.skip_first)
        warnings = motion_defects(motion)
        if warnings and not is_upright(recording, skeleton_map):
            name, up = skeleton_map.name, skeleton_map.up
            warnings.append(
                f"its body is not along the {up} of map {name}: if it stands, --write-map makes another map"
            )
        if has_still_pelvis(recording, skeleton_map):
            warnings.append("its root rotation is zero in every frame")
        motion = replace(
            motion,
            action=label.action,
            split=TRAIN if label.split is None else label.split,
            subject=label.subject,
            text=label.text,
        )
        return Clip(motion, label.split is not None or bool(label.defect), tuple(warnings))

    def _match(self, recording: BvhRecording) -> SkeletonMap:
        joints = tuple(recording.joint_index)
        if joints in self._unknown:
            raise MdtoolError(f"its skeleton fits no map (the same joints as {self._unknown[joints]})")
        try:
            return match_map(recording, self.maps)
        except MdtoolError:
            self._unknown[joints] = recording.source
            raise


def _parsed(container: Container) -> Iterator[tuple[str, BvhRecording | MdtoolError]]:
    for name, content in container.read():
        try:
            yield name, content if isinstance(content, MdtoolError) else parse_bvh(content, name)
        except MdtoolError as error:
            yield name, error


def _without_name(message: str, name: str) -> str:
    """The message without the file's name in front, where a list of files names it already."""
    return message.removeprefix(name).lstrip(":, ")
