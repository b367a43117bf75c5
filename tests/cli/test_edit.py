"""`mdtool edit` as typed."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdtool.evaluation.physical import jitter
from mdtool.motion.file import file_sha256, read_motions, write_motions
from mdtool.motion.marks import marks_of
from tests.cli.command_line import done, mdtool, refused
from tests.editing.stopped_search import stop_searches_at
from tests.motion.smooth_motion import smooth_clips

ONE = ("--threads", 1)
QUICK = (*ONE, "--steps", 6, "--run", "runs/debug")
TARGET = "version: 1\ntargets:\n  - {at: 40, joint: pelvis, xz: [0.2, 0.3]}\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and samples of it with their noise."""
    folder = tmp_path_factory.mktemp("edit")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_motions("motions.h5", smooth_clips(6, frames=60, tested=1))
        done("train", "--preset", "debug", *ONE)
        done("sample", "--count", 3, "--sampler", "ddim", "--steps", 10, *ONE)
    return folder


@pytest.fixture(autouse=True)
def _place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runs", "sample.h5", "motions.h5"):
        (tmp_path / name).symlink_to(trained / name)
    monkeypatch.chdir(tmp_path)


def request(text: str = TARGET, name: str = "edit.yaml") -> str:
    Path(name).write_text(text, "utf-8")
    return name


def test_an_edit_starts_from_the_stored_noise_and_tells_what_it_did() -> None:
    printed = done("edit", "sample.h5", "--clip", 1, "--request", request(), "--report", "report.json", *QUICK)
    before, after = read_motions("sample.h5")[1], read_motions("edited.h5")
    report = json.loads(Path("report.json").read_text())["edits"][0]
    assert report["start"] == "stored"
    assert report["reconstruction_m"] < 1e-4
    assert report["variations"][0]["targets"][0]["key"] == "targets[0]"
    search = report["variations"][0]["search"]
    assert search["steps"] == [0, 1, 2, 3, 4, 5]
    assert list(search["losses"]) == ["objective", "targets[0]", "planted", "calm", "content"]
    assert all(len(values) == 6 for values in (*search["losses"].values(), search["objective_error_m"]))
    assert search["losses"]["objective"][-1] < search["losses"]["objective"][0]
    assert "search: objective" in printed
    assert "--report FILE" not in printed
    assert after[0].action == before.action
    assert after.noise is not None
    assert 1e-6 < np.abs(after.noise[0] - before.noise).max() < 1
    np.testing.assert_allclose(after[0].root[0, [0, 2]], before.root[0, [0, 2]], atol=1e-3)
    assert "edit of seed 0 sample 1, 60 frames, 6 steps" in printed
    assert printed.rstrip().endswith(
        "next: mdtool render edited.h5 --beside sample.h5 --ghost --show targets --out video.mp4"
    )


def test_the_file_remembers_where_it_comes_from() -> None:
    done("edit", "sample.h5", "--request", request(), *QUICK)
    history = read_motions("edited.h5").provenance
    assert history["parents"] == {"sample.h5": file_sha256("sample.h5")}
    assert history["edits"][0]["request"]["targets"][0]["xz"] == [0.2, 0.3]
    (point,) = marks_of(history, 0).points
    assert point.frame == 40


def test_an_empty_edit_with_a_constant_residual_is_the_input() -> None:
    text = "version: 1\nkeep: {content: strong}\nrun: {residual: constant, lr: 0.000001}\n"
    done("edit", "motions.h5", "--request", request(text), "--force", *QUICK)
    before, after = read_motions("motions.h5")[0], read_motions("edited.h5")[0]
    assert np.abs(after.positions() - before.positions()).max() < 1e-3


def test_an_unmet_must_is_exit_3() -> None:
    text = TARGET.replace("0.3]", "0.3], must: 0.001")
    ran = mdtool("edit", "sample.h5", "--request", request(text), *QUICK)
    assert ran.code == 3
    assert "missed: targets[0] (pelvis at x 0.20, z 0.30) by" in ran.out
    assert Path("edited.h5").exists()


def test_mistakes_come_one_per_line_and_nothing_is_written() -> None:
    name = request("version: 1\nlenght: 3\ntargets:\n  - {at: 99, joint: head, y: 1}\n")
    ran = mdtool("edit", "sample.h5", "--request", name, *QUICK)
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "mdtool: edit.yaml:2:1  lenght  there is no 'lenght' here, did you mean 'length'?; allowed: version, input, "
        "time, space, length, keep, targets, path, avoid, limits, mask, blend, run, then",
        "mdtool: edit.yaml:4:5  targets[0]  frame 99 is outside the motion: it has 0 to 59",
    ]
    as_json = mdtool("edit", "sample.h5", "--request", name, "--json", *QUICK)
    assert as_json.code == 2
    assert [problem["line"] for problem in json.loads(as_json.out)["problems"]] == [2, 4]
    assert not Path("edited.h5").exists()


def test_the_mistakes_of_all_requests_come_at_once() -> None:
    request("version: 1\nkeep: {contnt: off}\ninput: {file: none.h5}\nthen: third.yaml\n", "first.yaml")
    request("version: 1\nlimits:\n  - {feet: flat}\n", "third.yaml")
    request("version: 1\nmask: {observed: {joints: haed}}\ninput: {clip: -1}\n", "second.yaml")
    words = ("edit", "--request", "first.yaml", "--request", "second.yaml", "--run", "runs/debug")
    for more in (("--dry-run",), ONE):
        ran = mdtool(*words, *more)
        assert ran.code == 2
        assert [line.split("  ")[:2] for line in ran.err.splitlines()] == [
            ["mdtool: first.yaml:2:8", "keep.contnt"],
            ["mdtool: first.yaml:3:1", "input"],
            ["mdtool: third.yaml:3:6", "limits[0].feet"],
            ["mdtool: second.yaml:2:19", "mask.observed.joints"],
            ["mdtool: second.yaml:3:9", "input.clip"],
        ]
    ran = mdtool("edit", "none.h5", "--request", "first.yaml", "--run", "runs/debug", *ONE)  # the words come first
    assert (ran.code, len(ran.err.splitlines())) == (2, 2)


def test_what_seems_infeasible_names_force() -> None:
    name = request(TARGET.replace("0.2", "40"))
    ran = mdtool("edit", "sample.h5", "--request", name, *QUICK)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == "mdtool: --force tries what seems infeasible"
    done("edit", "sample.h5", "--request", name, "--force", *QUICK)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("edit", "sample.h5"), "give either a --request, or a short form such as `mdtool edit refine FILE`"),
        (("edit", "a.h5", "b.h5", "--request", "x"), "mdtool edit takes one FILE, or a short form"),
        (("edit", "blend", "a.h5"), "mdtool edit blend takes FILE OTHER, to go over from one clip into another"),
        (("edit", "inbetween", "a.h5"), "mdtool edit inbetween takes FILE OTHER, to go from the last pose of one clip"),
        (("edit", "complete", "sample.h5", "--joints", "tail", *QUICK), "complete  mask.observed.joints  no joint or"),
        (("edit", "sample.h5", "--request", "none.yaml"), "cannot read none.yaml: No such file or directory"),
        (("edit", "none.h5", "--request", "edit.yaml", *QUICK), "no such file: none.h5"),
        (("edit", "sample.h5", "--clip", 7, "--request", "edit.yaml", *QUICK), "sample.h5 has no clip 7"),
        (("edit", "--request", "edit.yaml", *QUICK), "edit.yaml: no motion to edit: name a FILE, or give `input"),
        (("edit", "sample.h5", "--request", "edit.yaml", "--run", "runs/none", *ONE), "runs/none is not a run"),
        (("edit", "sample.h5", "--request", "edit.yaml", "--run", "runs/none", "--dry-run"), "runs/none is not a run"),
        (("edit", "sample.h5", "--request", "edit.yaml", "--joints", "six", *QUICK), "--joints is for `mdtool edit"),
        (("edit", "refine", "sample.h5", "--joints", "six", *QUICK), "mdtool edit refine takes no --joints"),
        (("edit", "sample.h5", "--request", "made.yaml", *QUICK), "made.yaml generates its input: leave out FILE"),
    ],
)
def test_bad_words(words: tuple[object, ...], told: str) -> None:
    request()
    request(TARGET + "input: {generate: {action: wave}}\n", "made.yaml")
    assert told in refused(*words)


def test_a_dry_run_needs_no_network() -> None:
    request(
        TARGET + "avoid:\n  - box: {at: [1, 1], size: [0.4, 1, 0.4]}\n    move: [[0, [0, 0, 0]], [59, [0, 0, 1]]]\n"
    )
    code = (
        "import sys; from mdtool.cli.app import app\n"
        "words = ['edit', 'sample.h5', '--request', 'edit.yaml', '--run', 'runs/debug', '--dry-run']\n"
        "app(words, standalone_mode=False); assert 'torch' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "wrote edited.plan.png: the plan from above" in ran.stdout
    with Image.open("edited.plan.png") as picture:
        colours = {colour[1] for colour in picture.convert("RGB").getcolors(100_000) or []}
    assert len(colours) > 8
    assert not Path("edited.h5").exists()
    told = mdtool("edit", "sample.h5", "--request", "edit.yaml", "--dry-run", "--json", "--run", "runs/debug")
    assert [goal["key"] for goal in json.loads(told.out)["plans"][0]["goals"]] == ["targets[0]", "avoid[0]"]


def test_a_dry_run_says_when_the_action_is_not_told() -> None:
    far = "version: 1\ntargets:\n  - {at: 59, joint: pelvis, xz: [1.8, 1.8]}\n"
    words = ("edit", "motions.h5", "--frames", "0-59", "--run", "runs/debug", "--dry-run", "--request")
    assert "action not told: a target is 2." in done(*words, request(far))
    assert "action not told" not in done(*words, request())


def test_short_forms() -> None:
    Path("way.csv").write_text("frame,x,z\n0,0,0\n50,0.3,0.4\n")
    for words, task in (
        (("refine", "motions.h5", "--frames", "0-59"), "refine"),
        (("complete", "motions.h5", "--joints", "six"), "complete"),
        (("inbetween", "motions.h5", "motions.h5"), "in-between"),
        (("blend", "motions.h5", "motions.h5"), "blend"),
        (("path", "sample.h5", "way.csv"), "edit"),
    ):
        done("edit", *words, "--report", "report.json", *QUICK)
        assert json.loads(Path("report.json").read_text())["edits"][0]["task"] == task
        assert len(read_motions("edited.h5")[0]) == 60


def test_joint_places_are_refined() -> None:
    clip = read_motions("motions.h5")[0]
    np.savez("noisy.npz", joints=clip.positions()[:, :22], fps=20.0)
    done("edit", "refine", "noisy.npz", *QUICK)
    found = read_motions("edited.h5")[0]
    off = (found.positions() - clip.positions()).mean((0, 1))
    assert np.abs(off[[0, 2]]).max() < 0.3  # placed where the places were, whatever the network is worth
    np.savez("short.npz", joints=clip.positions()[:, :20], fps=20.0)
    assert "joints must be [frames, 22 or 24, 3]" in refused("edit", "refine", "short.npz", *QUICK)


def test_variations_and_clips_make_one_file() -> None:
    text = TARGET + "run: {variations: 2, init_noise: 0.3}\n"
    done("edit", "sample.h5", "--clip", 0, "--clip", 2, "--request", request(text), *QUICK)
    motions = read_motions("edited.h5")
    assert [clip.action for clip in motions] == ["hop", "hop", "wave", "wave"]
    assert np.abs(motions.noise[0] - motions.noise[1]).max() > 0.1
    assert len(motions.provenance["marks"]) == 4


def test_restarts_make_one_motion_and_are_told() -> None:
    text = TARGET + "run: {restarts: 3}\n"
    printed = done("edit", "sample.h5", "--request", request(text), "--report", "report.json", *QUICK)
    (found,) = json.loads(Path("report.json").read_text())["edits"][0]["variations"]
    assert len(read_motions("edited.h5")) == 1
    assert found["loss"] == min(found["restarts"])
    assert len(found["restarts"]) == 3
    assert "best of 3 restarts" in printed
    bad = mdtool("edit", "sample.h5", "--request", request(TARGET + "run: {restarts: 0}\n"), *QUICK)
    assert (bad.code, bad.err.split("  ")[0]) == (2, "mdtool: edit.yaml:4:7")


def test_a_generated_input() -> None:
    done("edit", "--request", request(TARGET + "input: {generate: {action: wave, seed: 3}}\n"), *QUICK)
    motions = read_motions("edited.h5")
    assert motions[0].action == "wave"
    assert motions.provenance["edits"][0]["start"] == "stored"
    text = TARGET + "input: {generate: {action: fly}}\n"
    assert "no action 'fly': the run knows hop, sway, wave" in refused("edit", "--request", request(text), *QUICK)
    ran = mdtool("edit", "--request", request(text + "keep: {contnt: off}\n"), *QUICK)
    assert [line.split("  ")[1] for line in ran.err.splitlines()] == ["input.generate.action", "keep.contnt"]
    ran = mdtool("edit", "--request", request(text + "length: many\nrun: {sampler: fast}\n"), *QUICK)
    assert (ran.code, [line.split("  ")[1] for line in ran.err.splitlines()]) == (2, ["length", "run.sampler"])


def test_edits_follow_each_other() -> None:
    request("version: 1\ntargets:\n  - {at: 20, joint: head, y: 1.4}\nrun: {anchor: original}\n", "second.yaml")
    done("edit", "sample.h5", "--request", request(TARGET + "then: second.yaml\n"), *QUICK)
    last = read_motions("edited.h5").provenance["edits"][0]
    assert (last["file"], [each["file"] for each in last["earlier"]]) == ("second.yaml", ["edit.yaml"])
    done("edit", "edited.h5", "--request", "second.yaml", "--report", "report.json", "--out", "third.h5", *QUICK)
    report = json.loads(Path("report.json").read_text())["edits"][0]
    assert report["start"] == "stored"
    assert report["reconstruction_m"] < 1e-4
    request("version: 1\nkeep: {}\nthen: loop.yaml\n", "loop.yaml")
    ran = mdtool("edit", "sample.h5", "--request", "loop.yaml", *QUICK)
    assert ran.code == 2
    assert "do they go in a circle?" in ran.err


def test_a_must_of_an_earlier_request_counts() -> None:
    request("version: 1\nkeep: {}\n", "second.yaml")
    text = TARGET.replace("0.3]", "0.3], must: 0.001") + "then: second.yaml\n"
    ran = mdtool("edit", "sample.h5", "--request", request(text), *QUICK)
    assert ran.code == 3
    assert "missed: targets[0]" in ran.out


def test_what_the_start_is_worth_is_told_before_the_search() -> None:
    printed = done("edit", "sample.h5", "--request", request(), *QUICK)
    assert "note: stored noise rebuilds seed 0 sample 0 to 0.0 cm per joint" in printed
    done("sample", "--count", 1, "--sampler", "ddim", "--steps", 10, "--weights", "raw", "--out", "raw.h5", *ONE)
    printed = done("edit", "raw.h5", "--request", request(), *QUICK, "--force")
    assert "the noise stored with the input belongs to other weights" in printed


def test_a_stop_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_searches_at(4, monkeypatch)
    ran = mdtool("edit", "sample.h5", "--request", request(), "--report", "report.json", *QUICK)
    assert ran.code == 130
    assert "1 motion, 4 steps, interrupted" in ran.out
    assert json.loads(Path("report.json").read_text())["edits"][0]["ended"] == "interrupted"
    assert len(read_motions("edited.h5")) == 1


def test_a_budget_shortens_the_search() -> None:
    words = ("--steps", 20_000, "--seconds", 2, "--run", "runs/debug", *ONE)
    done("edit", "sample.h5", "--request", request(), "--report", "report.json", *words)
    assert json.loads(Path("report.json").read_text())["edits"][0]["steps"] < 20_000


def test_edits_are_evaluated_against_their_input() -> None:
    text = TARGET + "  - {at: 20, joint: head, y: 1.4}\n"  # a height alone is a target too
    done("edit", "sample.h5", "--clip", 1, "--request", request(text), "--report", "report.json", *QUICK)
    printed = done("evaluate", "edited.h5", "--before", "sample.h5", "--out", "scores.json")
    scores = {row["measure"]: row for row in json.loads(Path("scores.json").read_text())["edits"]}
    clip = read_motions("sample.h5")[1]
    told = json.loads(Path("report.json").read_text())["edits"][0]["variations"][0]["objective_error_m"]
    assert scores["objective error"]["before"][0] > 0
    assert scores["objective error"]["after"][0] == pytest.approx(told, abs=1e-4)
    assert scores["jitter"]["before"][0] == pytest.approx(jitter(clip.positions().astype(float), 20.0) / 100, rel=1e-4)
    assert "wrote scores.json" in printed
    assert "was not made by `mdtool edit`" in refused("evaluate", "sample.h5", "--before", "sample.h5")
    for option, value in (("--seeds", 3), ("--data", "sample.h5"), ("--split", "test"), ("--temperature", 0)):
        told = refused("evaluate", "edited.h5", "--before", "sample.h5", option, value)
        assert told.startswith(f"{option} means nothing with --before, which compares clip by clip")


def test_an_objective_written_in_python_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """examples/from_python.py, whose goal no request can name: wrists that meet."""
    example = Path(__file__).resolve().parents[2] / "examples" / "from_python.py"
    monkeypatch.setattr(sys, "argv", [str(example), "runs/debug", "motions.h5", "--steps", "12"])
    runpy.run_path(str(example), run_name="__main__")
    before, after = (
        np.linalg.norm(clip.positions()[20:40, 20] - clip.positions()[20:40, 21], axis=-1).mean()
        for clip in read_motions("hands.h5")
    )
    assert after < before - 0.02


def test_an_edit_is_by_the_run_that_made_the_motion() -> None:
    made = Path("runs").resolve() / "debug"
    Path("runs").unlink()
    shutil.copytree(made, "runs/debug")
    shutil.copytree(made, "runs/newer")
    state = Path("runs/newer/checkpoints/state.pt")
    os.utime(state, (state.stat().st_atime, state.stat().st_mtime + 60))
    words = ("--request", request(), *ONE, "--steps", 2)
    assert "by runs/debug, which made sample.h5" in done("edit", "sample.h5", "--clip", 1, *words)
    assert read_motions("edited.h5").provenance["run"] == "runs/debug"
    done("edit", "motions.h5", "--clip", 1, "--frames", "0-59", *words, "--force")
    assert read_motions("edited.h5").provenance["run"] == "runs/newer"
