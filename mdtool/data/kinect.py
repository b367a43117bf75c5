"""Kinect skeletons of UESTC: `mat_from_skeleton.tar`, and where they are in the picture."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from mdtool.data.mat_file import read_mat_array
from mdtool.errors import MdtoolError

KINECT_JOINTS = 25
WIDTH, HEIGHT, FOCAL_PX = 960, 540, 540.0
"""The colour video, and the focal length that belongs to it, px."""
_VARIABLE = "v"
_LARGEST_MEMBER = 1 << 26


class SkeletonArchive:
    """The tar file, opened once; members are read into memory one by one and never unpacked to the disk."""

    def __init__(self, path: Path) -> None:
        """Read the list of members.

        Raises:
            MdtoolError: no such file, or no tar file.
        """
        self.path = path
        if not path.is_file():
            raise MdtoolError(f"no such file: {path}; the choice among several tracks needs the Kinect skeletons")
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 (closed by `close`)
            self._members = {PurePosixPath(member.name).name: member for member in self._tar if member.isfile()}
        except (OSError, EOFError, tarfile.TarError) as error:
            raise MdtoolError(f"{path} is no whole tar file ({error}): get it again") from error

    def close(self) -> None:
        """Close the tar file."""
        self._tar.close()

    def skeleton(self, video: str) -> np.ndarray:
        """Joints [T, 25, 3] in metres, of the video's name in `info/names.txt`; Kinect axes: x right, y up, z away.

        Raises:
            MdtoolError: the archive has no skeleton of that name, or it cannot be read.
        """
        name = video.replace("color.avi", "skeleton.mat")
        where = f"{self.path.name}, {name}"
        member = self._members.get(name)
        if member is None:
            raise MdtoolError(f"{where}: no such member, but {video} has several tracks to choose from")
        if member.size > _LARGEST_MEMBER:
            raise MdtoolError(f"{where}: it has {member.size:,} bytes, more than the {_LARGEST_MEMBER:,} of a skeleton")
        try:
            stream = self._tar.extractfile(member)
            content = stream.read() if stream else b""
        except (OSError, EOFError, tarfile.TarError) as error:
            raise MdtoolError(f"{where}: it cannot be read ({error}): get the archive again") from error
        numbers = read_mat_array(content, _VARIABLE, where)
        if not numbers.size or numbers.size % (KINECT_JOINTS * 3):
            raise MdtoolError(f"{where}: {list(numbers.shape)} numbers do not make frames of {KINECT_JOINTS} joints")
        return numbers.reshape(-1, KINECT_JOINTS, 3)

    def start_centre(self, video: str) -> np.ndarray:
        """Centre [2] of the performer's box in the first frame of the Kinect's recording, px.

        Raises:
            MdtoolError: as `skeleton`.
        """
        return box_centre(kinect_to_pixels(self.skeleton(video)[0]))


def kinect_to_pixels(joints: np.ndarray) -> np.ndarray:
    """Project Kinect joints [..., 3] (metres, y up) to the picture [..., 2]; a joint without depth is not divided."""
    picture = joints * np.array([FOCAL_PX, -FOCAL_PX, 1.0])
    picture = picture[..., :2] + joints[..., 2:] * np.array([WIDTH / 2, HEIGHT / 2])
    depth = joints[..., 2:]
    return picture / np.where(depth == 0, 1.0, depth)


def box_centre(pixels: np.ndarray) -> np.ndarray:
    """Centre [..., 2] of the smallest box round points [..., J, 2]."""
    return (pixels.min(-2) + pixels.max(-2)) / 2
