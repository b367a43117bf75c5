"""The built-in mannequin: a 1.70 m body on the neutral skeleton, made by code and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mdtool.atomic import replacing
from mdtool.body import binding, flesh, surface
from mdtool.body.skinning import Body
from mdtool.errors import MdtoolError
from mdtool.npz_archive import open_npz

_NAMES = ("vertices", "faces", "weights", "accent", "openness")


@lru_cache(maxsize=1)
def mannequin() -> Body:
    """The mannequin, about 7,000 vertices; read from the cache or built, which takes a second or two.

    The cache is `mdtool/mannequin-HASH.npz` under XDG_CACHE_HOME or ~/.cache, keyed by the code that makes the body;
    a cache that cannot be read or written costs time only.
    """
    path = cache_path()
    arrays = _read(path)
    if arrays is None:
        arrays = build()
        try:
            with replacing(path) as temporary:
                np.savez(temporary, allow_pickle=False, **arrays)
        except MdtoolError:
            pass  # A read-only home costs the next run the same second again, nothing else.
    return Body(
        vertices=torch.from_numpy(arrays["vertices"]),
        faces=arrays["faces"],
        weights=torch.from_numpy(arrays["weights"]),
        joints=torch.from_numpy(flesh.REST_JOINTS.astype(np.float32)),
        helpers=binding.twist_joints(),
        accent=arrays["accent"],
        openness=arrays["openness"],
    )


def build() -> dict[str, np.ndarray]:
    """Make the mannequin: vertices [V, 3], faces [F, 3], weights [V, 24 + H], accent [V] and openness [V]."""
    body = flesh.Flesh()
    axes = _grid()
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = body.distance(points.reshape(-1, 3)).reshape(points.shape[:3])
    vertices, quads = surface.surface_nets(values, axes)
    vertices = surface.relax(vertices, quads, body.distance, body.gradient)
    return {
        "vertices": vertices.astype(np.float32),
        "faces": surface.triangles(vertices, quads),
        "weights": binding.skinning_weights(vertices, surface.quad_edges(quads)).astype(np.float32),
        "accent": flesh.visor_distance(vertices).astype(np.float32),
        "openness": _openness(body, vertices).astype(np.float32),
    }


def cache_path() -> Path:
    """Where the built mannequin is kept."""
    home = os.environ.get("XDG_CACHE_HOME")
    folder = Path(home) if home else Path(os.path.expanduser("~")) / ".cache"
    digest = hashlib.sha256()
    for module in (__file__, binding.__file__, flesh.__file__, surface.__file__):
        digest.update(Path(module).read_bytes())
    digest.update(flesh.REST_JOINTS.tobytes())
    return folder / "mdtool" / f"mannequin-{digest.hexdigest()[:16]}.npz"


def _read(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with open_npz(path) as stored:
            return {name: stored[name] for name in _NAMES}
    except (OSError, ValueError, KeyError):
        return None


def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grid coordinates, finer where hands, head and feet need it; symmetric in x with a plane at 0."""
    half = _spaced(0.0, 0.90, [(0.0, 0.0160), (0.10, 0.0205), (0.64, 0.0205), (0.70, 0.0135), (0.90, 0.0135)])
    height = _spaced(
        -0.04,
        1.74,
        [(-0.04, 0.012), (0.07, 0.014), (0.14, 0.021), (1.26, 0.021), (1.34, 0.0135), (1.42, 0.0135), (1.48, 0.0145)],
    )
    depth = _spaced(-0.17, 0.23, [(-0.17, 0.0170), (0.0, 0.0150), (0.23, 0.0150)])
    return np.concatenate([-half[:0:-1], half]), height, depth


def _spaced(start: float, stop: float, spacing: list[tuple[float, float]]) -> np.ndarray:
    """Coordinates from start to stop or just beyond, with the given (place, spacing) interpolated between."""
    places, gaps = zip(*spacing, strict=True)
    points = [start]
    while points[-1] < stop:
        points.append(points[-1] + float(np.interp(points[-1], places, gaps)))
    return np.array(points)


def _openness(body: flesh.Flesh, vertices: np.ndarray) -> np.ndarray:
    """Ambient light at every vertex: how much the field grows along the normal, compared with free space; 0..1."""
    normal = body.gradient(vertices)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    closed = np.zeros(len(vertices))
    for reach, share in ((0.015, 0.7), (0.03, 0.5), (0.06, 0.4)):
        closed += share * np.clip(1 - body.distance(vertices + reach * normal) / reach, 0, 1)
    return np.clip(1 - closed, 0.2, 1)
