"""What the house asks of a method: losses, noise, decode, invert, describe."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from mdtool.errors import MdtoolError

Rows = TypeVar("Rows", bound=Sequence[object] | Tensor | np.ndarray)


class Share:
    """Which windows of a batch this process computes: all of them, unless several ranks share the batch.

    A method draws the randomness of the whole batch on every rank, from the same generator, and takes its own rows:
    so a window meets the same noise on any number of ranks.
    """

    def whole(self, count: int) -> int:
        """Windows in the whole batch, of which this process has `count`."""
        return count

    def mine(self, values: Rows) -> Rows:
        """This process's rows of values of the whole batch."""
        return values

    def gathered(self, values: Tensor) -> Tensor:
        """Values of the whole batch, in its order, from this process's rows [B, …] and the other ranks'."""
        return values


class Places(NamedTuple):
    """When the poses of a batch were recorded, for methods that learn motions as functions of time."""

    sequence: Tensor
    """[B] int64, row of the sequence among those of the training set."""
    time_s: Tensor
    """[B, T] seconds from the start of the sequence."""
    fps: Tensor
    """[B] rate at which the poses follow each other."""
    inside: Tensor
    """[B, T] bool; false where a sequence has ended and its last pose is repeated."""


class Batch(NamedTuple):
    """Windows of motion as every method receives them, on the device where the network lives."""

    rot6d: Tensor
    """[B, T, 24, 6] local rotations."""
    root: Tensor
    """[B, T, 3] pelvis positions, metres."""
    action: Tensor
    """[B] int64 labels; -1 where a clip has none, which only methods that use no labels meet."""
    share: Share = Share()
    """Which part of the step's whole batch these windows are."""
    places: Places | None = None
    """Given to a `SequenceLearner`."""
    betas: Tensor | None = None
    """[B, 10] body shapes; None when the data has none."""
    clip: Tensor | None = None
    """[B] int64: which clip of the data a window is of; None where each is of another."""


class Optimised(NamedTuple):
    """What one optimiser moves."""

    parameters: list[nn.Parameter]
    lr: float | None = None
    """Learning rate where it is not the run's own; warm-up and decay scale it alike."""


class Minimise(Protocol):
    """How a training step moves weights: the loop does what every method shares (ranks, clipping, learning rate)."""

    def __call__(self, values: Tensor, name: str = "network") -> Tensor | None:
        """Go down the gradient of the mean of per-sample values [B] with the optimiser `name`.

        Returns:
            The gradient's L2 norm where the method guards its steps, otherwise None.
        """
        ...


@dataclass(frozen=True)
class Description:
    """What a method can do, for people and for tables."""

    method: str
    parameters: int
    network_calls: int
    """Network evaluations per sample at the default settings (a guided call counts twice)."""
    frames: tuple[int, int]
    """Shortest and longest clip it can make."""
    fps: float
    conditions: str
    """none, or action."""


class Trainable(nn.Module, abc.ABC):
    """What the training loop needs: windows in, per-sample losses out."""

    frames: int
    """Window length T that the network is trained on."""
    fps: float
    actions: list[str]
    uses_labels = True
    """Whether every training clip needs an action."""
    bucket: tuple[int, int] | None = None
    """(shortest, multiple) for training on clips of several lengths: a batch holds clips of about one length, cut to
    the longest that is a multiple and at most `frames`. None: every window has `frames` frames."""
    shares_batches = False
    """Whether several ranks may share a batch: a window's losses depend on no other, and its noise on its place."""
    learns_from: str | None = None
    """Folder of a run that must be trained before; `adopt` then gets its method."""
    stage_starts: tuple[int, ...] = ()
    """Steps at which a new stage of the training begins, in which the learning rate's schedule starts over."""

    def adopt(self, other: Trainable, sha256: str) -> None:
        """Take what is needed from the method of the run `learns_from`, whose weights have this hash."""
        return

    def fit_statistics(self, windows: Callable[[int], Batch]) -> None:
        """Set data-dependent constants before the first step; `windows(n)` draws n training windows."""
        return

    def remarks(self) -> list[str]:
        """What people should know of the constants that `fit_statistics` has set."""
        return []

    @abc.abstractmethod
    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Per-sample terms [B] of one training batch; `"loss"` is the one whose mean is minimised."""

    guards_steps = False
    """Whether an update whose gradient is not finite is left out; otherwise it ends the training."""

    def optimised(self) -> dict[str, Optimised]:
        """What there is to optimise, by the name of its optimiser."""
        return {"network": Optimised([parameter for parameter in self.parameters() if parameter.requires_grad])}

    def averaged(self) -> dict[str, nn.Parameter]:
        """Parameters that the tracks of averaged weights follow, by name."""
        return dict(self.named_parameters())

    def training_step(self, batch: Batch, rng: torch.Generator, step: int, minimise: Minimise) -> dict[str, Tensor]:
        """Move the weights once on a batch; per-sample terms [B] for the log.

        Where one loss and one optimiser are not enough, a method has a step of its own here.
        """
        terms = self.losses(batch, rng)
        minimise(terms["loss"])
        return terms

    def diagnose(self) -> tuple[dict[str, float], list[str]]:
        """Numbers beyond the terms since the last call, and what in them should worry the user; asked at every log."""
        return {}, []

    @classmethod
    def settings_from(cls, other: Trainable) -> dict[str, Any]:
        """Settings that a run must have to start from the weights of `other`.

        Raises:
            MdtoolError: this method starts from no other run.
        """
        raise MdtoolError(f"a run of {cls.__name__} starts from no other run: leave --init-from out")

    def start_from(self, other: Trainable) -> None:
        """Take over the weights of a run that `settings_from` accepted.

        Raises:
            MdtoolError: they do not fit.
        """
        raise MdtoolError(f"a run of {type(self).__name__} starts from no other run: leave --init-from out")

    def training_state(self) -> dict[str, Tensor]:
        """State beyond the weights that an exact resume needs, as tensors (timestep-sampler history …)."""
        return {}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `training_state` gave."""
        return


class ClipPlan(NamedTuple):
    """How the batch of a step is cut from whole sequences."""

    poses: int
    """Poses T of a clip; 0 asks for rows and labels alone."""
    per_visit: int = 1
    """Clips cut from each sequence of the batch, one after the other."""
    divide: int = 1
    """Make do with this fraction of the run's batch, where clips are so much longer."""
    resampled: bool = False
    """Cut from the sequences resampled to `resampled_fps`, not from those at their native rates."""
    strides: tuple[int, ...] = (1,)
    """Every how many frames a pose may be taken; one of these is drawn per clip."""
    scattered: bool = False
    """Take any instants of the sequence, not consecutive ones."""


class Sequences(Protocol):
    """The training set as whole sequences, which start at the origin and face +z."""

    count: int

    def stamps(self, rows: Sequence[int], poses: int, resampled: bool = False) -> Batch:
        """`poses` instants of each of the sequences, spread over it; [len(rows), poses]."""


class SequenceLearner(Trainable):
    """What learns from whole sequences at their own frame rates; longer clips are cut into overlapping ones."""

    sequence_s: float
    """Longest sequence, seconds."""
    hold_last = False
    """Let shorter sequences go on with their last pose to that length, as the action-to-motion protocol does."""
    hop_s: float | None = None
    """Seconds between the starts of two pieces of a longer clip; half of `sequence_s` if None."""
    resampled_fps: float

    @abc.abstractmethod
    def clip_plan(self, step: int) -> ClipPlan:
        """How the batch of a step is cut."""

    def meet(self, sequences: Sequences) -> None:
        """Told of the training set before the first step, and before a saved state is loaded."""
        return


class Classifier(Trainable):
    """A recogniser: it names the action of a window, and its features measure distances between motions."""

    @abc.abstractmethod
    def features_and_logits(self, rot6d: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """(features [B, F], logits [B, actions]) of windows [B, T, 24, 6], [B, T, 3]; no gradient."""

    def follow_publication(self, published: bool) -> None:
        """Behave as the published recogniser where that differs from the run's settings, or as those say again."""
        return


class NoInverse(MdtoolError):
    """A method cannot say which noise makes a motion."""


class Method(Trainable):
    """A motion generator: a network with its losses and its sampler.

    Random numbers come in as arguments only, so that a sample depends on its own seed and on nothing else. The module
    that its sampler calls is named `network`.
    """

    time_axis: int | None = None
    """Which axis of `noise` [B, …] runs over the frames; None when none does."""
    tempers = False
    """Whether `decode` takes a `temperature`, 0 … 1: the scale of the noise that its sampler adds."""
    churns = False
    """Whether `decode` takes `churn`, 0 …: how much noise its sampler adds and removes again on the way."""
    autoguides = False
    """Whether `decode` takes `autoguidance`, the scale of guidance away from the network of `guide_by`."""
    weaker: Callable[[], Any] | None = None
    """The network of `guide_by`; behind a call, it is no part of this one and is loaded when it is first asked."""

    def guide_by(self, load: Callable[[], Trainable]) -> None:
        """Have an earlier state of the same training at hand to guide away from; most methods never ask for it."""
        self.weaker = cache(load)

    @abc.abstractmethod
    def noise(self, rngs: Sequence[torch.Generator], frames: int | None = None) -> Tensor:
        """Everything random about each sample, as one tensor [B, ...]; sample i draws from `rngs[i]` alone."""

    @abc.abstractmethod
    def decode(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Features of the samples that `noise` stands for; deterministic, and differentiable in `noise`."""

    def require_ready(self) -> None:
        """Refuse to sample from weights that were not trained far enough to sample at all.

        Raises:
            MdtoolError: they were not.
        """
        return

    @abc.abstractmethod
    def to_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(rot6d [B, T, 24, 6], root [B, T, 3] in metres) of features, in the world of the motion file."""

    def to_raw_motion(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`to_motion` without making the rotations orthonormal, where the method's own evaluation leaves them so."""
        return self.to_motion(features)

    def smooth_options(self, steps: int | None = None) -> dict[str, object]:
        """Options under which `decode` is one smooth map of its noise, for edits, and `invert` its inverse.

        Args:
            steps: about how many; what suits a search by default. A method of fixed steps needs no options.
        """
        return {}

    def search_rate(self) -> float:
        """Learning rate that suits a search over these latents, as a share of that over one window of noise."""
        return 1.0

    def searched(self, noise: Tensor) -> Tensor | None:
        """Which numbers of latents like `noise` [B, …] an edit may change, bool […]; None for all of them."""
        return None

    def frames_for(self, frames: int) -> int:
        """The length nearest to `frames` that the method makes, longer rather than shorter."""
        shortest, longest = self.describe().frames
        return min(max(frames, shortest), longest)

    def published_options(self) -> dict[str, object]:
        """Options of `decode` with which the published evaluation of this method samples."""
        return {}

    @abc.abstractmethod
    def from_motion(self, rot6d: Tensor, root: Tensor) -> Tensor:
        """Features of windows; the inverse of `to_motion` up to the layout's choice of origin."""

    def to_betas(self, features: Tensor) -> Tensor | None:
        """Body shapes [B, 10] in features; None when the method makes none."""
        return None

    def to_frame_betas(self, features: Tensor) -> Tensor | None:
        """Body shapes [B, T, 10] as the network gives them, frame by frame; None when the method makes none."""
        return None

    def with_betas(self, features: Tensor, betas: Tensor) -> Tensor:
        """Features with the body shapes [B, 10] put in; as they are when the method knows no shapes."""
        return features

    @abc.abstractmethod
    def describe(self) -> Description:
        """Network calls, lengths, frame rate and conditions."""

    def invert(self, features: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Noise whose `decode` gives `features`.

        Raises:
            NoInverse: the method has none.
        """
        raise NoInverse(f"the method {type(self).__name__} cannot be inverted")


class FieldMethod(Method):
    """A generator of motions as functions of time: noise → latent → poses at any instants of its time axis.

    Its `decode` takes the option `times_s` [T], seconds from the start in any order; `frames` at `fps` by default.
    """

    axis_s: float
    """Length of the time axis, seconds."""
    hop_s: float | None
    """As a `SequenceLearner`'s."""
    white_mean: Tensor
    white_scale: Tensor
    """Mean and standard deviation [d] of the learnt latents."""

    @abc.abstractmethod
    def latents(self, noise: Tensor, action: Tensor | None, **options: object) -> Tensor:
        """Latents [B, d] of the motions that noise stands for; differentiable in `noise`."""

    @abc.abstractmethod
    def poses(self, latents: Tensor, times_s: Tensor, fps: float = 0.0, offset: Tensor | None = None) -> Tensor:
        """Features [B, 25, 6, T] of latents [B, d] at instants [T] or [B, T]; `fps` above 0 tells a frame rate too."""

    @abc.abstractmethod
    def hidden(self, latents: Tensor, times_s: Tensor) -> Tensor:
        """What the last layers see [B, T, W]; an `offset` [B, W, P] of `poses` is added to their weights."""

    @abc.abstractmethod
    def fit(self, features: Tensor, times_s: Tensor, start: Tensor | None = None) -> Tensor:
        """Latents [B, d] whose poses at instants [B, T] come nearest to features, and near `start` if there is one."""

    @abc.abstractmethod
    def learnt(self) -> Tensor:
        """Latents [n, d] of the training sequences, in the order in which the training data were cut into them."""
