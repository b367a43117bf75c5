"""Each illness of the table is told by its numbers alone, once, and only when it lasts."""

from __future__ import annotations

import pytest
import torch

from mdtool.losses.symptoms import KEPT, BinnedMeans, RecentWindows, Watch, liveliness, symptoms, variety
from mdtool.motion.features import FeatureLayout
from tests.motion.smooth_motion import smooth_clips

HEALTHY = {
    "real": 0.5, "fake": 0.6, "code_effect": 0.2, "speed_ratio": 1.0, "jitter_ratio": 1.1, "slide_ratio": 1.2,
    "spread_ratio": 0.7, "nearest_ratio": 0.9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "illness"),
    [
        ({"real": 0.02, "fake": 0.03}, "discriminator wins"),
        ({"adversarial": 5.0}, "discriminator wins"),
        ({"real": 0.6931, "fake": 0.6935}, "discriminator learns nothing"),
        ({"code_effect": 1e-5}, "code ignored"),
        ({"spread_ratio": 0.3}, "mode collapse"),
        ({"speed_ratio": 0.5}, "static"),
        ({"jitter_ratio": 2.0}, "jitter"),
        ({"slide_ratio": 3.0}, "sliding"),
        ({"nearest_ratio": 0.05}, "overfit"),
    ],
)
def test_each_illness_shows_alone(numbers: dict[str, float], illness: str) -> None:
    assert not symptoms(HEALTHY)
    assert list(symptoms({**HEALTHY, **numbers})) == [illness]
    assert "model." in symptoms({**HEALTHY, **numbers})[illness], "says what to change"


def test_a_winning_discriminator_is_told_with_the_timesteps_where_it_wins_most() -> None:
    bins = {"real/t0": 0.01, "fake/t0": 0.01, "real/t9": 0.001, "fake/t9": 0.002, "adversarial/t9": 7.0}
    told = symptoms({"real": 0.006, "fake": 0.006, **bins})["discriminator wins"]
    assert "most at t9" in told
    assert "most at" not in symptoms({"real": 0.006, "fake": 0.006})["discriminator wins"]


def test_what_was_not_measured_is_no_illness_and_is_not_told() -> None:
    assert not symptoms({})
    assert "add up" not in symptoms({"adversarial": 5.0})["discriminator wins"]
    assert "generator" not in symptoms({"real": 0.02, "fake": 0.03})["discriminator wins"]


def test_an_illness_is_told_once_and_only_when_it_lasts() -> None:
    watch, still = Watch(), {**HEALTHY, "speed_ratio": 0.5}
    assert [len(watch.news(numbers)) for numbers in (still, HEALTHY, still, still, still)] == [0, 0, 0, 1, 0]


def test_means_by_timestep() -> None:
    means = BinnedMeans(20)
    means.add("real", torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 1, 19]))
    means.add("real", torch.tensor([5.0]), torch.tensor([1]))
    assert means.read() == {"real/t0": 3.0, "real/t9": 5.0}
    assert means.read() == {}
    few = BinnedMeans(2)
    few.add("fake", torch.tensor([2.0]), torch.tensor([1]))
    assert few.read() == {"fake/t1": 2.0}


def test_liveliness_of_slow_and_shaken_motion() -> None:
    clip = smooth_clips(1)[0]
    features = FeatureLayout().encode(torch.from_numpy(clip.rot6d)[None], torch.from_numpy(clip.root)[None])
    assert liveliness(features, features) == pytest.approx({"speed_ratio": 1, "jitter_ratio": 1, "slide_ratio": 1})
    still = liveliness(features.mean(-1, keepdim=True).expand_as(features), features)
    assert max(still.values()) < 1e-6
    shaken = features + 0.02 * torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    assert liveliness(shaken, features)["jitter_ratio"] > 3


def test_variety_is_within_actions() -> None:
    """Motions that are all the mean of their action have none, however far the means are apart."""
    real = torch.randn(20, 25, 6, 8, generator=torch.Generator().manual_seed(0))
    action = torch.arange(20) % 2
    clips = torch.stack([real[action == k].mean(0) for k in range(2)])[action]
    assert variety(real, real, action) == pytest.approx({"spread_ratio": 1.0})
    assert variety(clips, real, action) == pytest.approx({"spread_ratio": 0.0}, abs=1e-6)
    assert variety(clips, real, torch.zeros_like(action))["spread_ratio"] > 0.01, "apart only by their action"
    assert variety(real, real, torch.arange(20) % 5) == {}, "fifteen windows beyond the first of their action"


def test_copies_are_nearer_to_training_windows_than_recordings_are_to_each_other() -> None:
    rng = torch.Generator().manual_seed(0)
    clips, action = torch.randn(24, 25, 6, 8, generator=rng), torch.arange(24) % 3
    recent = RecentWindows()
    assert recent.latest(4) is None
    recent.add(clips[:12], action[:12], torch.arange(12))
    recent.add(clips[12:], action[12:], torch.arange(12, 24))
    assert [len(part) for part in recent.latest(4) or ()] == [4, 4]
    copies = clips[:9] + 0.01 * torch.randn(9, 25, 6, 8, generator=rng)
    fresh = torch.randn(9, 25, 6, 8, generator=rng)
    assert recent.nearest(copies, action[:9])["nearest_ratio"] < 0.05
    assert recent.nearest(fresh, action[:9])["nearest_ratio"] == pytest.approx(1, abs=0.1)
    assert recent.nearest(copies, (action[:9] + 1) % 3)["nearest_ratio"] > 0.9, "copies of another action"
    assert recent.nearest(fresh, torch.full((9,), 7)) == {}


def test_windows_of_one_clip_are_no_two_recordings() -> None:
    window = torch.randn(1, 25, 6, 8, generator=torch.Generator().manual_seed(0)).expand(6, -1, -1, -1)
    recent = RecentWindows()
    recent.add(window, torch.zeros(6, dtype=torch.int64), torch.zeros(6, dtype=torch.int64))
    assert recent.nearest(window, torch.zeros(6, dtype=torch.int64)) == {}


def test_windows_of_unknown_clips_are_compared_with_nothing() -> None:
    recent, action = RecentWindows(), torch.zeros(4, dtype=torch.int64)
    recent.add(torch.randn(4, 3), action, None)
    assert recent.nearest(torch.randn(4, 3), action) == {}


def test_only_the_latest_windows_are_kept() -> None:
    recent, old, clips = RecentWindows(), torch.zeros(KEPT, 1), torch.arange(KEPT + 2)
    recent.add(old, torch.zeros(KEPT, dtype=torch.int64), clips[:KEPT])
    recent.add(old[:2] + torch.tensor([[5.0], [6.0]]), torch.zeros(2, dtype=torch.int64), clips[KEPT:])
    assert recent.nearest(old[:1] + 4, torch.zeros(1, dtype=torch.int64)) == pytest.approx({"nearest_ratio": 1.0})
