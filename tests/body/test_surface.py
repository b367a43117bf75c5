"""Surface nets: a sphere comes out as a closed mesh on the sphere."""

from __future__ import annotations

import numpy as np
import trimesh

from mdtool.body import surface

RADIUS = 0.7


def sphere(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points, axis=-1) - RADIUS


def outward(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def sphere_mesh(relaxed: bool) -> trimesh.Trimesh:
    axes = (np.linspace(-1, 1, 24), np.linspace(-1.1, 1, 30), np.sort(np.append(np.linspace(-1, 1, 19), [0.03, 0.2])))
    values = sphere(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    vertices, quads = surface.surface_nets(values, axes)
    if relaxed:
        vertices = surface.relax(vertices, quads, sphere, outward)
    return trimesh.Trimesh(vertices, surface.triangles(vertices, quads), process=False)


def test_sphere_is_closed_and_faces_outward() -> None:
    mesh = sphere_mesh(relaxed=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.euler_number == 2
    assert abs(mesh.volume / (4 / 3 * np.pi * RADIUS**3) - 1) < 0.03


def test_relaxing_brings_vertices_onto_the_surface_and_evens_the_edges() -> None:
    before, after = sphere_mesh(relaxed=False), sphere_mesh(relaxed=True)
    assert np.abs(sphere(after.vertices)).max() < 1e-4 < np.abs(sphere(before.vertices)).max()

    def spread(mesh: trimesh.Trimesh) -> float:
        return float(mesh.edges_unique_length.max() / mesh.edges_unique_length.min())

    assert spread(after) < 0.8 * spread(before)


def test_neighbour_mean_on_a_square() -> None:
    edges = surface.quad_edges(np.array([[0, 1, 2, 3]]))
    values = np.array([[0.0], [1.0], [2.0], [3.0]])
    np.testing.assert_allclose(surface.neighbour_mean(values, edges)[:, 0], [2.0, 1.0, 2.0, 1.0])


def test_normals_of_a_ball_point_outward() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    normals = surface.vertex_normals(ball.vertices.astype(np.float32), ball.faces)
    assert normals.dtype == np.float32
    np.testing.assert_allclose(normals, ball.vertices, atol=0.02)
