"""What each program expects of a file: axes, units, Euler order, a bone on the ground, and the clicks to import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mdtool.motion.axes import AMASS_AXES, MDTOOL_AXES, Axes

Unit = Literal["m", "cm"]
PER_METRE: dict[str, float] = {"m": 1.0, "cm": 100.0}
"""How many of a unit make a metre."""


@dataclass(frozen=True)
class Target:
    """The habits of one program."""

    axes: Axes
    """World axes of a table (CSV). GLB and BVH are y up for every program, which turns them when it reads them."""
    csv_unit: Unit
    bvh_unit: Unit
    order: str
    """Rotation channels of a BVH file."""
    ground_root: bool = False
    """Put a joint `root` on the floor under the pelvis that carries the path, as root motion needs it (GLB, BVH)."""
    glb_clicks: str = ""
    bvh_clicks: str = ""


ANY = Target(MDTOOL_AXES, "m", "cm", "ZXY")
"""No program in particular: mdtool's own axes, and BVH as motion capture has it."""

TARGETS: dict[str, Target] = {
    # Blender gives bones the Euler mode that the channels spell; XYZ is the one that its own bones have.
    "blender": Target(
        axes=AMASS_AXES,
        csv_unit="m",
        bvh_unit="m",
        order="XYZ",
        glb_clicks="File > Import > glTF 2.0; pick the clip in the Action Editor",
        bvh_clicks="File > Import > Motion Capture (.bvh), Scale 1, Forward -Z, Up Y, tick Update Scene FPS",
    ),
    # Unity's Quaternion.Euler turns about z, then x, then y of the world: channels YXZ. Left-handed, metres.
    "unity": Target(
        axes=("right", "up", "forward"),
        csv_unit="m",
        bvh_unit="m",
        order="YXZ",
        glb_clicks="Package Manager > Add package by name > com.unity.cloud.gltfast, then drop the file into Assets",
        bvh_clicks="Unity has no BVH importer of its own: add UniVRM and drop the file into Assets, or take the GLB",
    ),
    # Unreal: left-handed, z up, x forward, centimetres; root motion is read off the skeleton's first bone.
    "unreal": Target(
        axes=("forward", "right", "up"),
        csv_unit="cm",
        bvh_unit="cm",
        order="ZYX",
        ground_root=True,
        glb_clicks="Content Drawer > Import (Interchange, 5.1 or later); tick EnableRootMotion in the sequence",
        bvh_clicks="Unreal has no BVH importer: bring it into Blender with Scale 0.01 and on as FBX, or take the GLB",
    ),
}
