"""Light on a body: key light, ambient light, shine and markings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtool.body.surface import vertex_normals
from mdtool.render.shadow import ShadowMap

_KEY_COLOUR = np.array([1.02, 0.98, 0.92], np.float32)
_AMBIENT_COLOUR = np.array([0.92, 0.97, 1.06], np.float32)
_ACCENT = np.array([0.045, 0.052, 0.065], np.float32)
"""Linear colour of the markings."""
_ACCENT_EDGE_M = 0.0015
"""Width of the soft edge of the markings, metres."""


@dataclass(frozen=True)
class Look:
    """What a body looks like apart from its pose; plain arrays, so that it can be sent to another process."""

    faces: np.ndarray
    """[F, 3] int32."""
    colour: tuple[float, float, float]
    """sRGB, 0..1."""
    accent: np.ndarray | None = None
    """[V] signed distance to the markings, metres, negative inside."""
    openness: np.ndarray | None = None
    """[V] ambient light that reaches the vertex, 0..1."""


def lighting(
    look: Look, vertices: np.ndarray, eye: np.ndarray, light: np.ndarray, shadow: ShadowMap | None
) -> np.ndarray:
    """Key light, ambient light, shine and distance to the markings at every vertex; [V, 4] float32.

    Args:
        eye: place of the camera [3].
        light: unit vector towards the key light [3].
        shadow: what the body keeps from itself; None for a body without shadows.
    """
    normals = vertex_normals(vertices, look.faces)
    towards = eye - vertices
    towards /= np.sqrt(np.einsum("vk,vk->v", towards, towards))[:, None]
    halfway = towards + light
    halfway /= np.sqrt(np.einsum("vk,vk->v", halfway, halfway))[:, None]
    facing = np.clip(np.einsum("vk,vk->v", normals, towards), 0, 1)
    cosine = np.einsum("vk,vk->v", normals, np.broadcast_to(light, normals.shape))
    lit = np.clip((cosine + np.float32(0.12)) / np.float32(1.12), 0, 1)
    if shadow is not None:
        lit *= 1 - np.float32(0.85) * shadow.on_body(vertices, normals)
    openness = look.openness if look.openness is not None else np.float32(1)
    ground = np.clip(np.float32(0.45) + vertices[:, 1] * np.float32(0.9), 0, 1)
    sky = np.float32(0.5) + np.float32(0.5) * normals[:, 1]
    ambient = (np.float32(0.17) * ground + np.float32(0.25) * sky) * openness
    gloss = np.clip(np.einsum("vk,vk->v", normals, halfway), 0, 1) ** 24
    rim = (1 - facing) ** 3 * (np.float32(0.4) + np.float32(0.6) * sky)
    shine = np.float32(0.10) * gloss * np.minimum(lit * 2, 1) + np.float32(0.13) * rim * openness
    accent = look.accent if look.accent is not None else np.ones(len(vertices), np.float32)
    return np.column_stack([np.float32(0.92) * lit, ambient, shine, accent]).astype(np.float32)


def display_colours(look: Look, values: np.ndarray) -> np.ndarray:
    """Lighting [4, n] to display colour [3, n] in 0..255; light adds up linearly, the display has gamma 2."""
    key, ambient, shine, accent = values
    marked = np.flatnonzero(accent < np.float32(0.5 * _ACCENT_EDGE_M))
    blank = np.clip(accent[marked] / np.float32(_ACCENT_EDGE_M) + np.float32(0.5), 0, 1)
    colours = np.empty((3, len(key)), np.float32)
    part = np.empty_like(key)
    for k, colour in enumerate(colours):
        albedo = np.float32(look.colour[k]) ** 2
        np.multiply(key, albedo * _KEY_COLOUR[k], out=colour)
        colour += np.multiply(ambient, albedo * _AMBIENT_COLOUR[k], out=part)
        colour[marked] *= (_ACCENT[k] + blank * (albedo - _ACCENT[k])) / max(albedo, np.float32(1e-6))
        colour += shine
        np.clip(colour, 0, 1, out=colour)
        np.sqrt(colour, out=colour)
        colour *= np.float32(255)
    return colours
