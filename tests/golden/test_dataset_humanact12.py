"""The HumanAct12 reader against MDM's loader, on the same raw arrays."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from mdtool.data.gather import Clip
from mdtool.data.humanact12 import read_humanact12
from mdtool.data.windows import window_frames
from mdtool.motion.action_names import HUMANACT12_ACTIONS
from tests.golden.test_dataset_uestc import trained_tensor
from tests.golden.tiny_denoiser import Golden


def test_the_motion_file_and_back_is_what_the_network_was_trained_on(golden: Golden, tmp_path: Path) -> None:
    g = golden("dataset_humanact12")
    places = range(sum(key.startswith("raw/") and key.endswith("/pose") for key in g))
    raw = {
        "poses": [g[f"raw/{place}/pose"] for place in places],
        "joints3D": [g[f"raw/{place}/joints3D"] for place in places],
        "y": [int(g[f"item/{place}/action"]) for place in places],
        "oldposes": [],
    }
    path = tmp_path / "humanact12poses.pkl"
    path.write_bytes(pickle.dumps(raw))
    for place, clip in enumerate(read_humanact12(path).clips()):
        assert isinstance(clip, Clip)
        frames = g[f"item/{place}/frames"]
        assert clip.motion.action == HUMANACT12_ACTIONS[raw["y"][place]]
        np.testing.assert_allclose(trained_tensor(clip.motion, frames), g[f"item/{place}/inp"], atol=1e-5)
        if len(clip.motion) < len(frames):  # one window alone: the last frame is repeated, whatever is drawn
            np.testing.assert_array_equal(
                window_frames(np.array([len(clip.motion)]), len(frames), np.array([0.9]))[0], frames
            )
