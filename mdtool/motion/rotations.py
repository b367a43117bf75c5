"""Rotation representations in torch: axis-angle, quaternion, matrix, 6D.

Conventions: matrices act on column vectors; quaternions are real part first (w, x, y, z); 6D is the first
two ROWS of the matrix unless `layout="columns"` is asked for (Zhou et al. 2019 use columns, which is the 6D
of the transpose; PyTorch3D, MDM and mdtool's files use rows). Every function is differentiable and keeps
finite gradients at the zero rotation and at degenerate 6D vectors. Shapes are [..., n], any leading dimensions.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Rot6dLayout = Literal["rows", "columns"]
Vector = tuple[Tensor, Tensor, Tensor]


def axis_angle_to_quaternion(axis_angle: Tensor) -> Tensor:
    """Axis times angle in radians [..., 3] to unit quaternion [..., 4]."""
    squared = (axis_angle * axis_angle).sum(-1, keepdim=True)
    small = squared < 1e-12
    # The square root is taken of a safe value, or its gradient at zero would be NaN even inside `where`.
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    scale = torch.where(small, 0.5 - squared / 48, torch.sin(0.5 * angle) / angle)
    real = torch.where(small, 1 - squared / 8, torch.cos(0.5 * angle))
    return torch.cat([real, axis_angle * scale], dim=-1)


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """Quaternion [..., 4] of any non-zero length to matrix [..., 3, 3]."""
    w, x, y, z = quaternion.unbind(-1)
    two = 2 / (quaternion * quaternion).sum(-1)
    rows = torch.stack(
        [
            1 - two * (y * y + z * z), two * (x * y - z * w), two * (x * z + y * w),
            two * (x * y + z * w), 1 - two * (x * x + z * z), two * (y * z - x * w),
            two * (x * z - y * w), two * (y * z + x * w), 1 - two * (x * x + y * y),
        ],
        dim=-1,
    )  # fmt: skip
    return rows.reshape(*quaternion.shape[:-1], 3, 3)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Axis times angle in radians [..., 3] to matrix [..., 3, 3]."""
    return quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Matrix [..., 3, 3] to unit quaternion [..., 4] with non-negative real part (Shepperd 1978).

    Four times the products of every two components of the quaternion are sums of entries of the matrix; those with
    the largest component are the quaternion itself, up to its length.
    """
    a, b, c, d, e, f, g, h, i = matrix.flatten(-2).unbind(-1)
    rows = (
        (1 + a + e + i, h - f, c - g, d - b),
        (h - f, 1 + a - e - i, b + d, c + g),
        (c - g, b + d, 1 - a + e - i, f + h),
        (d - b, c + g, f + h, 1 - a - e + i),
    )
    products = torch.stack([entry for row in rows for entry in row], dim=-1).unflatten(-1, (4, 4))
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    quaternion = torch.nn.functional.normalize(torch.take_along_dim(products, largest, dim=-2).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def quaternion_to_axis_angle(quaternion: Tensor) -> Tensor:
    """Unit quaternion [..., 4] to axis times angle in radians [..., 3], angle in [0, pi] for w >= 0."""
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    squared = (imaginary * imaginary).sum(-1, keepdim=True)
    small = squared < 1e-12
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    half = torch.atan2(sine, real)
    return imaginary * torch.where(small, 2 / torch.where(small, real, torch.ones_like(real)), 2 * half / sine)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Matrix [..., 3, 3] to axis times angle in radians [..., 3], angle in [0, pi]."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def quaternion_multiply(left: Tensor, right: Tensor) -> Tensor:
    """Hamilton product with non-negative real part; applying it rotates by `right`, then by `left`; [..., 4]."""
    a, b, c, d = left.unbind(-1)
    e, f, g, h = right.unbind(-1)
    product = torch.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        dim=-1,
    )
    return torch.where(product[..., :1] < 0, -product, product)


def quaternion_invert(quaternion: Tensor) -> Tensor:
    """Inverse of a unit quaternion; [..., 4]."""
    return quaternion * quaternion.new_tensor([1.0, -1.0, -1.0, -1.0])


def quaternion_apply(quaternion: Tensor, point: Tensor) -> Tensor:
    """Rotate points [..., 3] by unit quaternions [..., 4]."""
    return (quaternion_to_matrix(quaternion) @ point.unsqueeze(-1)).squeeze(-1)


def slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Interpolate unit quaternions along the shorter arc; weight [...] in 0..1; [..., 4]."""
    nearest = torch.where((start * end).sum(-1, keepdim=True) < 0, -end, end)
    relative = quaternion_to_axis_angle(quaternion_multiply(quaternion_invert(start), nearest))
    return quaternion_multiply(start, axis_angle_to_quaternion(relative * weight.unsqueeze(-1)))


def matrix_to_rot6d(matrix: Tensor, layout: Rot6dLayout = "rows") -> Tensor:
    """Matrix [..., 3, 3] to its first two rows (or columns), flattened; [..., 6]."""
    if layout == "columns":
        matrix = matrix.transpose(-1, -2)
    return matrix[..., :2, :].reshape(*matrix.shape[:-2], 6)


def rot6d_to_matrix(rot6d: Tensor, layout: Rot6dLayout = "rows") -> Tensor:
    """6D [..., 6] to the matrix [..., 3, 3] by Gram-Schmidt (Zhou et al. 2019, eq. 15).

    A zero or parallel pair of vectors has no rotation of its own: the missing direction is taken from a
    coordinate axis, so that the result is always a rotation and the gradient always finite.
    """
    x, y, z, u, v, w = rot6d.unbind(-1)
    triple = orthonormal((x, y, z), (u, v, w))
    matrix = torch.stack([component for vector in triple for component in vector], dim=-1)
    matrix = matrix.unflatten(-1, (3, 3))
    return matrix.transpose(-1, -2) if layout == "columns" else matrix


def orthonormal(first: Vector, second: Vector) -> tuple[Vector, Vector, Vector]:
    """Right-handed orthonormal triple of two vectors, by Gram-Schmidt; vectors are triples of component tensors.

    Components apart, so that a motion of any layout is worked on in whole planes, which is several times faster
    than in 3 x 3 blocks.
    """
    x, y, z = first
    squared = x * x + y * y + z * z
    zero = squared <= 1e-24
    # The square root is taken of a safe value, as in `axis_angle_to_quaternion`.
    length = torch.where(zero, 1.0, squared).sqrt()
    a, b, c = torch.where(zero, 1.0, x / length), torch.where(zero, 0.0, y / length), torch.where(zero, 0.0, z / length)

    u, v, w = second
    along = a * u + b * v + c * w
    u1, v1, w1 = u - along * a, v - along * b, w - along * c
    squared = u1 * u1 + v1 * v1 + w1 * w1
    tiny = 1e-12 if x.dtype == torch.float32 else 1e-24
    parallel = squared <= tiny * (u * u + v * v + w * w).detach().clamp_min(1e-12)
    length = torch.where(parallel, 1.0, squared).sqrt()
    with torch.no_grad():  # a direction at right angles to (a, b, c): its cross product with x, or with y
        off_x = a.abs() < 0.7
        across = torch.where(off_x, b * b + c * c, a * a + c * c).sqrt()
        spare = (
            torch.where(off_x, 0.0, -c) / across,
            torch.where(off_x, c, 0.0) / across,
            torch.where(off_x, -b, a) / across,
        )
    d = torch.where(parallel, spare[0], u1 / length)
    e = torch.where(parallel, spare[1], v1 / length)
    f = torch.where(parallel, spare[2], w1 / length)
    return (a, b, c), (d, e, f), (b * f - c * e, c * d - a * f, a * e - b * d)


def euler_to_matrix(angles_deg: Tensor, order: str) -> Tensor:
    """Intrinsic Euler angles [..., n] in degrees to a matrix: R = R_order[0] · R_order[1] · …

    Args:
        order: letters of "XYZ", one per angle, as a BVH file's CHANNELS line lists them; 1 to 3 letters.
    """
    radians = torch.deg2rad(angles_deg)
    cos, sin = radians.cos(), radians.sin()
    columns = list(
        torch.eye(3, dtype=radians.dtype, device=radians.device).expand(*radians.shape[:-1], 3, 3).unbind(-1)
    )
    # A turn about an axis, multiplied from the right, mixes the columns of the two other axes.
    for index, letter in enumerate(order):
        axis = "XYZ".index(letter)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        c, s = cos[..., index : index + 1], sin[..., index : index + 1]
        columns[first], columns[second] = (
            c * columns[first] + s * columns[second],
            c * columns[second] - s * columns[first],
        )
    return torch.stack(columns, dim=-1)
