"""Every command of the README runs, in its order, on a machine with nothing but the package."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdtool import config
from mdtool.cli.app import main
from mdtool.motion.file import read_motions

README = Path(__file__).resolve().parents[1] / "README.md"
SMALLER = {"--seeds": "1", "--count": "20", "--clips": "6", "--steps": "4"}
"""Numbers that a test need not take as large as a user does."""


def commands(section: str) -> list[str]:
    """The `mdtool …` lines of the sh blocks under a heading."""
    text = README.read_text("utf-8")
    body = re.split(rf"^## {re.escape(section)}$", text, flags=re.M)[1].split("\n## ")[0]
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", body, flags=re.S)).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith("mdtool ")]


def python(section: str) -> str:
    """The python block under a heading."""
    body = README.read_text("utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", body, flags=re.S)[0]


def request(section: str) -> str:
    """The request in the yaml block under a heading."""
    body = README.read_text("utf-8").split(f"\n## {section}\n")[1]
    return re.findall(r"```yaml\n(.*?)```", body, flags=re.S)[0]


def smaller(command: str) -> list[str]:
    """The command's words, with large numbers replaced."""
    words = shlex.split(command)[1:]
    return [SMALLER.get(before, word) for before, word in zip(["", *words], words, strict=False)]


@pytest.fixture
def tiny_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets keep their structure and lose their size."""
    load: Callable[[str], dict[str, Any]] = config.load_preset

    def tiny(name: str) -> dict[str, Any]:
        table = load(name)
        if table["method"] == "nerm":
            return load("nerm-debug")  # its stages need their steps
        table["train"] |= {"steps": 4, "batch": 4, "warmup_steps": 0, "log_every": 2}
        if table["method"] in ("mdm", "emdm"):
            table["model"] |= {"layers": 1, "width": 16, "heads": 2, "feedforward": 16}
        elif table["method"] == "recogniser":
            table["model"] |= {"width": 8}
        return table

    monkeypatch.setattr(config, "load_preset", tiny)


def test_the_tour_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_presets: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = commands("Five minutes")
    assert len(printed) >= 8
    for command in printed:
        run(smaller(command), monkeypatch, capsys)
    assert (tmp_path / "video.mp4").stat().st_size > 10_000
    assert (tmp_path / "results.json").exists()
    exec(compile(python("From Python"), "README.md", "exec"), {})
    assert len(read_motions("reached.h5")) == 2
    (tmp_path / "reach.yaml").write_text(request("Edit"))
    for command in [*commands("Edit"), *commands("The other families")]:
        run(smaller(command), monkeypatch, capsys, missed=3)
    assert (tmp_path / "reach.mp4").stat().st_size > 10_000
    assert (tmp_path / "rates.h5").exists() or list(tmp_path.glob("rates*.h5"))


@pytest.mark.slow
def test_the_commands_for_real_recordings_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_presets: None,
    recordings: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(recordings / "bandai-namco", tmp_path / "bandai-namco")
    monkeypatch.chdir(tmp_path)
    for command in commands("Real recordings"):
        run(smaller(command), monkeypatch, capsys)


def run(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missed: int = 0) -> None:
    """Run one command line in this process; any failure fails the test, but for the exit code `missed`."""
    monkeypatch.setattr(sys, "argv", ["mdtool", *words])
    code: object = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    assert code in (None, 0, missed), f"mdtool {shlex.join(words)} exits {code}: {capsys.readouterr().err}"
