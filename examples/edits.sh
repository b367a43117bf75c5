#!/usr/bin/env bash
# Five edits of what `make demo` (or `mdtool demo`) made, each with its motion, its report and a video.
# About two minutes on two cores; RUN=FOLDER takes another run, STEPS=100 is quicker and rougher.
#
#   examples/edits.sh             in the folder that holds demo/
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
run=${RUN:-demo/runs/demo}
steps=${STEPS:+--steps $STEPS}
mkdir -p edits

# A capture that shakes by 3 cm at every joint: the squat of the demo's data with noise on it.
python3 - <<'PY'
import numpy as np
from mdtool.motion.file import read_motions
motions = read_motions("demo/motions.h5")
clip = next(motion for motion in motions if motion.action == "squatting").slice(0, 60)
joints = clip.positions()[:, :22]
np.savez("noisy.npz", joints=joints + 0.03 * np.random.default_rng(0).standard_normal(joints.shape), fps=clip.fps)
PY

for edit in around_a_pillar reach_for_a_point sit_lower clean_a_capture join_two_clips; do
    mdtool edit --request "$here/edits/$edit.yaml" --run "$run" --out "edits/$edit.h5" \
        --report "edits/$edit.json" $steps || test $? -eq 3   # 3: a `must` was missed, and the report says by how much
    show=$([ "$edit" = around_a_pillar ] || [ "$edit" = reach_for_a_point ] && echo "--show targets" || true)
    mdtool render "edits/$edit.h5" $show --camera fixed --out "edits/$edit.mp4"
done
