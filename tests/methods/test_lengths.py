"""Lengths and rates told by settings are those of the network."""

from __future__ import annotations

import pytest

from mdtool.config import RunConfig
from mdtool.methods.lengths import frames_on, longest
from mdtool.methods.registry import build_generator
from tests.methods.contract_cases import CASES, settings


def config(method: str, model: dict[str, object], fps: float = 30.0) -> RunConfig:
    shared = {"preset": "x", "data": "motions.h5", "data_sha256": "", "actions": ["hop"], "train": {"steps": 1}}
    return RunConfig.model_validate({"method": method, "fps": fps, "model": model, **shared})


LEFT_OUT = [
    (name, word)
    for name in CASES
    for word in ("", "frames", "axis_s", "grid_fps")
    if word in {"", *settings(CASES[name])[1]}
]


@pytest.mark.parametrize(("name", "left_out"), LEFT_OUT)
def test_settings_tell_what_the_method_does(name: str, left_out: str) -> None:
    method, model = settings(CASES[name])
    own = {word: value for word, value in model.items() if word != left_out}
    described = build_generator(method, own, ["hop"], 30.0).describe()
    assert longest(config(method, own)) == (described.frames[1], described.fps)


def test_frames_on_an_axis() -> None:
    assert frames_on(4.0, 20.0) == 81
    assert longest(config("nerm", {"axis_s": 4.0, "grid_fps": 20.0, "frames": 60})) == (81, 20.0)
    assert longest(config("nerm", {"axis_s": 4.0, "frames": 60})) == (121, 30.0)
    assert longest(config("mdm", {"frames": 60})) == (60, 30.0)
