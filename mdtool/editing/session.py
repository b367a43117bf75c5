"""Edits from their plans to motions: start, search, place, and always the best result so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdtool.editing.decoding import Decoder
from mdtool.editing.inversion import Start, find_start
from mdtool.editing.optimiser import WARMUP, Judged, NoiseSearch, Search, SeededRandomness
from mdtool.editing.placement import Placement
from mdtool.editing.plan import Plan
from mdtool.editing.program import Program
from mdtool.editing.regularisers import content_weight, decorrelation_weight
from mdtool.editing.trace import Course
from mdtool.errors import MdtoolError
from mdtool.methods.contract import FieldMethod, Method, sample_generators
from mdtool.methods.generate import Generator
from mdtool.motion.motion import Motion

_MEASURED = 5
"""Steps after which the time of one is known well enough to plan for a budget."""
_START_SHARE = 0.3
"""Of a budget, at most, for the noise that a search begins with."""
_RADIUS = 1e-2
"""Weight of the radius penalty of latents that are no noise of frames."""
_APART = 0.2
"""How far variations begin from the input's noise, 0 … 1: identical starts would end identically."""
INTERRUPTED = "interrupted"
"""How an edit ended that Ctrl-C stopped."""
_NOT_TO_THE_END = ("out of time", INTERRUPTED)

Progress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, objective error in metres)."""


@dataclass
class Edited:
    """What an edit made: one motion per variation, in the world of its input."""

    plan: Plan
    motions: list[Motion]
    before: Motion | None
    """The input, cut to the edit's frames; None for joint places."""
    losses: list[float]
    courses: list[Course]
    """How the search for each of them went."""
    restarts: list[list[float]]
    """What the searches for each of them came to, of which it is the least."""
    steps: int
    """That its longest search took."""
    start: Start
    seconds: float
    ended: str
    """finished, stopped early, out of time, or interrupted."""
    warnings: list[str] = field(default_factory=list)
    history: tuple[Edited, ...] = ()
    """The edits of a chain before this one, oldest first, each with the motion that the next began with."""

    def alone(self, place: int) -> Edited:
        """The edit with one of its motions, and without those before it."""
        one = slice(place, place + 1)
        return replace(
            self,
            motions=self.motions[one],
            losses=self.losses[one],
            courses=self.courses[one],
            restarts=self.restarts[one],
            history=(),
        )


class _Job(NamedTuple):
    """One plan in a batch."""

    plan: Plan
    start: Start
    program: Program
    rows: range
    """Its samples in the batch."""


class Session:
    """Edits of one run. The network stays as it is; what is searched is its noise."""

    def __init__(self, generator: Generator, force: bool = False, tell: Callable[[str], None] | None = None) -> None:
        """
        Args:
            force: begin even where the model cannot rebuild the input.
            tell: given what a user should know of the noise that a search begins with, before it begins.
        """
        self.decoder, self.force, self.tell = Decoder(generator), force, tell
        self.method, self.device = generator.method, self.decoder.device

    def edit(
        self,
        plans: Sequence[Plan],
        seconds: float | None = None,
        progress: Progress | None = None,
        save: Callable[[list[Edited]], None] | None = None,
        save_every_s: float = 5.0,
        anchors: Sequence[Tensor | None] | None = None,
    ) -> list[Edited]:
        """Search for all plans in one batch; told to stop by Ctrl-C, the best so far.

        The plans must share how they search and decode (their `run` sections and tasks); see `alike`.

        Args:
            seconds: budget; the schedule is shortened to fit.
            save: given what there is now and then.
            anchors: per plan the noise that the content term draws towards, of an edit before this one.

        Raises:
            MdtoolError: an edit cannot begin, or the memory does not suffice.
        """
        began_s = time.monotonic()
        until_s = None if seconds is None else began_s + _START_SHARE * seconds
        batch = _Batch(self.decoder, plans, self.force, anchors, until_s)
        searching, mode = batch.searching, plans[0].request.run.checkpoint
        if self.tell:
            for line in batch.told():
                self.tell(line)
        if batch.interrupted:
            return batch.made(INTERRUPTED, time.monotonic() - began_s)
        ended, saved_s, first_s = "finished", time.monotonic(), time.monotonic()
        try:
            while not searching.done:
                batch.step(mode)
                now_s = time.monotonic()
                if seconds is not None and searching.taken == _MEASURED:
                    fit = int((seconds - (first_s - began_s)) * _MEASURED / (now_s - first_s))
                    searching.plan(min(searching.planned, max(fit, _MEASURED + 1)))
                if progress:
                    each = searching.best_error.unflatten(0, (-1, plans[0].request.run.restarts))
                    progress(searching.taken, searching.planned, float(each.amin(1).mean()))
                if seconds is not None and now_s - began_s > seconds:
                    ended = "out of time"
                    break
                if save and now_s - saved_s > save_every_s and searching.taken > _MEASURED:
                    save(batch.made(INTERRUPTED, now_s - began_s))
                    saved_s = time.monotonic()
        except KeyboardInterrupt:
            ended = INTERRUPTED
        return batch.made(ended, time.monotonic() - began_s)


def alike(plan: Plan, decoder: Decoder) -> tuple[object, ...]:
    """What plans must share to be searched for in one batch."""
    labelled = decoder.action(plan, 1) is not None
    run = plan.request.run.model_dump_json(exclude={"variations", "seed"})
    return run, plan.steps, plan.content, plan.task in ("edit", "generate"), labelled, decoder.frames(plan)


class _Batch:
    """The search of several plans at once."""

    def __init__(
        self,
        decoder: Decoder,
        plans: Sequence[Plan],
        force: bool,
        anchors: Sequence[Tensor | None] | None,
        until_s: float | None,
    ) -> None:
        self.decoder, self.checkpointing = decoder, False
        self.jobs: list[_Job] = []
        starts: dict[tuple[object, ...], Start] = {}
        run = plans[0].request.run
        noise, residuals, actions, rngs, drawn = [], [], [], [], []
        for place, plan in enumerate(plans):
            count = plan.request.run.searches
            reference = decoder.features(plan)
            same = id(plan.source), plan.frames, plan.tells_action, plan.random, plan.request.run.seed
            if same not in starts or plan.random:
                starts[same] = find_start(decoder, plan, reference, force, 0.0 if self.interrupted else until_s)
            start = starts[same]
            program = Program(
                [*plan.goals, *plan.habits], plan.frames, plan.fps, None if plan.free else start.placement
            )
            first = sum(len(job.rows) for job in self.jobs)
            self.jobs.append(_Job(plan, start, program, range(first, first + count)))
            own = sample_generators(plan.request.run.seed, 0, count)
            noise.append(self._variations(plan, start, own))
            residuals.append(self._residual(plan, start, reference))
            actions.append(decoder.action(plan, count))
            rngs += own
            anchor = anchors[place] if anchors else None
            drawn.append(noise[-1] if anchor is None else anchor.to(noise[-1]).expand_as(noise[-1]))
        begin = torch.cat(noise)
        labels = [action for action in actions if action is not None]
        self.action = torch.cat(labels) if labels else None
        self.residual = self._stacked(residuals)
        search = search_of(plans[0], begin, decoder.method)
        axis = search.time_axis if search.decorrelation else None
        self.coarse = run.coarse
        randomness, searched = SeededRandomness(begin, axis, rngs), decoder.method.searched(begin)
        self.searching = NoiseSearch(self._task, begin, search, randomness, torch.cat(drawn), searched)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C came while a start was looked for."""
        return any(job.start.interrupted for job in self.jobs)

    def told(self) -> list[str]:
        """What to say of the starts and of words that say nothing to this method, each once."""
        lines = [line for job in self.jobs for line in job.start.told(job.plan.source.name)]
        method, run = self.decoder.method, self.jobs[0].plan.request.run
        if method.smooth_options(1) == method.smooth_options(2):  # it takes all its steps in any case
            idle = [word for word in ("sampler", "coarse") if word in run.model_fields_set]
            name = method.describe().method
            lines += [f"`run: {{{word}: …}}` changes nothing: {name} has its own number of steps" for word in idle]
        return list(dict.fromkeys(lines))

    def _task(self, z: Tensor, rows: Tensor) -> Judged:
        half = self.coarse and self.searching.taken < self.searching.planned // 2
        rot6d, root = self._motions(z, rows, half)
        return self._judge(rot6d, root, rows)

    def _motions(self, z: Tensor, rows: Tensor, half: bool = False) -> tuple[Tensor, Tensor]:
        action = None if self.action is None else self.action[rows]
        features = self.decoder.decode(self.jobs[0].plan, z, action, self.checkpointing, half)
        if self.residual is not None:
            features = features + self.residual[rows]
        return self.decoder.motions(features)

    def _judge(self, rot6d: Tensor, root: Tensor, rows: Tensor) -> Judged:
        """Each plan's judgement of its own samples."""
        if len(self.jobs) == 1:
            return self.jobs[0].program.judge(rot6d, root)
        parts, order = [], []
        for job in self.jobs:
            mine = ((rows >= job.rows.start) & (rows < job.rows.stop)).nonzero().flatten()
            if len(mine):
                parts.append(job.program.judge(rot6d[mine], root[mine]))
                order.append(mine)
        back = torch.cat(order).argsort()
        names = ("loss", "error", "met", "near")
        loss, error, met, near = (torch.cat([getattr(part, name) for part in parts])[back] for name in names)
        goals = dict.fromkeys(name for part in parts for name in part.terms)
        terms = {
            name: torch.cat([part.terms.get(name, torch.full_like(part.loss, torch.nan)) for part in parts])[back]
            for name in goals
        }
        return Judged(loss, terms, error, met, near)

    def step(self, mode: str) -> None:
        """One step; when the memory runs out, the same again with one sampling step in memory at a time.

        Raises:
            MdtoolError: it runs out even so.
        """
        self.checkpointing = self.checkpointing or mode == "step"
        try:
            self.searching.step()
        except torch.OutOfMemoryError as error:
            if mode != "auto" or self.checkpointing:
                raise MdtoolError(
                    f"the memory of {self.decoder.device} does not hold the search of {len(self.searching.noise)} "
                    "motions at once: ask for fewer variations or restarts, or for a smaller `run.sampler`",
                    exit_code=1,
                ) from error
            self.checkpointing = True
            torch.cuda.empty_cache()
            self.searching.step()

    @torch.no_grad()
    def made(self, ended: str, seconds: float) -> list[Edited]:
        """The motions of the noise that counts: the last one when the search is over, else the best so far."""
        searching = self.searching
        everything = torch.arange(len(searching.noise))
        noise = searching.best_noise
        rot6d, root = self._motions(noise, everything)
        judged = self._judge(rot6d, root, everything)
        if ended not in _NOT_TO_THE_END:
            last = self._motions(searching.noise, everything)
            final = self._judge(*last, everything)
            usable = torch.isfinite(final.loss)
            if self.jobs[0].plan.request.run.select == "best":
                usable &= final.loss <= judged.loss
            noise, rot6d, root = (
                torch.where(usable.reshape(-1, *[1] * (b.dim() - 1)), a, b)
                for a, b in ((searching.noise, noise), (last[0], rot6d), (last[1], root))
            )
            judged = Judged(torch.where(usable, final.loss, judged.loss), {}, final.error, final.met)
        courses = searching.trace.courses()
        return [
            self._edited(job, noise, rot6d, root, judged.loss, courses[job.rows.start : job.rows.stop], ended, seconds)
            for job in self.jobs
        ]

    def _edited(
        self,
        job: _Job,
        noise: Tensor,
        rot6d: Tensor,
        root: Tensor,
        loss: Tensor,
        courses: list[Course],
        ended: str,
        seconds: float,
    ) -> Edited:
        plan, rows = job.plan, list(job.rows)
        placement = job.program.placement
        if placement is None:
            placement = job.program.place(replace(job.program, placement=Placement()).body(rot6d[rows], root[rows]))
        own_loss = loss[rows].cpu()
        each = own_loss.unflatten(0, (-1, plan.request.run.restarts))
        kept = (each.nan_to_num(torch.inf).argmin(1) + torch.arange(0, each.numel(), each.shape[1])).tolist()
        motions = []
        for number, place in enumerate(kept):
            sample = rows[place]
            clip = Motion(
                rot6d=rot6d[sample, : plan.frames].float().cpu().numpy(),
                root=root[sample, : plan.frames].float().cpu().numpy(),
                fps=plan.fps,
                action=self.decoder.label(plan),
                name=f"{plan.source.name}, {plan.task}" + (f" {number}" if len(kept) > 1 else ""),
                noise=noise[sample].float().cpu().numpy(),
                betas=None if plan.source.motion is None else plan.source.motion.betas,
                gender="" if plan.source.motion is None else plan.source.motion.gender,
            )
            own = placement.of(place) if np.ndim(placement.yaw) else placement
            motions.append(plan.source.world.after(own).motion(clip))
        before = plan.source.motion
        before = None if before is None else before.slice(0, plan.frames)
        told, steps = job.start.warnings(), int(self.searching.lasted[rows].max())
        if ended == "finished" and steps < self.searching.planned:
            ended = "stopped early"
        losses, courses = own_loss[kept].tolist(), [courses[place] for place in kept]
        return Edited(plan, motions, before, losses, courses, each.tolist(), steps, job.start, seconds, ended, told)

    # ---- parts --------------------------------------------------------------------------------------------------

    def _variations(self, plan: Plan, start: Start, rngs: list[torch.Generator]) -> Tensor:
        """Latents [B, …] to begin with: z₀ cos a + n sin a for variations and restarts, or all new."""
        run, decoder = plan.request.run, self.decoder
        share = run.init_noise if run.init_noise is not None else _APART if run.searches > 1 else 0.0
        if plan.random:
            return decoder.method.noise(rngs, decoder.frames(plan)).to(decoder.device)
        noise = start.noise.expand(run.searches, *start.noise.shape).clone()
        if not share:
            return noise
        fresh = decoder.method.noise(rngs, decoder.frames(plan)).to(noise)
        angle = share * np.pi / 2
        mixed = noise * float(np.cos(angle)) + fresh * float(np.sin(angle))
        return torch.cat([noise[:1], mixed[1:]]) if run.searches > 1 else mixed

    def _residual(self, plan: Plan, start: Start, reference: Tensor | None) -> Tensor | None:
        """What the start's noise loses of the input [B, …], to be added to every decoded motion."""
        if plan.request.run.residual == "none" or reference is None or start.how == "random":
            return None
        with torch.no_grad():
            lost = reference - self.decoder.decode(plan, start.noise[None], self.decoder.action(plan, 1))
        return lost.expand(plan.request.run.searches, *lost.shape[1:])

    @staticmethod
    def _stacked(residuals: Sequence[Tensor | None]) -> Tensor | None:
        some = next((residual for residual in residuals if residual is not None), None)
        if some is None:
            return None
        return torch.cat([some * 0 if residual is None else residual for residual in residuals])


def search_of(plan: Plan, noise: Tensor, method: Method) -> Search:
    """How to search for a plan, among a method's latents [B, …] of this size."""
    run, latent, time_axis = plan.request.run, noise[0].numel(), method.time_axis
    tangled = run.decorrelation or 0.0
    if run.decorrelation is None and plan.defaults.decorrelate and time_axis is not None:
        tangled = decorrelation_weight(noise.shape[time_axis], latent)
    return Search(
        steps=plan.steps,
        lr=run.lr,
        warmup=min(WARMUP, plan.steps // 4) if run.warmup is None else run.warmup,
        content=content_weight(plan.content, latent),
        decorrelation=tangled,
        radius=_RADIUS if isinstance(method, FieldMethod) else 0.0,
        perturbation=run.perturbation,
        early_stop=run.stop == "early",
        time_axis=time_axis,
    )
