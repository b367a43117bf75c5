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


def test_the_learning_rate_of_edm2_in_place_of_a_presets_cosine() -> None:
    table = config.load_preset("edm-tiny")
    config.override(table, ["train.lr_decay_steps=1000"])
    with pytest.raises(MdtoolError, match=r"--set train\.lr_final=none"):
        config.validated(config.TrainConfig, table["train"], "train")
    config.override(table, ["train.lr_final=none", "model.balance=none"])
    assert config.validated(config.TrainConfig, table["train"], "train").lr_final is None
    assert table["model"]["balance"] == "none", "a word elsewhere"


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


def test_a_preset_takes_over_what_it_extends_and_replaces_its_own(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('method = "mdm"\n[train]\nsteps = 5\nlr = 0.1\n[model]\nlayers = 3\n')
    (tmp_path / "middle.toml").write_text('extends = "base.toml"\n[train]\nsteps = 7\n')
    (tmp_path / "top.toml").write_text('extends = "middle.toml"\n[model]\nwidth = 8\n')
    assert config.load_preset(str(tmp_path / "top.toml")) == {
        "method": "mdm",
        "train": {"steps": 7, "lr": 0.1},
        "model": {"layers": 3, "width": 8},
    }
    (tmp_path / "base.toml").write_text('extends = "top.toml"\n')
    with pytest.raises(MdtoolError, match="extends itself"):
        config.load_preset(str(tmp_path / "top.toml"))


THESIS_RUNS = {
    # steps, ema, sampler, diffusion steps (spec section 11; rank-steps over 8 ranks)
    "phase1-1000": (2_000_000 // 8, [], "uniform", 1000),
    "phase1-100": (2_000_000 // 8, [], "uniform", 100),
    "phase2-base": (1_000_000 // 8, [0.9999, 0.9995], "uniform", 100),
    "phase2-is": (1_000_000 // 8, [0.9999, 0.9995], "loss-aware", 100),
    "phase3": (2_000_000 // 8, [0.9995], "loss-aware", 100),
}


@pytest.mark.parametrize("name", THESIS_RUNS)
def test_presets_of_the_phases_are_the_thesis_but_for_what_is_studied(name: str) -> None:
    steps, ema, sampler, diffusion_steps = THESIS_RUNS[name]
    expected = config.load_preset("thesis")
    expected["train"] |= {"steps": steps, "ema": ema}
    expected["model"] |= {"timestep_sampler": sampler, "diffusion_steps": diffusion_steps}
    assert config.load_preset(name) == expected
    assert expected["train"] | {"lr": 1.2e-4, "warmup_steps": 5_000 // 8, "lr_final": 1e-5} == expected["train"]
    assert expected["train"] | {"seed": 10, "batch": 64, "weight_decay": 5e-5} == expected["train"]
    assert expected["train"]["keep_every"] == 200_000 // 8
