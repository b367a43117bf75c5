"""What holds for every command, before the first one runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mdtool.cli.app import main


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, found: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    monkeypatch.setattr(sys, "argv", ["mdtool", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert os.environ["OMP_WAIT_POLICY"] == found


def test_the_thread_library_hears_of_it() -> None:
    """It prints its settings when torch is loaded, which is after the policy was set."""
    code = "import sys; from mdtool.cli.app import main; sys.argv = ['mdtool', '--version']\n"
    code += "try:\n    main()\nexcept SystemExit:\n    import torch\n"
    without = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = {**without, "OMP_DISPLAY_ENV": "TRUE"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in ran.stderr
