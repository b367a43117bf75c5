"""pyrender draws the same silhouettes as the software renderer, and says what it needs where there is no OpenGL."""

from __future__ import annotations

import numpy as np
import pytest

from mdtool.body.mannequin import mannequin
from mdtool.errors import MdtoolError
from mdtool.render import hardware
from mdtool.render.camera import Camera
from mdtool.render.hardware import chosen_renderer, opengl_driver
from mdtool.render.overlay import Overlay
from mdtool.render.scene import Scene
from mdtool.render.shading import Look


@pytest.fixture(scope="module")
def driver() -> str:
    """The OpenGL driver's name, where there is one."""
    try:
        return opengl_driver()
    except MdtoolError as error:
        pytest.skip(f"no OpenGL: {error}")


def silhouette(picture: np.ndarray) -> np.ndarray:
    """Where the blue body is."""
    return (picture[..., 2].astype(int) - picture[..., 0]) > 40


@pytest.mark.parametrize("azimuth", [0.5, 2.5])
def test_same_silhouette(driver: str, azimuth: float) -> None:
    body = mannequin()
    camera = Camera(azimuth, 0.95, 4.2)
    look = Look(body.faces, (0.25, 0.45, 0.95))
    vertices = body.vertices.numpy()
    centre = np.array([0.3, 0.2], np.float32)
    moved = vertices + np.array([0.3, 0, 0.2], np.float32)
    drawn = [
        silhouette(Scene(camera, look, 400, 400, checker=False, renderer=name).draw(moved, centre))
        for name in ("soft", "pyrender")
    ]
    assert drawn[0].sum() > 8000
    assert (drawn[0] & drawn[1]).sum() / (drawn[0] | drawn[1]).sum() > 0.98


def test_markings_light_and_hidden_ghosts(driver: str) -> None:
    body = mannequin()
    look = Look(body.faces, (0.25, 0.45, 0.95), body.accent, body.openness)
    scene = Scene(Camera(0.0, 0.95, 4.2), look, 300, 300, ghost=Look(body.faces, (0.9, 0.3, 0.2)), renderer="pyrender")
    vertices = body.vertices.numpy()
    plain = scene.draw(vertices, np.zeros(2)).astype(int)
    eyes, _ = scene.camera.project(np.array([[0, 1.588 + 0.02, 0.09]], np.float32), np.zeros(2), 300, 300)
    column, row = eyes[0].astype(int)
    band = plain[row - 12 : row + 13, column]
    assert np.ptp(band[:, 2] - band[:, 0]) > 60  # the grey band across the eyes in a blue face
    body_light = plain[silhouette(plain)]
    assert 60 < body_light.mean() < 200
    assert body_light.std() > 15
    smaller = vertices * np.float32([0.9, 1, 0.9]) + np.float32([0, 0, -0.4])
    hidden = scene.draw(vertices, np.zeros(2), overlay=Overlay(ghost=smaller)).astype(int)
    chest, _ = scene.camera.project(np.array([[0, 1.2, 0.1]], np.float32), np.zeros(2), 300, 300)
    column, row = chest[0].astype(int)
    np.testing.assert_array_equal(hidden[row, column], plain[row, column])


def test_auto_takes_hardware_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_renderer("soft") == "soft"
    monkeypatch.setattr(hardware, "_DEVICES", ("/",))
    monkeypatch.setattr(hardware.ctypes.util, "find_library", lambda name: f"lib{name}.so.1")
    for name, expected in (("llvmpipe (LLVM 15.0.6, 256 bits)", "soft"), ("NVIDIA H100/PCIe/SSE2", "pyrender")):
        monkeypatch.setattr(hardware, "opengl_driver", lambda name=name: name)
        assert chosen_renderer("auto") == expected
    monkeypatch.setattr(hardware, "_DEVICES", ())
    assert chosen_renderer("auto") == "soft"


def test_no_opengl_is_one_sentence_and_auto_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise hardware._no_opengl(ImportError("('Unable to load EGL library',)\nmore"))

    monkeypatch.setattr(hardware, "_pyrender", broken)
    opengl_driver.cache_clear()
    with pytest.raises(MdtoolError, match=r"apt-get install libegl1 libgl1.*--renderer soft") as told:
        chosen_renderer("pyrender")
    assert "\n" not in str(told.value)
    monkeypatch.setattr(hardware, "_DEVICES", ("/",))
    monkeypatch.setattr(hardware.ctypes.util, "find_library", lambda name: f"lib{name}.so.1")
    assert chosen_renderer("auto") == "soft"
    opengl_driver.cache_clear()
