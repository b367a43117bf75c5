"""The thesis's three phases as a list of commands: what to preprocess, train, evaluate and report, and at what size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdtool.atomic import write_text
from mdtool.config import TrainConfig, load_preset, validated
from mdtool.errors import MdtoolError

FULL_STEPS = 250_000
"""Optimiser steps of the thesis's longest runs: 2e6 rank-steps over 8 ranks."""
SMALL = "small"
SMALL_STEPS = 1_200
SMALL_NETWORK = (
    "train.batch=32",
    "train.lr=1e-3",
    "train.adam_beta2=0.99",
    "train.grad_clip=1.0",
    "model.layers=3",
    "model.width=256",
    "model.heads=4",
    "model.feedforward=512",
    "model.norm=pre",
    "model.conditioning=adaln",
    "model.patch=6",
    "model.axes=y-up",
    "model.origin=ground",
    "model.heading=true",
    "model.standardise=true",
    "model.prediction=spectral",
    "model.lambda_velocity=0",
    "model.lambda_foot=0",
)
"""What STEPS=small changes besides lengths, so that all phases end within a quarter of an hour on two cores.

The parametrisation of the demo with half its layers and tokens of six frames: the thesis's x_0-prediction gives the
mean motion after so few steps, and then no phase shows anything. What the phases compare is left as it is: diffusion
steps, timestep sampler, averaging of weights.
"""
SMALL_CHECKPOINTS = 5
"""Checkpoints of a run that STEPS=small judges, where the whole study has ten."""
SMALL_EVALUATION = ("--seeds", "3", "--count", "100", "--steps", "20")
"""How STEPS=small evaluates: few motions, each sampled in 20 of the 100 or 1,000 steps."""
FEWER_SEEDS, FEWER_MOTIONS = 3, 200
"""Seeds and motions per set of a study that a number of steps shortens."""
SMALL_CLIPS = 40
SMALL_JUDGE = "recogniser-demo"
STRIP_SAMPLES = 40
_UESTC_FILE = "vibe_cache_refined.pkl"
_RECORDED_FPS = 20
"""Frame rate for BVH and synthetic motion; UESTC keeps its own 30."""
SETTINGS_FILE = "study.json"
ALL, LAST = "all", "last"
"""Words of `mdtool evaluate --checkpoint`."""


@dataclass(frozen=True)
class Training:
    """One training run of the study."""

    name: str
    preset: str
    changes: tuple[str, ...] = ()
    """`section.key=value` beyond the preset."""
    weights: str = ""
    """`raw` or `ema`, where only those are judged; all by default."""
    switch_every: int = 0
    """Optimiser steps of the full length after which the averaged weights replace the raw ones; 0 never."""
    curve: bool = True
    """Whether every checkpoint is judged, or the last one alone."""


_P1_100 = Training("phase1-100", "phase1-100")
PHASES: dict[int, tuple[Training, ...]] = {
    1: (Training("phase1-1000", "phase1-1000", curve=False), _P1_100),
    2: (Training("phase2-base", "phase2-base"), Training("phase2-is", "phase2-is")),
    3: (_P1_100, Training("phase3", "phase3", weights="ema")),
}
"""Runs of each phase; phase 3 is held against phase 1's run of 100 diffusion steps."""
BEYOND: dict[int, tuple[Training, ...]] = {
    2: (
        Training("phase2-is-min-snr", "phase2-is", ("model.step_weighting=min-snr",), weights="raw"),
        Training("phase2-is-decay", "phase2-is", ("model.step_weighting=decay",), weights="raw"),
        # Every half horizon of EMA 0.9999, as its authors' epochs are.
        Training("phase2-base-switch", "phase2-base", weights="raw", switch_every=5_000),
    ),
}
"""The thesis's future work: weightings that pull importance sampling back to low noise, and Switch EMA."""


@dataclass(frozen=True)
class Settings:
    """What the user chose; the same for all phases of a folder."""

    out: Path
    data: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    steps: str = ""
    """Optimiser steps of the longest runs, or `small`; empty for the thesis's."""
    recogniser: str = ""
    """Folder of a recogniser's run; one is trained when empty."""
    seeds: int | None = None
    count: int | None = None
    fps: float | None = None
    beyond: bool = True
    """Whether phase 2 has the runs beyond the thesis."""

    @property
    def longest(self) -> int:
        """Optimiser steps of the longest runs.

        Raises:
            MdtoolError: neither a number nor `small`.
        """
        if not self.steps:
            return FULL_STEPS
        if self.steps == SMALL:
            return SMALL_STEPS
        if not self.steps.isdecimal() or not 10 <= int(self.steps) <= FULL_STEPS:
            raise MdtoolError(f"--steps must be {SMALL!r} or a number from 10 to {FULL_STEPS}, not {self.steps!r}")
        return int(self.steps)

    @property
    def is_shortened(self) -> bool:
        """Whether anything is smaller than in the thesis."""
        return self.longest < FULL_STEPS

    @property
    def motions(self) -> Path:
        """The motion file that all phases share."""
        given = [Path(path) for path in self.data]
        return given[0] if len(given) == 1 and given[0].suffix == ".h5" else self.out / "motions.h5"

    @property
    def judge(self) -> Path:
        """The recogniser's run."""
        return Path(self.recogniser) if self.recogniser else self.out / "runs" / "recogniser"

    def run(self, training: Training) -> Path:
        """Folder of a run."""
        return self.out / "runs" / training.name


@dataclass(frozen=True)
class Stage:
    """One command of the study."""

    title: str
    words: tuple[str, ...]
    makes: Path | None = None
    """A file whose existence says that the stage is done; a stage without one finds out by itself."""
    sharded: bool = False
    """Whether several ranks share its work."""


def remember(settings: Settings) -> None:
    """Write the settings into the folder, or compare them with those that it was begun with.

    Raises:
        MdtoolError: the folder holds a study with other settings.
    """
    path = settings.out / SETTINGS_FILE
    own = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}
    own.pop("out")
    if not path.exists():
        write_text(path, json.dumps(own, indent=1) + "\n")
        return
    try:
        before = json.loads(path.read_text("utf-8"))
        changed = [key for key in own if before.get(key) != own[key]]
    except (OSError, ValueError, AttributeError) as error:
        raise MdtoolError(f"{path} is damaged ({error}): choose another --out") from error
    if changed:
        told = ", ".join(f"{key} {_told(before.get(key))} (now {_told(own[key])})" for key in changed)
        raise MdtoolError(f"{settings.out} holds a study with {told}: choose another --out, or the same settings")


def stages(phase: int, settings: Settings, device: str = "auto", threads: int | None = None) -> Iterator[Stage]:
    """The commands of a phase, in order.

    Args:
        device, threads: passed to every command that computes.

    Raises:
        MdtoolError: no such phase, or sources that cannot be told.
    """
    if phase not in PHASES:
        raise MdtoolError(f"there is no phase {phase}: choose {', '.join(map(str, PHASES))}")
    where = ("--device", device, *(("--threads", str(threads)) if threads else ()))
    preprocess = _preprocess(settings)
    if preprocess:
        yield Stage("preprocess", preprocess, makes=settings.motions)
    if not settings.recogniser:
        words = ("train", str(settings.motions), "--method", "recogniser", "--preset", _judge_preset(settings))
        yield Stage("train the recogniser", (*words, "--out", str(settings.judge), *where))
    trainings = PHASES[phase] + (BEYOND.get(phase, ()) if settings.beyond else ())
    for training in trainings:
        changes = [*shortened(training.preset, settings), *training.changes]
        if training.switch_every:
            share = settings.longest / FULL_STEPS
            changes.append(f"train.ema_switch_every={max(1, round(training.switch_every * share))}")
        words = ("train", str(settings.motions), "--preset", training.preset, "--out", str(settings.run(training)))
        sets = tuple(word for change in changes for word in ("--set", change))
        yield Stage(f"train {training.name}", (*words, *sets, *where), sharded=True)
    for training in trainings:
        yield Stage(f"evaluate {training.name}", (*_evaluate(training, settings), *where), sharded=True)
    last = settings.run(PHASES[phase][-1])
    if phase == max(PHASES):
        samples = last / "samples.h5"
        words = ("sample", str(last), "--out", str(samples), "--count", str(STRIP_SAMPLES), *where)
        yield Stage(f"sample {last.name}", words, makes=samples)
    yield Stage("report", ("report", str(settings.out / "runs"), "--out", str(settings.out / "report")))


def shortened(preset: str, settings: Settings) -> list[str]:
    """`section.key=value` that make a preset's run as much shorter as the study is; nothing at full length.

    Lengths are scaled: steps, warm-up, checkpoints, bins of draws. So are the horizons decay / (1 - decay) of the EMAs,
    which would otherwise average over more than the whole run.
    """
    if not settings.is_shortened:
        return []
    share = settings.longest / FULL_STEPS
    table = load_preset(preset)
    train = validated(TrainConfig, table["train"], preset)
    steps = max(1, round(train.steps * share))
    keep = steps // SMALL_CHECKPOINTS if settings.steps == SMALL else max(1, round(train.keep_every * share))
    decays = [round(1 / (1 + (1 - decay) / share), 5) for decay in train.ema]
    changes = [
        f"train.steps={steps}",
        f"train.warmup_steps={min(steps, max(1, round(train.warmup_steps * share)))}",
        f"train.keep_every={keep}",
        f"train.save_every={keep}",
        f"train.log_every={max(1, keep // 5)}",
        f"train.ema={decays}",
        f"model.draws_every={max(1, steps // 25)}",
    ]
    return [*changes, *(SMALL_NETWORK if settings.steps == SMALL else ())]


def _evaluate(training: Training, settings: Settings) -> tuple[str, ...]:
    """Every checkpoint by the thesis's protocol, the last one last; less of it in a shortened study."""
    run = settings.run(training)
    which = ALL if training.curve else LAST
    words = ["evaluate", str(run), "--checkpoint", which, "--data", str(settings.motions)]
    words += ["--recogniser", str(settings.judge), "--protocol", "thesis"]
    sizes = dict(zip(SMALL_EVALUATION[::2], SMALL_EVALUATION[1::2], strict=True) if settings.steps == SMALL else ())
    if settings.is_shortened and not sizes:
        sizes = {"--seeds": str(FEWER_SEEDS), "--count": str(FEWER_MOTIONS)}
    sizes |= {"--seeds": str(settings.seeds)} if settings.seeds else {}
    sizes |= {"--count": str(settings.count)} if settings.count else {}
    words += [word for pair in sizes.items() for word in pair]
    if training.weights == "raw":
        words += ["--weights", "raw"]
    elif training.weights:
        words += ["--weights", f"ema:{_decays(training, settings)[0]:g}"]
    return tuple(words)


def _decays(training: Training, settings: Settings) -> list[float]:
    """Decays of a run's EMA tracks."""
    for change in shortened(training.preset, settings):
        if change.startswith("train.ema="):
            return list(json.loads(change.partition("=")[2]))
    return list(load_preset(training.preset)["train"]["ema"])


def _preprocess(settings: Settings) -> tuple[str, ...]:
    """How to make the motion file; nothing when the data are one already.

    Raises:
        MdtoolError: data that do not exist.
    """
    out = ("--out", str(settings.motions))
    fps = ("--fps", f"{settings.fps or _RECORDED_FPS:g}")
    if not settings.data:
        if settings.labels:
            raise MdtoolError("--labels is for BVH recordings: name their folders or archives too")
        clips = ("--clips", str(SMALL_CLIPS)) if settings.steps == SMALL else ()
        return ("preprocess", "synthetic", *clips, *fps, *out)
    absent = [path for path in settings.data if not Path(path).exists()]
    if absent:
        raise MdtoolError(f"no such file or folder: {absent[0]}; give DATA the UESTC folder, BVH, or a motion file")
    if settings.motions != settings.out / "motions.h5":
        return ()
    if is_uestc(settings):
        return ("preprocess", "uestc", settings.data[0], *out)
    labels = tuple(word for path in settings.labels for word in ("--labels", path))
    return ("preprocess", "bvh", *settings.data, *labels, *fps, *out)


def is_uestc(settings: Settings) -> bool:
    """Whether the data are the raw UESTC folder, or the folder that holds it."""
    folders = [Path(path) for path in settings.data]
    return len(folders) == 1 and any((place / _UESTC_FILE).exists() for place in (folders[0], folders[0] / "uestc"))


def _judge_preset(settings: Settings) -> str:
    if settings.steps == SMALL:
        return SMALL_JUDGE
    return "recogniser-actor" if is_uestc(settings) else "recogniser"


def _told(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
