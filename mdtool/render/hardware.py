"""Drawing with OpenGL through pyrender, where a driver is: chosen by itself only when the driver is of hardware."""

from __future__ import annotations

import ctypes.util
import os
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np

from mdtool.body.surface import vertex_normals
from mdtool.errors import MdtoolError
from mdtool.render.camera import Camera
from mdtool.render.shading import Look, display_colours

_SOFTWARE_DRIVERS = ("llvmpipe", "softpipe", "swrast", "software", "swiftshader")
_DEVICES = ("/dev/dri/renderD128", "/dev/nvidiactl")
"""Device files of graphics drivers; without one OpenGL is drawn by the processor."""
_GL_RENDERER = 0x1F01
_KEY_STRENGTH, _AMBIENT = 3.2, (0.30, 0.31, 0.33)
_GAMMA = 2.2
"""pyrender's shader computes in linear light and shows it with this exponent."""
_NEAR_M, _FAR_M = 0.05, 100.0
_ROUGHNESS = 0.55


def chosen_renderer(wish: Literal["auto", "soft", "pyrender"]) -> Literal["soft", "pyrender"]:
    """Which renderer draws: auto is pyrender on a hardware driver and the software renderer everywhere else.

    Raises:
        MdtoolError: pyrender is asked for and has no OpenGL here.
    """
    if wish == "soft":
        return "soft"
    if wish == "pyrender":
        opengl_driver()
        return "pyrender"
    if not any(Path(device).exists() for device in _DEVICES) or not ctypes.util.find_library("EGL"):
        return "soft"
    try:
        driver = opengl_driver().lower()
    except MdtoolError:
        return "soft"
    return "soft" if any(name in driver for name in _SOFTWARE_DRIVERS) else "pyrender"


@lru_cache(maxsize=1)
def opengl_driver() -> str:
    """Name of the OpenGL driver that pyrender gets.

    Raises:
        MdtoolError: there is none.
    """
    pyrender = _pyrender()
    from OpenGL.GL import glGetString

    renderer = _open(pyrender, 64, 64)
    try:
        return str(glGetString(_GL_RENDERER).decode())
    finally:
        renderer.delete()


class PyrenderBody:
    """Draws one body by OpenGL, without floor and shadows."""

    def __init__(self, camera: Camera, look: Look, width: int, height: int, light: np.ndarray) -> None:
        """`light` is the unit vector towards the key light [3]."""
        self._pyrender = _pyrender()
        self._renderer = _shared(width, height)
        self._faces = look.faces
        self._material = self._pyrender.MetallicRoughnessMaterial(
            metallicFactor=0.0, roughnessFactor=_ROUGHNESS, baseColorFactor=(1.0, 1.0, 1.0, 1.0)
        )
        self._colours = _vertex_colours(look)
        self._scene = self._pyrender.Scene(bg_color=(0.0, 0.0, 0.0, 0.0), ambient_light=_AMBIENT)
        place = np.eye(4)
        place[:3, :3], place[:3, 3] = camera.axes.T, camera.eye(np.zeros(2))
        self._scene.add(
            self._pyrender.PerspectiveCamera(camera.fov, znear=_NEAR_M, zfar=_FAR_M, aspectRatio=width / height),
            pose=place,
        )
        towards = np.eye(4)
        across = np.cross([0.0, 1.0, 0.0], light)
        across /= np.linalg.norm(across)
        towards[:3, :3] = np.stack([across, np.cross(light, across), light], axis=1)
        self._scene.add(self._pyrender.DirectionalLight(intensity=_KEY_STRENGTH), pose=towards)

    def draw(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Colours [H, W, 3] in 0..255 times cover, cover [H, W] in 0..1, nearness [H, W] in 1/metres (0: nothing)."""
        node = self._scene.add(
            self._pyrender.Mesh(
                [
                    self._pyrender.Primitive(
                        positions=vertices,
                        normals=vertex_normals(vertices, self._faces),
                        color_0=np.broadcast_to(self._colours, (len(vertices), 4)),
                        indices=self._faces,
                        material=self._material,
                        mode=4,
                    )
                ]
            )
        )
        drawn, depth = self._renderer.render(self._scene, flags=self._pyrender.RenderFlags.RGBA)
        self._scene.remove_node(node)
        cover = drawn[..., 3].astype(np.float32) / np.float32(255)
        nearness = np.where(depth > 0, 1 / np.maximum(depth, np.float32(_NEAR_M)), 0).astype(np.float32)
        return drawn[..., :3].astype(np.float32), cover, nearness


def _vertex_colours(look: Look) -> np.ndarray:
    """Linear colour of every vertex [V, 4], markings included, or of all [1, 4], and opacity; 0..1."""
    if look.accent is None:
        return np.array([[*(channel**_GAMMA for channel in look.colour), 1.0]], np.float32)
    lit = np.full(len(look.accent), 0.92, np.float32)
    unlit = np.zeros_like(lit)
    colours = display_colours(look, np.stack([lit, unlit, unlit, look.accent])).T / np.float32(255)
    return np.column_stack([colours**_GAMMA, np.ones_like(lit)])


@lru_cache(maxsize=1)
def _pyrender() -> ModuleType:
    """The library, told before its import to need neither a display nor X libraries."""
    if sys.platform.startswith("linux"):
        os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    os.environ.setdefault("PYGLET_HEADLESS", "1")
    if not hasattr(np, "infty"):
        np.infty = np.inf  # type: ignore[attr-defined]  # NumPy 2 dropped the name that pyrender 0.1.45 uses
    try:
        import pyrender
    except Exception as error:  # a missing system library shows as whatever its binding happens to raise
        raise _no_opengl(error) from error
    return pyrender


@lru_cache(maxsize=4)
def _shared(width: int, height: int):  # type: ignore[no-untyped-def]  # pyrender has no types
    """One renderer for all tiles of a size, since each holds an OpenGL context."""
    return _open(_pyrender(), width, height)


def _open(pyrender: ModuleType, width: int, height: int):  # type: ignore[no-untyped-def]  # pyrender has no types
    try:
        return pyrender.OffscreenRenderer(width, height)
    except Exception as error:
        raise _no_opengl(error) from error


def _no_opengl(error: Exception) -> MdtoolError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return MdtoolError(
        f"pyrender finds no OpenGL here ({reason}): install libegl1 and libgl1 (apt-get install libegl1 libgl1), "
        "or draw with --renderer soft, which needs neither"
    )
