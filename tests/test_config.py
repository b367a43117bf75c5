"""Settings: presets parse, overrides reach their key, mistakes are named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mdtool import config
from mdtool.errors import MdtoolError
from mdtool.methods.registry import build


@pytest.mark.parametrize("name", config.preset_names())
def test_every_preset_builds(name: str) -> None:
    table = config.load_preset(name)
    config.validated(config.TrainConfig, table["train"], name)
    assert sum(p.numel() for p in build(table["method"], table["model"], ["a", "b"], 20.0).parameters()) > 1000


def test_thesis_preset_has_the_published_number_of_parameters() -> None:
    table = config.load_preset("thesis")
    method = build("mdm", table["model"], [str(k) for k in range(40)], 30.0)
    assert sum(p.numel() for p in method.parameters()) == 17_522_326


def test_toml_round_trip() -> None:
    table = {"a": 1, "b": [0.5, 1e-5], "c": True, "d": {"e": 'quo"te', "f": {"g": 2.0}}}
    assert tomllib.loads(config.table_to_toml(table)) == table


def test_override_sets_numbers_strings_and_lists() -> None:
    table: dict = {"train": {"lr": 1.0}, "model": {}}
    config.override(table, ["train.lr=1e-4", "model.schedule=linear", "train.ema=[0.9, 0.99]"])
    assert table == {"train": {"lr": 1e-4, "ema": [0.9, 0.99]}, "model": {"schedule": "linear"}}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("train.lr", "section.key=value"), ("nope.lr=1", "no section 'nope'")],
)
def test_bad_override_is_told(assignment: str, message: str) -> None:
    with pytest.raises(MdtoolError, match=message):
        config.override({"train": {}}, [assignment])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 10, "learning": 1}, "learning"),
        ({"steps": 10, "warmup_steps": 11}, "longer than the training"),
        ({"steps": 10, "ema": [1.5]}, "between 0 and 1"),
        ({"steps": 10, "ema": [0.9, 0.9]}, "given twice"),
    ],
)
def test_wrong_settings_are_named(values: dict, message: str) -> None:
    with pytest.raises(MdtoolError, match=message):
        config.validated(config.TrainConfig, values, "preset x")


def test_unknown_preset_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="thesis"):
        config.load_preset("no-such")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = = 1")
    with pytest.raises(MdtoolError, match="not a TOML file"):
        config.load_preset(str(broken))
