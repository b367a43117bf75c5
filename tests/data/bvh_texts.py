"""BVH texts made for tests: the neutral skeleton posed at will, written in any unit, world and Euler order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import roma
import torch

from mdtool.data.bvh_map import SkeletonMap
from mdtool.motion.skeleton import JOINT_NAMES, JOINTS, OFFSETS, PARENTS

SMPL_MAP = SkeletonMap(name="smpl", ankle_height=0.09, joints={name: name for name in JOINT_NAMES})
SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Knee
  {
    OFFSET 0 -4 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -5 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
0 10 0 0 0 0 0 0 0
0 10 0 90 0 0 0 90 0
"""


def smooth_rotations(frames: int, seed: int, largest_rad: float = 1.0) -> np.ndarray:
    """Local rotations [T, 24, 3, 3] that turn slowly from one random pose to another."""
    rng = np.random.default_rng(seed)
    ends = rng.uniform(-1, 1, (2, 1, JOINTS, 3)) * largest_rad / np.sqrt(3)
    weight = np.linspace(0, 1, frames)[:, None, None]
    return roma.rotvec_to_rotmat(torch.from_numpy(ends[0] * (1 - weight) + ends[1] * weight)).numpy()


def root_path(frames: int) -> np.ndarray:
    """A pelvis path [T, 3] in metres, about 1 m above the floor."""
    time = np.linspace(0, 1, frames)
    return np.stack([0.3 * time, 1 + 0.05 * np.sin(6 * time), 0.8 * time], axis=1)


def human_bvh(
    local: np.ndarray,
    root: np.ndarray,
    order: str | Callable[[int], str] = "ZXY",
    scale: float = 1.0,
    frame_time: str = "0.0333333",
    world: np.ndarray | None = None,
    rest: Mapping[str, np.ndarray] | None = None,
    names: tuple[str, ...] = JOINT_NAMES,
    offsets: np.ndarray = OFFSETS,
) -> str:
    """The BVH text of a motion of the neutral skeleton.

    Args:
        local: rotations [T, 24, 3, 3].
        root: pelvis path [T, 3], metres.
        order: Euler order, or one per joint index.
        scale: units of the file per metre.
        world: matrix from mdtool's world to the file's [3, 3].
        rest: SMPL joint → its local axes (columns, mdtool's world) in the T pose; the world's axes when not given.
    """
    turn = np.eye(3) if world is None else world
    axes = [turn.T if rest is None else rest[name] for name in JOINT_NAMES]
    local = local.copy()
    for joint, parent in enumerate(PARENTS):
        above = axes[parent].T if parent >= 0 else turn
        local[:, joint] = above @ local[:, joint] @ axes[joint]
    body: list[str] = []

    def write(joint: int, depth: int) -> None:
        pad = "\t" * depth
        above = axes[PARENTS[joint]].T if joint else turn
        angles = order if isinstance(order, str) else order(joint)
        channels = [f"{axis}rotation" for axis in angles]
        if joint == 0:
            channels = ["Xposition", "Yposition", "Zposition", *channels]
        body.append(f"{pad}{'JOINT' if joint else 'ROOT'} {names[joint]}\n{pad}{{")
        body.append(f"{pad}\tOFFSET {' '.join(f'{value:.9f}' for value in above @ offsets[joint] * scale)}")
        body.append(f"{pad}\tCHANNELS {len(channels)} {' '.join(channels)}")
        columns.append(joint)
        children = [child for child in range(JOINTS) if PARENTS[child] == joint]
        for child in children:
            write(child, depth + 1)
        if not children:
            body.append(f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET 0 0 0\n{pad}\t}}")
        body.append(f"{pad}}}")

    columns: list[int] = []
    write(0, 0)
    values = [root @ turn.T * scale]
    for joint in columns:
        angles = order if isinstance(order, str) else order(joint)
        matrices = torch.from_numpy(np.ascontiguousarray(local[:, joint]))
        values.append(
            np.stack([a.numpy() for a in roma.rotmat_to_euler(angles, matrices, degrees=True, as_tuple=True)], 1)
        )
    rows = "\n".join(" ".join(f"{value:.8f}" for value in row) for row in np.concatenate(values, axis=1))
    tree = "\n".join(body)
    return f"HIERARCHY\n{tree}\nMOTION\nFrames: {len(local)}\nFrame Time: {frame_time}\n{rows}\n"
