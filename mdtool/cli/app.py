"""The command table. Each verb lives in a file of its own and imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
import typer.core

from mdtool import __version__
from mdtool.cli import import_, preprocess, preprocess_files
from mdtool.cli.bench import bench
from mdtool.cli.demo import demo
from mdtool.cli.edit import edit
from mdtool.cli.ema import ema
from mdtool.cli.evaluate import evaluate
from mdtool.cli.export import export
from mdtool.cli.info import info
from mdtool.cli.phase import phase
from mdtool.cli.preprocess_amass import amass
from mdtool.cli.preprocess_humanact12 import humanact12
from mdtool.cli.preprocess_uestc import uestc
from mdtool.cli.rates import rates
from mdtool.cli.render import render
from mdtool.cli.report import report
from mdtool.cli.resample import resample
from mdtool.cli.sample import sample
from mdtool.cli.train import train
from mdtool.errors import MdtoolError


class _Verbs(typer.core.TyperGroup):
    """The command table, from recordings to reports; it tells of Ctrl-C, where typer would leave without a word."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Groups first: they are where motion and weights come in, and typer would put them last."""
        return sorted(super().list_commands(ctx), key=lambda name: not hasattr(self.commands[name], "commands"))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise MdtoolError("stopped; files written so far are whole", exit_code=130) from stop


app = typer.Typer(
    name="mdtool",
    cls=_Verbs,
    help="Motion capture in, trained human-motion generators and watchable motion out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
preprocess_files.register(preprocess.app)
app.add_typer(preprocess.app, name="preprocess", help="Raw recordings → motion file.")
preprocess.app.command()(uestc)
preprocess.app.command()(humanact12)
preprocess.app.command()(amass)
app.add_typer(import_.app, name="import", help="Weights that another program trained → run.")
app.command()(train)
app.command()(ema)
app.command()(sample)
app.command()(evaluate)
app.command()(rates)
app.command()(edit)
app.command()(render)
app.command()(resample)
app.command()(export)
app.command()(info)
app.command()(bench)
app.command()(demo)
app.command()(phase)
app.command()(report)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mdtool {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""


def _speaks() -> bool:
    """Whether this process tells the user what went wrong: of several ranks, the first one that gets here."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return True
    from mdtool.training.distributed import first_to_speak

    return first_to_speak()


def main() -> None:
    """Entry point: one sentence and an exit code for every user error, never a traceback."""
    # Read when torch is loaded: how long threads spin before they sleep while they wait for each other. Thirty times
    # shorter than usual costs nothing on two idle cores (28 training steps a second, 27 before), and beside two other
    # programs, where who spins holds the core that the last thread needs, 10 are made in place of 6.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        app(standalone_mode=True)
    except MdtoolError as error:
        if not _speaks():
            sys.exit(error.exit_code)
        sentence = " ".join(str(error).split())  # a library's words inside it may have come in several lines
        typer.secho(f"mdtool: {sentence}", fg=typer.colors.RED, err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
