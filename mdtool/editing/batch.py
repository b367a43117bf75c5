"""Several edits searched for at once: one start, one program and some samples of the batch each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mdtool.editing.decoding import Decoder
from mdtool.editing.edited import FINISHED, INTERRUPTED, STOPPED_EARLY, Edited
from mdtool.editing.frames import neighbours
from mdtool.editing.inversion import Start, find_start
from mdtool.editing.optimiser import WARMUP, Judged, NoiseSearch, Search, SeededRandomness
from mdtool.editing.placement import Placement
from mdtool.editing.plan import Plan
from mdtool.editing.program import Program
from mdtool.editing.regularisers import content_weight, decorrelation_weight
from mdtool.editing.stages import NAMES, LaterStage, Reached, latent_stage, latents_of, layer_stage
from mdtool.editing.trace import Course
from mdtool.errors import MdtoolError
from mdtool.methods.contract import FieldMethod, Method
from mdtool.methods.seeds import sample_generators
from mdtool.motion.motion import Motion

OUT_OF_TIME = "out of time"
"""How an edit ended whose budget was spent."""
_NOT_TO_THE_END = (OUT_OF_TIME, INTERRUPTED)
_RADIUS = 1e-2
"""Weight of the radius penalty of latents that are no noise of frames."""
_APART = 0.2
"""How far variations begin from the input's noise, 0 … 1: identical starts would end identically."""


class _Job(NamedTuple):
    """One plan in a batch."""

    plan: Plan
    start: Start
    program: Program
    rows: range
    """Its samples in the batch."""


class Batch:
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
                [*plan.goals, *plan.habits],
                plan.frames,
                plan.fps,
                None if plan.free else start.placement,
                plan.between,
                isinstance(decoder.method, FieldMethod),
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
        self.noise_search = NoiseSearch(self._task, begin, search, randomness, torch.cat(drawn), searched)
        self.later: list[LaterStage] = []
        self._settled: Tensor | None = None
        """The noise with which the later stages began."""
        self._latents: Tensor | None = None
        self._reached: list[list[Reached]] = [[] for _ in begin]

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
        if "stages" in run.model_fields_set and not isinstance(method, FieldMethod):
            name = method.describe().method
            lines.append(f"`run: {{stages: …}}` changes nothing: the motions of {name} are made of noise alone")
        return list(dict.fromkeys(lines))

    @property
    def searching(self) -> NoiseSearch:
        """The search of the stage that goes on."""
        return self.later[-1].searching if self.later else self.noise_search

    @property
    def stages(self) -> int:
        """Stages that the fit may have."""
        if not isinstance(self.decoder.method, FieldMethod):
            return 1
        return max(job.plan.stages for job in self.jobs)

    @property
    def error(self) -> float:
        """Objective error of the best so far, metres; of restarts the best one's, averaged over the motions."""
        errors = self.noise_search.best_error.clone()
        for stage in self.later:
            errors[stage.rows] = torch.minimum(errors[stage.rows], stage.searching.best_error)
        return float(errors.unflatten(0, (-1, self.jobs[0].plan.request.run.restarts)).amin(1).mean())

    @torch.no_grad()
    def go_on(self, ended: str) -> bool:
        """Begin the next stage, for the motions whose targets are unmet; whether there is one."""
        stage, method = len(self.later) + 1, self.decoder.method
        if stage >= self.stages or not isinstance(method, FieldMethod):
            return False
        noise, _, judged = self._result(ended)
        may = torch.cat([torch.full((len(job.rows),), job.plan.stages > stage) for job in self.jobs])
        rows = (may & ~judged.met.cpu() & torch.isfinite(judged.loss).cpu()).nonzero().flatten()
        if not len(rows):
            return False
        self._close(judged)
        plan, search = self.jobs[0].plan, replace(self.noise_search.search, perturbation=0.0)
        times_s = self.decoder.times_s(plan)
        if self._latents is None:
            self._settled, self._latents = noise, self.decoder.latents(plan, noise, self.action)
        else:
            self._latents[self.later[0].rows] = latents_of(method, self.later[0])
        build = latent_stage if stage == 1 else layer_stage
        self.later.append(build(method, times_s, rows, self._latents[rows], search, self._judge_features))
        return True

    def _close(self, judged: Judged) -> None:
        """Note what the stage that is over came to."""
        for sample, told in self._told(judged).items():
            self._reached[sample].append(told)

    def _told(self, judged: Judged) -> dict[int, Reached]:
        """What the stage that goes on came to so far, by sample."""
        rows = self.later[-1].rows if self.later else torch.arange(len(self.noise_search.noise))
        name, lasted = NAMES[len(self.later)], self.searching.lasted.tolist()
        return {
            sample: Reached(name, steps, float(judged.error[sample]))
            for sample, steps in zip(rows.tolist(), lasted, strict=True)
        }

    def _task(self, z: Tensor, rows: Tensor) -> Judged:
        half = self.coarse and self.searching.taken < self.searching.planned // 2
        return self._judge_features(self._features(z, rows, half), rows)

    def _features(self, z: Tensor, rows: Tensor, half: bool = False) -> Tensor:
        action = None if self.action is None else self.action[rows]
        return self.decoder.decode(self.jobs[0].plan, z, action, self.checkpointing, half)

    def _judge_features(self, features: Tensor, rows: Tensor) -> Judged:
        return self._judge(*self._motions(features, rows), rows)

    def _motions(self, features: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.decoder.motions(features if self.residual is None else features + self.residual[rows])

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
        names = ("loss", "error", "met", "near", "off")
        loss, error, met, near, off = (torch.cat([getattr(part, name) for part in parts])[back] for name in names)
        goals = dict.fromkeys(name for part in parts for name in part.terms)
        terms = {
            name: torch.cat([part.terms.get(name, torch.full_like(part.loss, torch.nan)) for part in parts])[back]
            for name in goals
        }
        return Judged(loss, terms, error, met, near, off)

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
        """The motions of what counts: the last noise when the search is over, else the best so far."""
        noise, features, judged = self._result(ended)
        rot6d, root = self._motions(features, torch.arange(len(noise)))
        courses, told = self.noise_search.trace.courses(), self._told(judged)
        reached = [[*before, told[k]] if k in told else before for k, before in enumerate(self._reached)]
        return [self._edited(job, noise, rot6d, root, judged, courses, reached, ended, seconds) for job in self.jobs]

    def _result(self, ended: str) -> tuple[Tensor, Tensor, Judged]:
        """(noise, features, judgement) of what counts now; a later stage's motions are not made of the noise alone."""
        searching, everything = self.noise_search, torch.arange(len(self.noise_search.noise))
        noise = searching.best_noise if self._settled is None else self._settled
        features = self._features(noise, everything)
        if self._settled is None and ended not in _NOT_TO_THE_END:
            judged = self._judge_features(features, everything)
            last = self._features(searching.noise, everything)
            final = self._judge_features(last, everything)
            usable = torch.isfinite(final.loss)
            if self.jobs[0].plan.request.run.select == "best":
                usable &= final.loss <= judged.loss
            noise, features = (
                torch.where(usable.reshape(-1, *[1] * (b.dim() - 1)), a, b)
                for a, b in ((searching.noise, noise), (last, features))
            )
        for stage in self.later:
            features[stage.rows] = stage.features()
        return noise, features, self._judge_features(features, everything)

    def _edited(
        self,
        job: _Job,
        noise: Tensor,
        rot6d: Tensor,
        root: Tensor,
        judged: Judged,
        courses: list[Course],
        reached: list[list[Reached]],
        ended: str,
        seconds: float,
    ) -> Edited:
        plan, rows = job.plan, list(job.rows)
        placement = job.program.placement
        if placement is None:
            placement = job.program.place(replace(job.program, placement=Placement()).body(rot6d[rows], root[rows]))
        own_loss = judged.loss[rows].cpu()
        each = own_loss.unflatten(0, (-1, plan.request.run.restarts))
        kept = (each.nan_to_num(torch.inf).argmin(1) + torch.arange(0, each.numel(), each.shape[1])).tolist()
        motions: list[Motion] = []
        between: list[Motion | None] = []
        count = len(plan.between) if job.program.made_between else 0
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
            own = plan.source.world.after(placement.of(place) if np.ndim(placement.yaw) else placement)
            motions.append(own.motion(clip))
            between.append(None)
            if count:
                tail = [part[sample, -count:].float().cpu().numpy() for part in (rot6d, root)]
                between[-1] = own.motion(Motion(tail[0], tail[1], plan.fps))
        before = plan.source.motion
        before = None if before is None else before.slice(0, plan.frames)
        if ended == FINISHED and int(self.noise_search.lasted[rows].max()) < self.noise_search.planned:
            ended = STOPPED_EARLY
        return Edited(
            plan=plan,
            motions=motions,
            between=between,
            before=before,
            losses=own_loss[kept].tolist(),
            errors=judged.error[rows].cpu()[kept].tolist(),
            off=(torch.zeros_like(judged.error) if judged.off is None else judged.off)[rows].cpu()[kept].tolist(),
            courses=[courses[rows[place]] for place in kept],
            stages=[reached[rows[place]] for place in kept],
            restarts=each.tolist(),
            steps=max(sum(stage.steps for stage in reached[sample]) for sample in rows),
            start=job.start,
            seconds=seconds,
            ended=ended,
            warnings=[*job.start.warnings(), *plan.compromises],
        )

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
            made = self.decoder.decode(plan, start.noise[None], self.decoder.action(plan, 1))
            lost = reference - made[..., : reference.shape[-1]]
            if made.shape[-1] > lost.shape[-1]:  # poses between frames, too
                before, after = neighbours(plan.between)
                share = torch.from_numpy(plan.between - before).to(lost)
                lost = torch.cat([lost, lost[..., before].lerp(lost[..., after], share)], dim=-1)
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
        lr=run.lr * method.search_rate(),
        warmup=min(WARMUP, plan.steps // 4) if run.warmup is None else run.warmup,
        content=plan.content if isinstance(method, FieldMethod) else content_weight(plan.content, latent),
        decorrelation=tangled,
        radius=_RADIUS if isinstance(method, FieldMethod) else 0.0,
        perturbation=run.perturbation,
        early_stop=run.stop == "early",
        time_axis=time_axis,
    )
