"""What holds for every command, before the first one runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mdtool.cli.app import main


@pytest.mark.parametrize(("given", "found"), [(None, "10000"), ("7", "7")])
def test_threads_do_not_spin_long_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, found: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", given or "to be put back")
    if given is None:
        monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setattr(sys, "argv", ["mdtool", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert os.environ["GOMP_SPINCOUNT"] == found


def test_a_policy_of_the_user_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "to be put back")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setattr(sys, "argv", ["mdtool", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert "GOMP_SPINCOUNT" not in os.environ


def test_the_thread_library_hears_of_it() -> None:
    """It prints its settings when torch is loaded, which is after ours was made."""
    code = "import sys; from mdtool.cli.app import main; sys.argv = ['mdtool', '--version']\n"
    code += "try:\n    main()\nexcept SystemExit:\n    import torch\n"
    ours = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    without = {name: value for name, value in os.environ.items() if name not in ours}
    environment = {**without, "OMP_DISPLAY_ENV": "VERBOSE"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    if "GOMP" not in ran.stderr:
        pytest.skip("torch's threads are of another library here")
    assert "GOMP_SPINCOUNT = '10000'" in ran.stderr
