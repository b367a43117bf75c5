"""The phases as commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdtool.config import TrainConfig, load_preset, override, validated
from mdtool.errors import MdtoolError
from mdtool.study.plan import FULL_STEPS, PHASES, Settings, remember, shortened, stages


def words(phase: int, settings: Settings) -> list[str]:
    return [" ".join(stage.words) for stage in stages(phase, settings, "cpu", 1)]


def test_at_full_length_nothing_is_changed_and_the_protocol_is_the_thesis(tmp_path: Path) -> None:
    printed = words(2, Settings(tmp_path, beyond=False))
    assert not any("--set" in line or "--seeds" in line or "--count" in line for line in printed)
    assert [line for line in printed if line.startswith("evaluate")] == [
        f"evaluate {tmp_path}/runs/{name} --checkpoint all --data {tmp_path}/motions.h5 "
        f"--recogniser {tmp_path}/runs/recogniser --protocol thesis --device cpu --threads 1"
        for name in ("phase2-base", "phase2-is")
    ]
    assert printed[-1] == f"report {tmp_path}/runs --out {tmp_path}/report"


def test_phase_2_has_the_future_work_beside_it(tmp_path: Path) -> None:
    printed = words(2, Settings(tmp_path, steps="25000"))
    trained = {line.split()[5]: line for line in printed if line.startswith("train") and "--method" not in line}
    for name, change in (
        ("phase2-is-min-snr", "model.step_weighting=min-snr"),
        ("phase2-is-decay", "model.step_weighting=decay"),
        ("phase2-base-switch", "train.ema_switch_every=500"),
    ):
        assert f"--set {change}" in trained[f"{tmp_path}/runs/{name}"]
        assert sum(f"runs/{name} --checkpoint all" in line and "--weights raw" in line for line in printed) == 1


def test_the_run_of_a_thousand_steps_is_judged_at_its_end_only(tmp_path: Path) -> None:
    printed = words(1, Settings(tmp_path, steps="small"))
    assert [line.split()[3] for line in printed if line.startswith("evaluate")] == ["last", "all"]
    assert all("--seeds 3 --count 100 --steps 20" in line for line in printed if line.startswith("evaluate"))
    chosen = words(1, Settings(tmp_path, steps="small", seeds=5, count=50))
    assert all("--seeds 5 --count 50 --steps 20" in line for line in chosen if line.startswith("evaluate"))


def test_phases_share_the_run_of_a_hundred_steps() -> None:
    assert PHASES[1][1] == PHASES[3][0]
    assert len({training.name for phase in PHASES.values() for training in phase}) == 5


@pytest.mark.parametrize("preset", [training.preset for phase in PHASES.values() for training in phase])
@pytest.mark.parametrize("steps", ["10", "1000", "small"])
def test_a_shortened_run_is_a_valid_one_with_enough_checkpoints(tmp_path: Path, preset: str, steps: str) -> None:
    settings = Settings(tmp_path, steps=steps)
    table = load_preset(preset)
    full = validated(TrainConfig, dict(table["train"]), preset)
    override(table, shortened(preset, settings))
    train = validated(TrainConfig, table["train"], preset)
    assert train.steps == full.steps * settings.longest // FULL_STEPS
    assert len(train.ema) == len(full.ema)
    checkpoints = 5 if steps == "small" else full.steps // full.keep_every
    assert train.steps // train.keep_every in (checkpoints, train.steps)
    # Averages reach back over the same share of the training.
    horizons = [[decay / (1 - decay) / config.steps for decay in config.ema] for config in (full, train)]
    assert horizons[1] == pytest.approx(horizons[0], rel=0.02)


def test_phase_3_judges_the_average_alone(tmp_path: Path) -> None:
    assert "--weights ema:0.9995" in words(3, Settings(tmp_path))[5]
    assert "--weights ema:0.96" in words(3, Settings(tmp_path, steps="3000"))[5]


def test_data_are_told_apart(tmp_path: Path) -> None:
    def first(*data: str, **more: tuple[str, ...]) -> str:
        return words(1, Settings(Path("out"), data, **more))[0]

    uestc, bvh = tmp_path / "uestc", tmp_path / "takes"
    uestc.mkdir()
    bvh.mkdir()
    (uestc / "vibe_cache_refined.pkl").touch()
    (tmp_path / "mine.h5").touch()
    assert first() == "preprocess synthetic --fps 20 --out out/motions.h5"
    for folder in (uestc, tmp_path):
        assert first(str(folder)) == f"preprocess uestc {folder} --out out/motions.h5"
    labels = ("a.csv",)
    assert first(str(bvh), labels=labels) == f"preprocess bvh {bvh} --labels a.csv --fps 20 --out out/motions.h5"
    assert first(str(tmp_path / "mine.h5")).startswith(f"train {tmp_path}/mine.h5 --method recogniser")
    assert "recogniser-actor" in words(1, Settings(Path("out"), (str(uestc),)))[1]
    with pytest.raises(MdtoolError, match="no such file or folder: nowhere"):
        first("nowhere")


def test_a_recogniser_that_is_given_is_not_trained(tmp_path: Path) -> None:
    printed = words(1, Settings(tmp_path, recogniser="runs/imported"))
    assert not any("--method recogniser" in line for line in printed)
    assert all("--recogniser runs/imported" in line for line in printed if line.startswith("evaluate"))


@pytest.mark.parametrize("steps", ["tiny", "9", "250001", "-5"])
def test_lengths_that_make_no_sense_are_refused(tmp_path: Path, steps: str) -> None:
    with pytest.raises(MdtoolError, match="--steps must be 'small' or a number"):
        list(stages(1, Settings(tmp_path, steps=steps)))


def test_labels_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MdtoolError, match="--labels is for BVH recordings: name their folders"):
        list(stages(1, Settings(tmp_path, labels=("labels.csv",))))


def test_a_folder_belongs_to_one_study(tmp_path: Path) -> None:
    remember(Settings(tmp_path, steps="small"))
    remember(Settings(tmp_path, steps="small"))
    with pytest.raises(MdtoolError, match=r"holds a study with steps small \(now 500\): choose another --out"):
        remember(Settings(tmp_path, steps="500"))
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(MdtoolError, match="is damaged"):
        remember(Settings(tmp_path, steps="small"))
