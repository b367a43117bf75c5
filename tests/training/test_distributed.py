"""Two ranks are one process: the same training up to the order of a sum, the same samples and scores bit for bit."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from mdtool.config import load_preset
from mdtool.errors import MdtoolError
from mdtool.motion.file import read_motions, write_motions
from mdtool.training.checkpoint import RunFolder
from mdtool.training.distributed import Ranks
from mdtool.training.run import resolve, train
from tests.cli.command_line import done
from tests.motion.smooth_motion import smooth_clips

STEPS = 40
TRAINING = (
    "train", "--preset", "debug", "--sampler", "loss-aware", "--batch", 7, "--steps", STEPS, "--threads", 1,
    "--weighting", "decay", "--switch-ema", 25, "--set", "model.diffusion_steps=4",
)  # fmt: skip
"""Seven windows do not divide by two ranks; with four timesteps the loss-aware sampler soon has its history."""
RANK = """
import json, sys
from mdtool.cli.app import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["mdtool", *words]
    try:
        main()
    except SystemExit as stop:
        if stop.code not in (None, 0, 130):
            raise
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, a recogniser, and the generator that one process trains."""
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_motions("motions.h5", smooth_clips(16, tested=6))
        done("train", "--preset", "recogniser-debug", "--threads", 1)
        done(*TRAINING, "--out", "one")
    return folder


@pytest.fixture(autouse=True)
def _place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def start(*commands: tuple) -> list[subprocess.Popen]:
    """Two processes that meet as torchrun's would, and each run the commands."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = json.dumps([[str(word) for word in command] for command in commands])
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", RANK, words],
            env={**os.environ, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def ended(processes: list[subprocess.Popen]) -> tuple[list[int], list[str], list[str]]:
    """Exit codes, outputs and errors, when both are done."""
    texts = [process.communicate(timeout=300) for process in processes]
    return [process.returncode for process in processes], [out for out, _ in texts], [err for _, err in texts]


def wait_for_step(run: str, step: int, processes: list[subprocess.Popen]) -> None:
    path = Path(run, "metrics.jsonl")
    while not path.exists() or not any(json.loads(line)["step"] >= step for line in path.read_text().splitlines()[:-1]):
        assert processes[0].poll() is None
        time.sleep(0.01)


def assert_same_training(run: str, other: str) -> None:
    """Equal up to float32 summation order.

    A gradient's sum over the batch is added up in two parts, which moves it by about 1e-7 of its size; AdamW divides
    by the gradient's own size, so a weight may move by that share of the learning rate (1e-3) and more where its
    gradient nearly cancels. A wrong window, timestep or noise would move weights by 1e-3 at the first step.
    """
    one, two = RunFolder(run), RunFolder(other)
    for track in ("raw", "ema:0.9"):
        first, second = one.load_weights(track)[0], two.load_weights(track)[0]
        for name, tensor in first.items():
            torch.testing.assert_close(second[name], tensor, atol=2e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    first_state, second_state = one.load_state(), two.load_state()
    assert first_state is not None
    assert second_state is not None
    drawn, drawn_too = first_state["method_training"], second_state["method_training"]
    assert torch.equal(drawn["counts"], drawn_too["counts"]), "every timestep is drawn as often"
    assert int(drawn["counts"].sum()) == STEPS * 7
    torch.testing.assert_close(drawn_too["sampler.history"], drawn["sampler.history"], atol=1e-5, rtol=1e-4)


def test_two_ranks_train_sample_and_score_as_one() -> None:
    sampling = ("sample", "two", "--count", 7, "--batch", 3, "--seed", 5)
    scoring = ("evaluate", "two", "--recogniser", "runs/recogniser-debug", "--seeds", 1, "--count", 70)
    codes, printed, told = ended(
        start(
            (*TRAINING, "--out", "two"),
            (*sampling, "--out", "two.h5"),
            (*scoring, "--out", "two.json"),
            ("sample", "nowhere"),
        )
    )
    assert codes == [2, 2], told
    assert "".join(told) == "mdtool: nowhere is not a run (it has no config.toml); make one with `mdtool train`\n"
    assert "wrote two  (step 40" in printed[0]
    assert printed[1] == ""
    assert ", on 2 ranks" in Path("two/log").read_text()
    assert len(Path("two/metrics.jsonl").read_text().splitlines()) == STEPS / 5
    assert_same_training("one", "two")

    done(*sampling, "--threads", 1, "--out", "again.h5")
    shared, alone = read_motions("two.h5"), read_motions("again.h5")
    assert shared.name == alone.name
    for array in ("rot6d", "root", "noise", "action"):
        np.testing.assert_array_equal(getattr(shared, array), getattr(alone, array))
    done(*scoring, "--threads", 1, "--out", "again.json")
    scores = [json.loads(Path(name).read_text()) for name in ("two.json", "again.json")]
    for result in scores:
        result.pop("provenance")
    assert scores[0] == scores[1]


def test_stopped_and_killed_on_two_ranks_then_finished_on_one() -> None:
    command, log = (*TRAINING, "--out", "killed"), Path("killed/log")
    processes = start(command, command)
    wait_for_step("killed", 10, processes)
    processes[1].send_signal(signal.SIGTERM)  # to one rank: both stop and save, and both go on with the next command
    while "resumed" not in log.read_text():
        assert processes[0].poll() is None
        time.sleep(0.01)
    resumed_at = int(log.read_text().partition("resumed at step ")[2].partition(",")[0])
    assert 10 <= resumed_at < STEPS
    wait_for_step("killed", resumed_at + 1, processes)
    processes[1].kill()
    codes, printed, told = ended(processes)
    assert codes == [1, -signal.SIGKILL], told
    assert "stopped; everything is saved in killed" in printed[0]
    assert f"resuming killed at step {resumed_at} of {STEPS}" in printed[0]
    assert "".join(told).startswith("mdtool: another of the 2 ranks ended early")
    assert "".join(told).count("\n") == 1

    done(*command)
    assert_same_training("one", "killed")


@pytest.mark.slow
def test_torchrun_as_typed() -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "mdtool"]
    words = [str(word) for word in (*TRAINING, "--out", "torchrun")]
    ran = subprocess.run([*torchrun, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("wrote torchrun") == 1
    assert_same_training("one", "torchrun")


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shares_make_up_the_batch(world: int) -> None:
    values = torch.arange(7)
    parts = [Ranks(rank, world).share(7).mine(values) for rank in range(world)]
    assert torch.equal(torch.cat(parts), values)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert {Ranks(rank, world).share(7).whole(len(part)) for rank, part in enumerate(parts)} == {7}


def test_more_ranks_than_windows_are_refused() -> None:
    with pytest.raises(MdtoolError, match="a batch of 3 cannot be shared by 4 ranks"):
        Ranks(0, 4).share(3)


def test_a_recogniser_is_not_shared() -> None:
    motions = read_motions("motions.h5")
    config = resolve("recogniser-debug", load_preset("recogniser-debug"), Path("motions.h5"), motions)
    with pytest.raises(MdtoolError, match="the method 'recogniser' learns from all windows of a batch together"):
        train(config, motions, RunFolder("judge"), torch.device("cpu"), Console(quiet=True), Ranks(0, 2))
    assert not Path("judge").exists()
