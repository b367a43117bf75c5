"""`mdtool import`: weights that another program trained → run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdtool.cli.numbers import finite
from mdtool.cli.terminal import say, say_next
from mdtool.wording import counted

app = typer.Typer(no_args_is_help=True)

_Out = Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME-OF-THE-FILE by default.")]
_Actions = Annotated[Path | None, typer.Option(help="Text file, one action a line, for weights of other data.")]
_Fps = Annotated[
    float | None, typer.Option(callback=finite, min=1, help="Frame rate; that of UESTC or HumanAct12 by default.")
]


@app.command()
def mdm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="MDM's model….pt, or a state of pytorch_ema.")],
    out: _Out = None,
    args: Annotated[Path | None, typer.Option(help="MDM's args.json; the one beside FILE by default.")] = None,
    ema: Annotated[
        list[Path] | None, typer.Option(help="File with a state of pytorch_ema; repeat for several decays.")
    ] = None,
    profile: Annotated[
        str, typer.Option(help="mdm-a2m (4 heads, dropout 0.1) or thesis (8, 0): what the files do not tell.")
    ] = "mdm-a2m",
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads; the profile's by default.")] = None,
    actions: _Actions = None,
    fps: _Fps = None,
) -> None:
    """Import an action model of MDM; the run can be sampled and evaluated."""
    from rich.console import Console

    from mdtool.data.torch_file import load_torch
    from mdtool.errors import MdtoolError
    from mdtool.training.import_mdm import import_mdm
    from mdtool.training.imported import read_json_table

    if profile not in ("mdm-a2m", "thesis"):
        raise MdtoolError(f"no profile {profile!r}: choose mdm-a2m or thesis")
    content = load_torch(file)
    beside = file.parent / "args.json"
    args = args or (beside if beside.exists() else None)
    folder, notes = import_mdm(
        content,
        file,
        out or Path("runs") / file.stem,
        None if args is None else read_json_table(args),
        {path: load_torch(path) for path in ema or []},
        profile,
        heads,
        actions,
        fps,
    )
    console = Console(markup=False)
    for note in notes:
        say(console, f"note: {note}")
    say(console, f"wrote {folder.path}  (step {folder.newest_step()}, weights {', '.join(folder.tracks())})")
    say_next(console, "mdtool", "sample", folder.path)


@app.command()
def recogniser(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="uestc_rot6d_stgcn.tar, humanact12_gru.tar, or one trained likewise.")
    ],
    out: _Out = None,
    actions: _Actions = None,
    fps: _Fps = None,
    rest_joints: Annotated[
        Path | None,
        typer.Option(help="For the GRU: .npy file [24, 3] of SMPL's rest joints, metres; our skeleton by default."),
    ] = None,
) -> None:
    """Import a published recogniser, UESTC's ST-GCN or HumanAct12's GRU; `mdtool evaluate` judges with it."""
    from rich.console import Console

    from mdtool.data.torch_file import load_torch
    from mdtool.training.import_recogniser import import_recogniser

    content = load_torch(file)
    place = out or Path("runs") / file.name.split(".")[0]
    folder = import_recogniser(content, file, place, actions, fps, rest_joints)
    console = Console(markup=False)
    config = folder.read_config()
    if config.method == "gru-recogniser" and rest_joints is None:
        say(console, "note: joints are those of mdtool's skeleton; SMPL's rest joints as --rest-joints are exact")
    say(
        console,
        f"wrote {folder.path}  ({config.method}, {counted(len(config.actions), 'action')} at {config.fps:g} fps)",
    )
    say_next(console, "mdtool", "evaluate", "--recogniser", folder.path)
