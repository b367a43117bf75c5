"""What is kept of a search: few steps, every loss, and the whole of what was minimised in their sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdtool.editing.goals import Near, Places, Speed
from mdtool.editing.optimiser import Judged, NoiseSearch, Search, SeededRandomness
from mdtool.editing.placement import Placement
from mdtool.editing.program import Program
from mdtool.editing.trace import Trace
from mdtool.methods.seeds import sample_generators
from tests.motion.smooth_motion import smooth_motion


@pytest.mark.parametrize(("taken", "kept"), [(1, 1), (100, 100), (101, 51), (300, 75), (5000, 79)])
def test_a_long_search_is_kept_in_a_hundred_evenly_spread_steps(taken: int, kept: int) -> None:
    trace = Trace(2)
    for step in range(taken):
        trace.add(step, torch.tensor([0, 1]), {"objective": torch.tensor([1.0, 2.0]) * step, "error": torch.ones(2)})
    assert len(trace.steps) == kept
    assert len({after - before for before, after in zip(trace.steps, trace.steps[1:], strict=False)}) <= 1
    assert trace.steps[0] == 0
    np.testing.assert_array_equal(trace.column("objective")[:, 1], 2.0 * np.array(trace.steps))


def test_a_course_ends_where_its_sample_stops_and_has_its_own_goals() -> None:
    trace = Trace(3)
    both, one = torch.tensor([0, 2]), torch.tensor([2])
    loss = torch.tensor([3.0, 4.0])
    trace.add(0, both, {"objective": loss, "error": loss / 10, "avoid[0]": torch.tensor([torch.nan, 4.0])})
    trace.add(1, one, {"objective": loss[:1], "error": loss[:1] / 10, "avoid[0]": loss[:1], "content": loss[:1] / 3})
    first, none, last = trace.courses()
    assert (first.steps, first.losses, none.steps) == ([0], {"objective": [3.0]}, [])
    assert (last.steps, list(last.losses)) == ([0, 1], ["objective", "avoid[0]", "content"])
    assert last.losses["avoid[0]"] == [4.0, 3.0]
    assert last.error_m == pytest.approx([0.4, 0.3])


def test_goals_sum_to_the_objective_and_all_losses_to_what_is_minimised() -> None:
    rot6d, root = (torch.from_numpy(part)[None].repeat(2, *[1] * part.ndim) for part in smooth_motion(20, 0))
    frame = np.array([7])
    place, mask = np.full((1, 1, 3), 0.3), np.ones((1, 1, 3), bool)
    goals = [
        Places(("targets", 0), 1.0, None, frame, (21,), place, mask),
        Places(("targets", 1), 0.5, None, frame + 4, (15,), place, mask),
        Near(("targets", 2), 2.0, None, frame, (20, 21), 0.1),
        Speed(("targets", 3), 1.0, None, frame, (0,), 3.0),
    ]
    program = Program(goals, 20, 20.0, Placement())

    def task(noise: Tensor, rows: Tensor) -> Judged:
        return program.judge(rot6d[rows], root[rows] + noise.transpose(1, 2))

    start = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0)) * 0.1
    settings = Search(steps=6, content=0.3, decorrelation=5.0, radius=0.2)
    search = NoiseSearch(task, start, settings, SeededRandomness(start, -1, sample_generators(0, 0, 2)))
    search.run()
    for sample, course in enumerate(search.trace.courses()):
        losses = {name: np.array(values) for name, values in course.losses.items()}
        named = [f"targets[{k}]" for k in range(4)]
        assert list(losses) == ["objective", *named, "content", "decorrelation", "radius"]
        np.testing.assert_allclose(sum(losses[name] for name in named), losses["objective"], rtol=1e-5)
        whole = losses["objective"] + losses["content"] + losses["decorrelation"] + losses["radius"]
        assert whole.min() == pytest.approx(float(search.best_loss[sample]), rel=1e-5)
    # Coordinates of all targets share one mean: 6 of them, the second target's at half weight.
    away = program.body(rot6d, root + start.transpose(1, 2)).positions[0, [7, 11]][[0, 1], [3, 1]] - 0.3
    first = search.trace.courses()[0].losses
    assert first["targets[0]"][0] == pytest.approx(float(away[0].abs().sum()) / 6, rel=1e-4)
    assert first["targets[1]"][0] == pytest.approx(float(away[1].abs().sum()) / 12, rel=1e-4)
