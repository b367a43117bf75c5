#!/usr/bin/env bash
# The study of the README on Bandai Namco dataset-2 (10 actions; CC BY-NC 4.0, not part of this repository):
# loss-aware sampling and EMA against plain training, at equal steps. About 90 minutes of one core that has bf16.
#
#   examples/bandai.sh FOLDER     FOLDER holds dataset-2.zip, dataset-2-more.tar.xz and their label files
set -euo pipefail
folder=${1:?usage: examples/bandai.sh FOLDER}
steps=${STEPS:-24000}

mdtool preprocess bvh "$folder"/dataset-2.zip "$folder"/dataset-2-more.tar.xz --fps 20 \
    --labels "$folder"/labels.csv --labels "$folder"/labels-more.csv
mdtool train --method recogniser
mdtool train --steps "$steps" --ema 0.9995 --ema 0.999 --sampler loss-aware --out runs/aware
mdtool train --steps "$steps" --ema 0.9995 --ema 0.999 --sampler uniform --out runs/plain

mdtool evaluate motions.h5 --seeds 5 --count 1000 --out results/real.json
for run in aware plain; do
    for weights in raw ema:0.999 ema:0.9995; do
        mdtool evaluate "runs/$run" --weights "$weights" --seeds 5 --count 1000 --split train \
            --out "results/$run-$weights.json"
    done
done
mdtool sample runs/aware --count 9
mdtool render sample.h5 --out samples.mp4
