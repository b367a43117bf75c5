"""Stage 1 of NeRM: the field, a latent for every training motion, and latents of motions that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.methods.contract import Batch, SequenceLearner, Sequences, Trainable
from mdtool.methods.nerm_config import NeRMConfig
from mdtool.motion.kinematics import joint_positions
from mdtool.motion.pose_vectors import (
    POSE,
    SIZE,
    above_standing,
    importance_by_reach,
    poses_to_vectors,
    vectors_to_poses,
)
from mdtool.networks.implicit import (
    MotionField,
    SetEncoder,
    TimeBasis,
    seconds_to_coordinate,
    spacing_between,
    spacing_of,
)
from mdtool.networks.latent_table import LatentTable, divergence
from mdtool.networks.linear_path import LinearPath, regress, roughness, with_trend

STATISTICS_SETS = 512
ENCODER_POSES = 64
"""Instants that the set encoder sees of a motion; in training it must also explain half as many that it does not."""
COMPONENT_FPS = 32.0
"""Poses a second that the principal components are found from."""
LEAST_KL = 1e-8
SENSITIVITY_POSES = 16
"""Instants at which it is seen what a number of a latent does."""


class FieldStage(SequenceLearner):
    """What learns f(t, z, s) and a table of latents z from whole sequences at their own frame rates."""

    root_scale: Tensor
    importance: Tensor
    codebook_sha256: Tensor

    def __init__(self, config: NeRMConfig) -> None:
        super().__init__()
        self.config = config
        self.axis_s = self.sequence_s = config.axis_s
        self.hold_last, self.hop_s, self.resampled_fps = config.hold_last, config.hop_s, config.resampled_fps
        self.learns_from = config.codebook if config.time_encoding == "cca" else None
        self.step = 0
        self._sequences: Sequences | None = None
        basis = TimeBasis(
            config.time_encoding, config.frequencies, config.frequency_scale, config.integrated,
            config.codes, config.code_width, config.queries, config.query_width,
        )  # fmt: skip
        self.field = MotionField(
            basis, config.latent, config.width, config.layers, POSE, config.reinject, config.linear_path
        )
        self.encoder = SetEncoder(SIZE, config.latent, 32) if config.encoder_steps else None
        self.table = LatentTable(config.latent)
        self.register_buffer("root_scale", torch.ones(()))
        alike = torch.cat([torch.full((POSE,), 1 / POSE), torch.full((SIZE - POSE,), 1 / (SIZE - POSE))])
        self.register_buffer("importance", alike)
        self.register_buffer("codebook_sha256", torch.zeros(32, dtype=torch.uint8))

    def meet(self, sequences: Sequences) -> None:
        """Make a latent for every sequence."""
        self._sequences = sequences
        self.table.allocate(sequences.count)

    def learnt(self) -> Tensor:
        """Latents [n, d] of the training sequences, in their order."""
        return self.table.mean

    def adopt(self, other: Trainable, sha256: str) -> None:
        """Take over the codebook of a trained `nerm-codebook`, and remember the hash of its weights.

        Raises:
            MdtoolError: another kind of run, or a codebook of another size.
        """
        book = getattr(other, "codebook", None)
        if book is None or book.shape != self.field.basis.codebook.shape:
            size = "holds no codebook" if book is None else f"has {book.shape[0]} codes of width {book.shape[1]}"
            raise MdtoolError(
                f"{self.config.codebook} {size}, and this run needs {self.config.codes} of width "
                f"{self.config.code_width}: train one with `mdtool train --method nerm-codebook`, or set model.codes "
                "and model.code_width"
            )
        self.field.basis.codebook.copy_(book)
        self.codebook_sha256.copy_(torch.tensor(list(bytes.fromhex(sha256))))

    def fit_statistics(self, windows: Callable[[int], Batch]) -> None:
        """Measure one scale for the root's path."""
        self.root_scale.copy_(above_standing(windows(STATISTICS_SETS).root).square().mean().sqrt().clamp_min(0.05))
        if self.config.by_reach:
            self.importance.copy_(importance_by_reach(float(self.root_scale)))
        self.importance[POSE:] *= self.config.lambda_root
        if self.field.linear is not None and self._sequences is not None:
            self._begin_linear(self.field.linear, self._sequences)

    @torch.no_grad()
    def _begin_linear(self, path: LinearPath, sequences: Sequences) -> None:
        """The motions' principal components as the path; where each motion lies, and how surely, as its latent."""
        waves, poses, config = self.field.basis.waves, math.ceil(COMPONENT_FPS * self.axis_s), self.config
        assert waves is not None
        ridge = roughness(waves.frequencies * (2 / self.axis_s), self.field.basis.width)

        def coefficients(rows: Sequence[int]) -> Tensor:
            batch = sequences.stamps(rows, poses, resampled=config.native_from > 0)
            assert batch.places is not None
            coordinate = seconds_to_coordinate(batch.places.time_s, self.axis_s)
            return regress(self._functions(coordinate), self._scaled(batch.rot6d, batch.root), ridge)

        along = self._functions(torch.linspace(-1, 1, poses, device=ridge.device).unsqueeze(0))[0]
        latents, share = path.begin(sequences.count, coefficients, along, self.importance)
        self.table.mean.copy_(latents)
        self.table.log_variance.copy_(-torch.log1p(2 * config.latent * share / max(config.lambda_kl, LEAST_KL)))

    def _functions(self, coordinate: Tensor) -> Tensor:
        return with_trend(self.field.basis(coordinate), coordinate)

    @torch.no_grad()
    def sensitivity(self, latent: Tensor, step: Tensor) -> Tensor:
        """Mean squared change [d] of the poses, as the loss weighs it, by a step [d] along each number of a latent."""
        coordinate = torch.linspace(-1, 1, SENSITIVITY_POSES, device=latent.device).unsqueeze(0)
        moved = torch.cat([latent.unsqueeze(0), latent + step.diag()])
        made = self.field(coordinate, moved, torch.zeros(len(moved), device=latent.device), spacing_between(coordinate))
        return ((made[1:] - made[:1]).square() * self.importance).sum(-1).mean(1)

    def _field_losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        config, places = self.config, batch.places
        assert places is not None
        target = self._scaled(batch.rot6d, batch.root)
        if self.encoder is not None and self.step < config.encoder_steps:
            mean, log_variance = self._encode(batch, ENCODER_POSES)
        else:
            mean, log_variance = self.table.look_up(places.sequence)
        latent = mean
        if config.variational:
            latent = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=rng, device=mean.device)
        hide = torch.rand(len(mean), generator=rng, device=mean.device) < config.rate_dropout
        made = self.field(
            seconds_to_coordinate(places.time_s, self.axis_s), latent, torch.where(hide, 0.0, places.fps),
            spacing_of(places.fps, self.axis_s),
        )  # fmt: skip
        count = places.inside.sum(1).clamp_min(1)
        error = (made - target).square() * self.importance
        terms = {
            "pose": (error[..., :POSE].sum(-1) * places.inside).sum(1) / count,
            "root": (error[..., POSE:].sum(-1) * places.inside).sum(1) / count,
        }
        loss = terms["pose"] + terms["root"]
        if config.lambda_position:
            wrong = joint_positions(*vectors_to_poses(made, self.root_scale)) - joint_positions(batch.rot6d, batch.root)
            terms["position"] = (wrong.square().mean((2, 3)) * places.inside).sum(1) / count
            loss = loss + config.lambda_position * terms["position"]
        if config.variational:
            terms["kl"] = divergence(mean, log_variance)
            loss = loss + config.lambda_kl * terms["kl"]
        return {**terms, "loss": loss}

    def _encode(self, batch: Batch, poses: int | None = None) -> tuple[Tensor, Tensor]:
        places = batch.places
        assert places is not None
        assert self.encoder is not None
        target = self._scaled(batch.rot6d[:, :poses], batch.root[:, :poses])
        coordinate = seconds_to_coordinate(places.time_s[:, :poses], self.axis_s)
        mean, log_variance = self.encoder(coordinate, target, spacing_between(coordinate))
        return mean.float(), log_variance.float().clamp(-12, 2)

    def _scaled(self, rot6d: Tensor, root: Tensor) -> Tensor:
        return poses_to_vectors(rot6d, root, self.root_scale)
