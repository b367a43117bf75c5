"""Rotations as mathematics: group properties, round trips, degenerate input, gradients, both precisions."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import roma
import torch
from torch import Tensor

from mdtool.motion import rotations as rot

PRECISIONS = [pytest.param(torch.float32, 2e-6, id="float32"), pytest.param(torch.float64, 1e-13, id="float64")]


def random_axis_angle(count: int = 500, dtype: torch.dtype = torch.float64, largest: float = math.pi - 0.01) -> Tensor:
    """Directions at random, angles from 0 to `largest`, the first of them 0, then tiny."""
    rng = torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(torch.randn(count, 3, dtype=torch.float64, generator=rng), dim=-1)
    angle = torch.linspace(0, largest, count, dtype=torch.float64)
    angle[1:5] = torch.tensor([1e-12, 1e-7, 1e-6, 1e-3])
    return (axis * angle.unsqueeze(1)).to(dtype)


def assert_rotation(matrix: Tensor, atol: float) -> None:
    identity = torch.eye(3, dtype=matrix.dtype).expand_as(matrix)
    torch.testing.assert_close(matrix @ matrix.mT, identity, rtol=0, atol=atol)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones_like(matrix[..., 0, 0]), rtol=0, atol=atol)


@pytest.mark.parametrize(("dtype", "atol"), PRECISIONS)
def test_matrices_are_rotations_by_the_angle_about_the_axis(dtype: torch.dtype, atol: float) -> None:
    axis_angle = random_axis_angle(dtype=dtype)
    matrix = rot.axis_angle_to_matrix(axis_angle)
    assert matrix.dtype == dtype
    assert_rotation(matrix, atol)
    torch.testing.assert_close((matrix @ axis_angle.unsqueeze(-1)).squeeze(-1), axis_angle, rtol=0, atol=2 * atol)
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close(trace, 1 + 2 * axis_angle.norm(dim=-1).cos(), rtol=0, atol=2 * atol)
    torch.testing.assert_close(
        matrix, torch.linalg.matrix_exp(_cross_matrix(axis_angle.double())).to(dtype), rtol=0, atol=2 * atol
    )


def _cross_matrix(v: Tensor) -> Tensor:
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


@pytest.mark.parametrize(("dtype", "atol"), PRECISIONS)
@pytest.mark.parametrize(
    ("there", "back"),
    [
        (rot.axis_angle_to_matrix, rot.matrix_to_axis_angle),
        (rot.axis_angle_to_quaternion, rot.quaternion_to_axis_angle),
        (
            lambda v: rot.matrix_to_rot6d(rot.axis_angle_to_matrix(v)),
            lambda d: rot.matrix_to_axis_angle(rot.rot6d_to_matrix(d)),
        ),
        (
            lambda v: rot.matrix_to_rot6d(rot.axis_angle_to_matrix(v), "columns"),
            lambda d: rot.matrix_to_axis_angle(rot.rot6d_to_matrix(d, "columns")),
        ),
    ],
    ids=["matrix", "quaternion", "6d rows", "6d columns"],
)
def test_round_trips(
    dtype: torch.dtype, atol: float, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
) -> None:
    axis_angle = random_axis_angle(dtype=dtype)
    # Close to half a turn the axis is worse conditioned by 1 / (pi - angle).
    torch.testing.assert_close(back(there(axis_angle)), axis_angle, rtol=0, atol=10 * atol)


@pytest.mark.parametrize("axis", range(3))
def test_half_a_turn_survives_up_to_its_sign(axis: int) -> None:
    axis_angle = torch.zeros(3, dtype=torch.float64)
    axis_angle[axis] = math.pi
    back = rot.matrix_to_axis_angle(rot.axis_angle_to_matrix(axis_angle))
    torch.testing.assert_close(back.abs(), axis_angle)


def test_known_6d_vectors() -> None:
    quarter = rot.axis_angle_to_matrix(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    expected = {"rows": [0, -1, 0, 1, 0, 0], "columns": [0, 1, 0, -1, 0, 0]}
    for layout, values in expected.items():
        rot6d = rot.matrix_to_rot6d(quarter, layout)  # type: ignore[arg-type]
        torch.testing.assert_close(rot6d, torch.tensor(values, dtype=torch.float64))


def test_quaternions_multiply_as_matrices_do() -> None:
    first = rot.axis_angle_to_quaternion(random_axis_angle())
    second = first.flip(0)
    product = rot.quaternion_multiply(first, second)
    assert product[:, 0].min() >= 0
    torch.testing.assert_close(
        rot.quaternion_to_matrix(product), rot.quaternion_to_matrix(first) @ rot.quaternion_to_matrix(second)
    )
    unit = rot.quaternion_multiply(first, rot.quaternion_invert(first))
    torch.testing.assert_close(unit, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand_as(unit))


def test_applying_a_quaternion_is_applying_its_matrix() -> None:
    quaternion, point = rot.axis_angle_to_quaternion(random_axis_angle()), torch.randn(500, 3, dtype=torch.float64)
    matrix = rot.axis_angle_to_matrix(random_axis_angle())
    torch.testing.assert_close(rot.quaternion_apply(quaternion, point), (matrix @ point.unsqueeze(-1)).squeeze(-1))
    torch.testing.assert_close(rot.quaternion_to_matrix(-3 * quaternion), matrix)


def test_slerp_turns_at_a_steady_rate_along_the_shorter_arc() -> None:
    start = rot.axis_angle_to_quaternion(torch.tensor([[0.1, 0.2, 0.3]], dtype=torch.float64))
    end = -rot.axis_angle_to_quaternion(torch.tensor([[1.0, -0.5, 0.7]], dtype=torch.float64))
    weight = torch.linspace(0, 1, 11, dtype=torch.float64)
    between = rot.slerp(start.expand(11, 4), end.expand(11, 4), weight)
    matrix = rot.quaternion_to_matrix(between)
    torch.testing.assert_close(matrix[:1], rot.quaternion_to_matrix(start))
    torch.testing.assert_close(matrix[-1:], rot.quaternion_to_matrix(end))
    steps = roma.rotmat_geodesic_distance(matrix[:-1], matrix[1:])
    torch.testing.assert_close(steps, steps[:1].expand(10), rtol=1e-9, atol=0)
    whole = roma.rotmat_geodesic_distance(matrix[0], matrix[-1])
    torch.testing.assert_close(steps.sum(), whole)
    assert whole < math.pi


@pytest.mark.parametrize("order", ["XYZ", "ZXY", "ZYX", "YZX", "XZX", "Y", "ZX", ""])
def test_euler_angles_are_products_of_single_turns(order: str) -> None:
    angles = torch.tensor([30.0, -75.0, 110.0], dtype=torch.float64)[: len(order)]
    expected = torch.eye(3, dtype=torch.float64)
    for letter, angle in zip(order, angles.tolist(), strict=True):
        axis = torch.zeros(3, dtype=torch.float64)
        axis["XYZ".index(letter)] = math.radians(angle)
        expected = expected @ torch.linalg.matrix_exp(_cross_matrix(axis))
    torch.testing.assert_close(rot.euler_to_matrix(angles, order), expected)


DEGENERATE = {
    "zero": [0.0] * 6,
    "second zero": [1.0, 2.0, 3.0, 0.0, 0.0, 0.0],
    "first zero": [0.0, 0.0, 0.0, 1.0, 2.0, 3.0],
    "parallel": [1.0, 2.0, 3.0, 2.0, 4.0, 6.0],
    "opposite": [0.0, 0.0, 1.0, 0.0, 0.0, -1.0],
    "along x": [1.0, 0.0, 0.0, 5.0, 0.0, 0.0],
    "tiny": [1e-20, 0.0, 0.0, 0.0, 1e-20, 0.0],
    "huge": [1e15, 0.0, 0.0, 0.0, 1e15, 1e15],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", list(DEGENERATE))
def test_degenerate_6d_gives_a_rotation_and_a_finite_gradient(name: str, dtype: torch.dtype) -> None:
    rot6d = torch.tensor(DEGENERATE[name], dtype=dtype, requires_grad=True)
    matrix = rot.rot6d_to_matrix(rot6d)
    assert_rotation(matrix.detach(), 1e-5)
    (gradient,) = torch.autograd.grad((matrix * torch.arange(9.0).view(3, 3)).sum(), rot6d)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("axis_angle", [[0.0, 0.0, 0.0], [1e-9, 0.0, 0.0], [0.0, 1e-6, 0.0], [0.3, -0.2, 0.9]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_and_right_at_and_near_zero(axis_angle: list[float], dtype: torch.dtype) -> None:
    vector = torch.tensor(axis_angle, dtype=dtype, requires_grad=True)
    weight = torch.arange(9.0, dtype=dtype).view(3, 3)
    (gradient,) = torch.autograd.grad((rot.axis_angle_to_matrix(vector) * weight).sum(), vector)
    exact = torch.tensor(axis_angle, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad((torch.linalg.matrix_exp(_cross_matrix(exact)) * weight.double()).sum(), exact)
    torch.testing.assert_close(gradient, expected.to(dtype), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda v: rot.matrix_to_axis_angle(rot.axis_angle_to_matrix(v)),
        lambda v: rot.quaternion_to_axis_angle(rot.axis_angle_to_quaternion(v)),
        lambda v: rot.matrix_to_quaternion(rot.axis_angle_to_matrix(v)),
    ],
    ids=["through matrix", "through quaternion", "matrix to quaternion"],
)
def test_conversions_back_have_finite_gradients_at_the_identity(function: Callable[[Tensor], Tensor]) -> None:
    vector = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(function(vector).sum(), vector)
    assert torch.isfinite(gradient).all()
    expected = torch.autograd.functional.jacobian(function, torch.full((1, 3), 1e-4, dtype=torch.float64)).sum(
        (0, 1, 2)
    )
    torch.testing.assert_close(gradient[0], expected, rtol=0, atol=1e-3)


def test_slopes_and_curvatures() -> None:
    vector = random_axis_angle(6)[2:].requires_grad_()
    assert torch.autograd.gradcheck(rot.axis_angle_to_matrix, vector)
    assert torch.autograd.gradgradcheck(rot.axis_angle_to_matrix, vector)
    rot6d = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rot.rot6d_to_matrix, rot6d)
    assert torch.autograd.gradgradcheck(rot.rot6d_to_matrix, rot6d)


def test_any_leading_shape() -> None:
    vector = random_axis_angle(24)
    for shape in ((24,), (2, 12), (2, 3, 4), (1, 24, 1)):
        matrix = rot.axis_angle_to_matrix(vector.reshape(*shape, 3))
        assert matrix.shape == (*shape, 3, 3)
        back = rot.matrix_to_axis_angle(matrix).reshape(24, 3)
        torch.testing.assert_close(back, vector, rtol=0, atol=1e-10)
    assert rot.rot6d_to_matrix(torch.zeros(0, 6)).shape == (0, 3, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quaternions_of_matrices_are_those_of_roma(dtype: torch.dtype) -> None:
    """Half turns too, where the real part is zero and every other component may be the largest."""
    half_turns = torch.pi * torch.nn.functional.normalize(torch.randn(200, 3, dtype=torch.float64), dim=-1)
    axis_angle = torch.cat([random_axis_angle(), half_turns, torch.pi * torch.eye(3, dtype=torch.float64)])
    matrix = rot.axis_angle_to_matrix(axis_angle).to(dtype)
    ours, theirs = rot.matrix_to_quaternion(matrix), roma.rotmat_to_unitquat(matrix).roll(1, -1)
    apart = torch.minimum((ours - theirs).abs().amax(-1), (ours + theirs).abs().amax(-1))
    assert apart.max() < 20 * torch.finfo(dtype).eps
    assert (ours[..., 0] >= 0).all()


def test_importing_rotations_leaves_torchs_compiler_alone() -> None:
    code = "import sys, mdtool.motion.rotations; print('torch._dynamo' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
