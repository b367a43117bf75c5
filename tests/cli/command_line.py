"""The command line in this process: the words as typed, what it printed, and its exit code."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import NamedTuple

from mdtool.cli.app import main


class Ran(NamedTuple):
    """What a command left on the terminal."""

    code: int
    out: str
    err: str


def mdtool(*words: object) -> Ran:
    """Run `mdtool WORDS…` through its real entry point, in the current folder."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["mdtool", *map(str, words)]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    assert isinstance(code, int)
    return Ran(code, out.getvalue(), err.getvalue())


def done(*words: object) -> str:
    """Run a command that must succeed; what it printed."""
    ran = mdtool(*words)
    assert ran.code == 0, ran.err + ran.out
    assert not ran.err
    return ran.out


def refused(*words: object) -> str:
    """Run a command that must be refused as bad input; its one sentence."""
    ran = mdtool(*words)
    assert ran.code == 2, ran.out + ran.err
    assert ran.err.startswith("mdtool: ")
    assert ran.err.count("\n") == 1, ran.err
    assert "Traceback" not in ran.err + ran.out
    return ran.err.removeprefix("mdtool: ").rstrip("\n")
