"""A trained run from Python: read recordings, sample, measure, and edit with an objective of your own.

    python examples/from_python.py runs/demo motions.h5 --action walking

Prints what it measures and writes hands.h5: the motion before and after its hands were brought together.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from mdtool.editing.compiler import compile_request
from mdtool.editing.goals import BodyMotion, Goal
from mdtool.editing.reading import request_of
from mdtool.editing.session import Session
from mdtool.editing.shapes import Coordinate, root
from mdtool.editing.source import Source
from mdtool.evaluation.physical import foot_skating, motion_energy
from mdtool.motion.file import read_motions, write_motions
from mdtool.motion.motion import MotionSet
from mdtool.motion.skeleton import JOINT_INDEX
from mdtool.training.run import load_generator

WRISTS = (JOINT_INDEX["left_wrist"], JOINT_INDEX["right_wrist"])


@dataclass(frozen=True)
class HandsTogether(Goal):
    """The wrists meet: what a search makes small is their distance, in metres, at each of the goal's frames."""

    term = "hands"
    wish = "together"

    def residual(self, body: BodyMotion) -> Coordinate:
        """Distance of the wrists; [..., frames]. The same line serves numpy (reports) and torch (the search)."""
        wrists = body.of(self.joints, self.frames)  # [..., frames, 2, 3]
        return root(((wrists[..., 0, :] - wrists[..., 1, :]) ** 2).sum(-1))


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder of a trained generator")
    parser.add_argument("recordings", help="motion file that the run learnt from")
    parser.add_argument("--action", help="what to sample; the run's first action by default")
    parser.add_argument("--steps", type=int, default=100, help="steps of the search")
    args = parser.parse_args()

    generator = load_generator(args.run)
    action = args.action or generator.actions[0]
    recordings = [clip for clip in read_motions(args.recordings) if clip.action == action]
    samples = generator.sample([generator.actions.index(action)] * 4, seed=3)
    for name, clips in (("recordings", recordings), ("samples", samples)):
        places = [(clip.positions(), clip.fps) for clip in clips]  # [frames, 24, 3] in metres, y up
        skating, energy = (np.mean([measure(*place) for place in places]) for measure in (foot_skating, motion_energy))
        print(f"{action}, {len(places)} {name}: {skating:.1f} % of steps skate, {energy:.2f} m/s mean joint speed")

    # A request holds what every edit has; goals of your own join those that it describes.
    before = samples[0]
    request = request_of({"version": 1, "run": {"steps": args.steps}}, "from_python.py")
    plan = compile_request(*request, Source(before, None, before.fps, action), generator.frames)
    middle = np.arange(len(before) // 3, 2 * len(before) // 3)
    plan.goals.append(HandsTogether(("hands",), weight=1.0, must=0.15, frames=middle, joints=WRISTS))
    after = Session(generator, force=True).edit([plan])[0].motions[0]
    for name, motion in (("before", before), ("after", after)):
        wrists = motion.positions()[middle][:, WRISTS]
        print(f"{name}: wrists {100 * np.linalg.norm(wrists[:, 0] - wrists[:, 1], axis=-1).mean():.0f} cm apart")
    write_motions("hands.h5", MotionSet.from_clips([before, after]))
    print("wrote hands.h5; next: mdtool render hands.h5 --out hands.mp4")


if __name__ == "__main__":
    main()
