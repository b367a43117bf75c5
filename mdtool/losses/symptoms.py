"""How an adversarial training fares: means per timestep, motion beside real motion, and the signs of known illnesses.

The losses of a GAN do not say how good it is; what it makes beside real motion, and who of the two wins, does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import torch
from torch import Tensor

from mdtool.losses.geometric import feature_positions
from mdtool.motion.skeleton import FEET, JOINTS

BINS = 10
"""Most timestep bins that a report has."""
SEEN_THROUGH = 4.0
"""Mean adversarial loss beyond which the discriminator knows nearly every made motion; a logit of -4 costs as much."""
_TWINS = 16
"""Windows beyond the first of their action that a variance within actions needs. With eight, that of two healthy runs
was 0.35 to 0.89 of the data's from batch to batch, with twenty 0.56 to 0.78."""
KEPT = 512
"""Training windows beside which made motion is looked for copies."""
COPIED = 0.25
"""Distance to the nearest training window, over that between recordings, below which a motion is a copy."""


class BinnedMeans:
    """Running means of per-sample values by timestep, kept on the device until they are read."""

    def __init__(self, timesteps: int) -> None:
        self.timesteps, self.bins = timesteps, min(timesteps, BINS)
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor, timestep: Tensor) -> None:
        """Count values [B] at timesteps [B]."""
        rows = torch.stack([values.detach().float(), torch.ones_like(values, dtype=torch.float32)])
        if name not in self._sums:
            self._sums[name] = rows.new_zeros(2, self.bins)
        self._sums[name].index_add_(1, timestep * self.bins // self.timesteps, rows)

    def read(self) -> dict[str, float]:
        """Mean by `NAME/t BIN` of every bin that has a value, and start anew; waits for the device."""
        means = {}
        for name, sums in self._sums.items():
            for place, (total, count) in enumerate(sums.T.tolist()):
                if count:
                    means[f"{name}/t{place}"] = total / count
        self._sums = {}
        return means


def liveliness(features: Tensor, real: Tensor) -> dict[str, float]:
    """What made motions do beside real ones: ratios of speed², jitter, and sliding of the steadier foot.

    Args:
        features, real: [B, 25, 6, T], in metres where they are.
    """
    ratios = {}
    measured = [_motion(x) for x in (features.float(), real.float())]
    for name, made, true in zip(("speed_ratio", "jitter_ratio", "slide_ratio"), *measured, strict=True):
        ratios[name] = float(made / true.clamp_min(1e-9))
    return ratios


def variety(features: Tensor, real: Tensor, action: Tensor) -> dict[str, float]:
    """Variance of the poses within actions, of made motions over real ones, as `spread_ratio`; empty for few windows.

    Args:
        features, real: [B, 25, 6, T], in metres where they are.
        action: [B] labels of both.
    """
    if len(action) - len(action.unique()) < _TWINS:
        return {}
    same = (action.unsqueeze(1) == action).float()
    share = same / same.sum(1, keepdim=True)
    poses = (feature_positions(x.float()).flatten(1) for x in (features, real))
    made, true = ((pose - share @ pose).square().sum() for pose in poses)
    return {"spread_ratio": float(made / true.clamp_min(1e-9))}


class RecentWindows:
    """The latest training windows: what made motion is compared with, and may be a copy of."""

    def __init__(self) -> None:
        self._batches: deque[tuple[Tensor, Tensor, Tensor]] = deque()

    def add(self, features: Tensor, action: Tensor, clip: Tensor | None) -> None:
        """Keep windows [B, …] with labels [B] and the clips [B] that they are of, where those are known; not copies."""
        clip = torch.full_like(action, -1) if clip is None else clip
        self._batches.append((features.detach(), action, clip))
        while len(self._batches) > 1 and sum(len(batch[1]) for batch in self._batches) > KEPT:
            self._batches.popleft()

    def latest(self, count: int) -> tuple[Tensor, Tensor] | None:
        """(windows, labels) of the last batch, `count` at most; None before the first."""
        return (self._batches[-1][0][:count], self._batches[-1][1][:count]) if self._batches else None

    def nearest(self, made: Tensor, action: Tensor) -> dict[str, float]:
        """`nearest_ratio`: how far made motions are from the nearest kept window of their action, over how far the
        latest windows are from the nearest one of another clip (medians); empty where there is none.

        Near 0 made motions are copies, 1 is as new as another recording.
        """
        features, labels, clips = (torch.cat(parts) for parts in zip(*self._batches, strict=True))
        kept = features.flatten(1).float()

        def shortest(windows: Tensor, allowed: Tensor) -> Tensor:
            # By differences: a product of matrices would lose a copy's small distance between the windows' lengths.
            distance = torch.cdist(windows.flatten(1).float(), kept, compute_mode="donot_use_mm_for_euclid_dist")
            nearest = distance.masked_fill(~allowed, torch.inf).amin(1)
            return nearest[nearest.isfinite()]

        last = len(self._batches[-1][1])
        other = (labels[-last:, None] == labels) & (clips[-last:, None] != clips)
        own, between = shortest(made, action[:, None] == labels), shortest(kept[-last:], other)
        if not (len(own) and len(between) and between.median() > 0):
            return {}
        return {"nearest_ratio": float(own.median() / between.median())}


def _motion(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean squared step of the joints, mean length of their third difference, mean step of the steadier foot."""
    joints = feature_positions(features) + features[:, JOINTS, :3].unsqueeze(1)
    steps = joints.diff(dim=-1)
    steadier = steps[:, FEET].norm(dim=2).amin(1)
    return steps.square().mean(), joints.diff(n=3, dim=-1).norm(dim=2).mean(), steadier.mean()


def symptoms(numbers: Mapping[str, float]) -> dict[str, str]:
    """Illness → what shows it and what to try, for what `numbers` show; a number that is absent shows nothing.

    Numbers are real, fake and adversarial (mean losses, and by timestep as `real/t0`), speed_ratio, jitter_ratio,
    slide_ratio (see `liveliness`), spread_ratio (see `variety`), nearest_ratio (see `RecentWindows`), and code_effect
    (how far another code moves x̂_0, over its own error).
    """
    read = numbers.get
    found = {}
    shown = []
    if "real" in numbers and "fake" in numbers and numbers["real"] + numbers["fake"] < 0.1:
        shown.append(f"its losses add up to {numbers['real'] + numbers['fake']:.3f}")
    if read("adversarial", 0.0) > SEEN_THROUGH:
        shown.append(f"the generator's is {numbers['adversarial']:.2f}")
    if shown:
        found["discriminator wins"] = (
            f"the discriminator wins ({', '.join(shown)}{_most_saturated(numbers)}): raise model.r1_gamma five times, "
            "set model.r1_every to 4, or lower model.discriminator_lr"
        )
    if abs(read("real", 0) - 0.693) < 0.01 and abs(read("fake", 0) - 0.693) < 0.01:
        found["discriminator learns nothing"] = (
            "the discriminator learns nothing (both losses stay at 0.693): raise model.discriminator_lr"
        )
    if read("code_effect", 1.0) < 1e-3:
        found["code ignored"] = (
            f"the random code has no effect (it moves the prediction by {read('code_effect', 0):.1e} of its error): "
            "lower model.geometric_weight, raise model.r1_gamma, or set model.latent_norm"
        )
    if read("spread_ratio", 1.0) < 0.5:
        found["mode collapse"] = (
            f"motions of one action are too much alike (variance {read('spread_ratio', 0):.2f} of the data's): lower "
            "model.geometric_weight, raise model.r1_gamma, or set model.latent_norm"
        )
    if read("speed_ratio", 1.0) < 0.8:
        found["static"] = (
            f"motion is too still (squared speed {read('speed_ratio', 0):.2f} of the data's): lower "
            "model.geometric_weight, the adversarial term drowns"
        )
    if read("jitter_ratio", 1.0) > 1.5:
        found["jitter"] = (
            f"motion shakes (jitter {read('jitter_ratio', 0):.1f} times the data's): raise model.lambda_velocity or "
            "model.lambda_position, and sample with the averaged weights"
        )
    if read("slide_ratio", 1.0) > 2.0:
        found["sliding"] = (
            f"feet slide ({read('slide_ratio', 0):.1f} times the data's): raise model.lambda_foot with "
            'model.foot_space = "world"'
        )
    if read("nearest_ratio", 1.0) < COPIED:
        found["overfit"] = (
            f"motions are copies of training windows ({read('nearest_ratio', 0):.2f} of the distance between two "
            "recordings): raise model.dropout, or train fewer steps"
        )
    return found


def _most_saturated(numbers: Mapping[str, float]) -> str:
    """The bin of timesteps where the discriminator errs least, in words; empty where bins are not told."""
    bins = [name.removeprefix("real/") for name in numbers if name.startswith("real/")]
    sums = {place: numbers[f"real/{place}"] + numbers[f"fake/{place}"] for place in bins if f"fake/{place}" in numbers}
    return f", most at {min(sums, key=sums.__getitem__)}" if len(sums) > 1 else ""


class Watch:
    """Tells an illness once, when two reports in a row show it: losses of a GAN jump."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._told: set[str] = set()

    def news(self, numbers: Mapping[str, float]) -> list[str]:
        """Sentences about what this report and the last one show and nobody was told yet."""
        found = symptoms(numbers)
        confirmed = self._before & set(found) - self._told
        self._before, self._told = set(found), self._told | confirmed
        return [found[name] for name in found if name in confirmed]
