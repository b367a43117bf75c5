"""A few videos in the layout of UESTC, small and quick to make."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

NAMES = (
    "a0_d1_p001_c1_color.avi",
    "a0_d2_p001_c2_color.avi",
    "a1_d8_p002_c1_color.avi",
    "a1_d8_p002_c2_color.avi",  # the moving camera: left out
    "a1_d3_p003_c2_color.avi",
    "a2_d4_p117_c1_color.avi",
    "a2_d5_p006_c1_color.avi",  # too short to train on
)
LENGTHS = (70, 64, 80, 66, 50, 20, 44)


def raw_cache(lengths: tuple[int, ...] = LENGTHS) -> dict[str, list[np.ndarray]]:
    """What VIBE says of videos of these lengths: people who face the camera and sway."""
    rng = np.random.default_rng(0)
    cache: dict[str, list[np.ndarray]] = {key: [] for key in ("pred_cam", "orig_cam", "pose", "betas", "joints3d")}
    for frames in lengths:
        time = np.linspace(0, 6, frames)[:, None]
        pose = 0.3 * np.sin(time + rng.uniform(0, 6, 72)) * rng.uniform(0, 1, 72)
        pose[:, :3] = np.pi, 0, 0
        pose[:, 2] += 0.1 * np.sin(time[:, 0])
        cache["pose"].append(pose.astype(np.float32))
        cache["orig_cam"].append(np.array([0.7, 0.7, 0.0, 0.1]) + 0.02 * np.sin(time + np.arange(4)))
        cache["joints3d"].append(rng.standard_normal((frames, 49, 3)).astype(np.float32))
        cache["pred_cam"].append(np.zeros((frames, 3), np.float32))
        cache["betas"].append(np.zeros((frames, 10), np.float32))
    return cache


def write_uestc(
    folder: Path,
    names: tuple[str, ...] = NAMES,
    cache: object = None,
    dump: Callable[[object], bytes] = pickle.dumps,
    most_frames: tuple[int, ...] | None = None,
) -> Path:
    """Write the data set's files; the folder."""
    (folder / "info").mkdir(parents=True)
    cache = raw_cache() if cache is None else cache
    (folder / "vibe_cache_refined.pkl").write_bytes(dump(cache))
    (folder / "info" / "names.txt").write_text("\n".join(names) + "\n")
    counts = most_frames or tuple(length - 2 for length in LENGTHS)
    (folder / "info" / "num_frames_min.txt").write_text("\n".join(map(str, counts)) + "\n")
    return folder
