"""Our files in programs that are no Python packages of ours: three.js, the Khronos validator, Blender.

They are run where they are installed: `npm install three gltf-validator` and MDTOOL_NODE_MODULES=…/node_modules;
`pip install bpy` in an environment of its own (900 MB, GPL) and MDTOOL_BLENDER_PYTHON=…/bin/python.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mdtool.body.mannequin import mannequin
from mdtool.data.glb import read_glb
from mdtool.data.motion_files import glb_to_clip
from mdtool.export.bvh import write_bvh
from mdtool.export.clips import animation_names
from mdtool.export.glb import write_glb
from mdtool.export.target import TARGETS
from mdtool.motion.motion import Motion
from mdtool.motion.skeleton import JOINT_NAMES
from tests.export.clips import content, some_clips

HERE = Path(__file__).parent


@pytest.fixture
def clips() -> list[Motion]:
    return some_clips()


@pytest.fixture
def expected(clips: list[Motion], tmp_path: Path) -> Path:
    """The joints of all frames of all clips, by the name of the animation."""
    wanted = [
        {
            "name": name,
            "fps": clip.fps,
            "joints": [dict(zip(JOINT_NAMES, frame, strict=True)) for frame in clip.positions().tolist()],
        }
        for name, clip in zip(animation_names(clips), clips, strict=True)
    ]
    (tmp_path / "expected.json").write_text(json.dumps(wanted))
    return tmp_path / "expected.json"


@pytest.mark.parametrize("ground_root", [False, True])
def test_three_and_the_khronos_validator(clips: list[Motion], expected: Path, ground_root: bool) -> None:
    modules, node = os.environ.get("MDTOOL_NODE_MODULES"), shutil.which("node")
    if not modules or not node:
        pytest.skip("needs node, and MDTOOL_NODE_MODULES with three and gltf-validator in it")
    glb = expected.with_name("a.glb")
    write_glb(glb, clips, mannequin(), ground_root)
    ran = subprocess.run([node, HERE / "loaders.mjs", modules, glb, expected], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["issues"] == []
    assert told["clips"] == animation_names(clips)
    assert told["worst_m"] < 1e-5


@pytest.mark.slow
def test_blender(clips: list[Motion], expected: Path) -> None:
    python = os.environ.get("MDTOOL_BLENDER_PYTHON")
    if not python:
        pytest.skip("needs MDTOOL_BLENDER_PYTHON, a Python with bpy")
    glb, bvh, again = (expected.with_name(name) for name in ("a.glb", "a.bvh", "again.glb"))
    write_glb(glb, clips, mannequin())
    write_bvh(bvh, clips[0], mannequin(), TARGETS["blender"].order, TARGETS["blender"].bvh_unit)
    ran = subprocess.run(
        [python, HERE / "blender_import.py", glb, bvh, expected, again], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.split("told ")[-1].splitlines()[0])
    assert max(*told["glb_m"], told["bvh_m"]) < 1e-5
    assert told["mode"] == "XYZ"
    # Blender gives bones axes of its own and writes them as it pleases: the motion is still the same.
    read = next(glb_to_clip(clip).motion for clip in read_glb(*content(again)) if clip.name == "Jump & run")
    assert (len(read), read.fps) == (len(clips[1]), clips[1].fps)
    assert np.abs(read.positions() - clips[1].positions()).max() < 1e-4
