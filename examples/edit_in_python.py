"""Motions from Python: make some, look inside one, slow it down, mirror it, and draw the result.

    python examples/edit_in_python.py

Takes a few seconds; writes two files into the current folder.
"""

from __future__ import annotations

from dataclasses import replace

from mdtool.body.mannequin import mannequin
from mdtool.data.synthetic import synthesise
from mdtool.motion.file import write_motions
from mdtool.motion.mirror import mirror
from mdtool.motion.motion import MotionSet
from mdtool.motion.resample import resample
from mdtool.render.exhibit import exhibits
from mdtool.render.picture import RenderOptions, render_exhibits


def main() -> None:
    """Run the example."""
    motions = synthesise(clips_per_action=1, seed=7, actions=["left-stretching", "walking"], test_fraction=0.0)
    stretch = motions[0]
    wrist = stretch.positions()[:, 21]  # joint 21 is the right wrist; [frames, 3] in metres, y up
    print(
        f"{stretch.action}: {len(stretch)} frames at {stretch.fps:g} fps, right wrist up to {wrist[:, 1].max():.2f} m"
    )

    # Half speed: declare the same frames to be 15 fps, then resample them to 30 on the rotation manifold.
    slow = resample(replace(stretch, fps=stretch.fps / 2), 30.0)
    other_side = mirror(stretch)
    print(f"slow: {len(slow)} frames; mirrored: {other_side.action}")

    clips = [stretch, slow, other_side]
    write_motions("stretching.h5", MotionSet.from_clips(clips))
    options = RenderOptions(frame=40)
    render_exhibits("stretching.png", exhibits(clips), mannequin(), options, progress=lambda done, total: None)
    print("wrote stretching.h5 and stretching.png; next: mdtool render stretching.h5 --out stretching.mp4")


if __name__ == "__main__":
    main()
