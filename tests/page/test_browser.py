"""The page in a real browser: it asks for nothing, complains of nothing, and does what its keys say.

Needs the extra `browser-tests` (playwright) and a Chromium on PATH; skipped with the reason where one is absent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mdtool.body.mannequin import mannequin
from mdtool.body.skinning import posed_joints
from mdtool.body.smpl import smpl_body
from mdtool.motion.marks import Marks, Point, Solid
from mdtool.motion.motion import Motion
from mdtool.motion.rotations import axis_angle_to_matrix, matrix_to_rot6d
from mdtool.motion.skeleton import JOINTS, STANDING_PELVIS_HEIGHT
from mdtool.page.motions import Row, write_motion_page
from tests.body.test_smpl import save, synthetic

SOFTWARE_GL = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--use-gl=angle",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
)
FRAMES, FPS = 41, 20.0


def swaying(seed: int) -> Motion:
    """Every joint turns smoothly; the pelvis walks along +z."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(FRAMES)[:, None, None] / FPS
    angles = rng.normal(scale=0.4, size=(1, JOINTS, 3)) * np.sin(3 * time_s + rng.uniform(0, 6, (1, JOINTS, 3)))
    root = np.zeros((FRAMES, 3), np.float32)
    root[:, 1] = STANDING_PELVIS_HEIGHT
    root[:, 2] = time_s[:, 0, 0]
    rot6d = matrix_to_rot6d(axis_angle_to_matrix(torch.from_numpy(angles))).numpy().astype(np.float32)
    return Motion(rot6d, root, FPS)


@pytest.fixture(scope="module")
def motions() -> list[list[Motion]]:
    return [[swaying(1), swaying(2)], [swaying(3), swaying(4)]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is absent: pip install mdtool[browser-tests]"
    )
    program = os.environ.get("MDTOOL_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium, or set MDTOOL_CHROMIUM to its program")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=list(SOFTWARE_GL))
        yield opened
        opened.close()


def test_the_player_in_chromium(browser: Any, motions: list[list[Motion]], tmp_path: Path) -> None:
    rows = [Row(f"sway {k}", f"clip {k}", pair) for k, pair in enumerate(motions)]
    write_motion_page(tmp_path / "page.html", "both", ["before", "after"], rows, mannequin())
    page = browser.new_page(viewport={"width": 320, "height": 480})
    requests: list[str] = []
    complaints: list[str] = []
    page.set_default_timeout(60_000)  # software GL on a busy machine
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    player = page.locator("[data-player]")

    def state(name: str) -> str:
        return str(player.get_attribute(f"data-{name}"))

    def reached(condition: str) -> None:
        # A function, since the page's policy forbids it to evaluate text.
        dataset = "document.querySelector('[data-player]').dataset"
        page.wait_for_function(f"() => {{ const d = {dataset}; return {condition}; }}", timeout=60_000)

    reached("Number(d.drawn) > 1 && d.playing === 'true' && Number(d.time) > 0")  # it plays by itself
    page.keyboard.press("Space")
    reached("d.playing === 'false'")
    page.keyboard.press("Home")
    reached("d.frame === '0'")
    page.keyboard.press(".")
    page.keyboard.press(".")
    page.keyboard.press(",")
    reached("d.frame === '1'")
    page.keyboard.press("ArrowRight")
    reached("d.frame === '11'")
    page.get_by_role("slider", name="Time").fill("1.5")
    reached("d.frame === '30' && d.playing === 'false'")
    assert page.get_by_role("slider", name="Time").get_attribute("aria-valuetext") == "1.50 s, frame 31 of 41"
    assert state("shown") == "0"
    page.keyboard.press("]")
    reached("d.shown === '1'")
    assert page.get_by_role("status").inner_text() == "Showing sway 1"
    page.get_by_role("checkbox", name="Show sway 0").check()
    reached("d.shown === '0,1'")
    for key, option in (("t", "trails"), ("c", "contacts"), ("o", "overlay"), ("f", "follow")):
        page.keyboard.press(key)
        assert state(option) == ("true" if option in ("trails", "overlay") else "false")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys and gestures").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Play").click()
    reached("d.playing === 'true'")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # The browser's forward kinematics is ours.
    found = page.evaluate(
        "frames => { const p = mdtoolPlayers[0]; const rig = p.stage.bodies[0].ruler;"
        " return frames.map(frame => { rig.pose(p.clips[3], frame); return [...rig.position].slice(0, 72); }); }",
        [0, 7, 40],
    )
    expected = motions[1][1].positions()[[0, 7, 40]]
    assert np.abs(np.array(found).reshape(3, JOINTS, 3) - expected).max() < 2e-4
    assert requests == [(tmp_path / "page.html").as_uri()]
    assert complaints == []
    page.close()


def test_each_clip_is_drawn_in_its_own_shape(browser: Any, motions: list[list[Motion]], tmp_path: Path) -> None:
    body = smpl_body(save(tmp_path / "model.npz", synthetic(52)))
    shapes = [None, np.linspace(-2, 2, 10).astype(np.float32)]
    clips = [replace(motion, betas=shape) for motion, shape in zip(motions[0], shapes, strict=True)]
    write_motion_page(
        tmp_path / "page.html", "shapes", ["a"], [Row(f"s{k}", "", [c]) for k, c in enumerate(clips)], body
    )
    page = browser.new_page(viewport={"width": 320, "height": 480})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("() => Number(document.querySelector('[data-player]').dataset.drawn) > 1", timeout=60_000)
    page.keyboard.press("Space")
    for clip, motion in enumerate(clips):
        found = page.evaluate(
            "clip => { const p = mdtoolPlayers[0];"
            " const tile = { left: 0, top: 0, width: 50, height: 50, clip: p.clips[clip], colour: 'red' };"
            " p.stage.draw(tile, { time_s: 0, follow: true }); const f = p.stage.figure;"
            " return [f.object.visible, ...Array.from(f.rig.position).slice(0, 156)]; }",
            clip,
        )
        expected = posed_joints(body, body.fitted(motion), np.array([0]))[0]
        assert found[0] is True
        assert np.abs(np.array(found[1:]).reshape(52, 3) - expected).max() < 1e-3
    assert complaints == []
    page.close()


def test_targets_and_obstacles_are_where_an_edit_had_them(
    browser: Any, motions: list[list[Motion]], tmp_path: Path
) -> None:
    corners = [(-0.2, -0.2), (0.2, -0.2), (0.2, 0.2), (-0.2, 0.2)]
    wall = Solid(corners, 0.1, 0.9, [(0.0, -1.0, 0.0, 0.0, 0.0), (40.0, 1.0, 0.5, 0.0, 0.8)])
    told = Marks([Point(20, (0.8, 1.9, 0.0), 21, "xyz")], [[(-0.5, 1.0), (0.5, 1.0)]], [wall])
    write_motion_page(tmp_path / "page.html", "edit", ["a"], [Row("told", "", [motions[0][0]], told)], mannequin())
    page = browser.new_page(viewport={"width": 640, "height": 640}, reduced_motion="reduce")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("() => Number(document.querySelector('[data-player]').dataset.drawn) > 1", timeout=60_000)
    page.keyboard.press("f")  # the camera stays, so that only what moves moves

    def picture(frame: int) -> np.ndarray:
        page.evaluate("time_s => { const p = mdtoolPlayers[0]; p.seek(time_s); p._draw(); }", frame / FPS)
        return np.asarray(Image.open(BytesIO(page.locator(".stage").screenshot())).convert("RGB"), np.int32)

    def red(pixels: np.ndarray) -> np.ndarray:
        return (pixels[..., 0] > 190) & (pixels[..., 1] < 90) & (pixels[..., 2] < 110)

    assert page.locator(".lane-row.told rect:not(.bed)").count() == 1
    due, early = picture(20), picture(0)
    assert red(due).sum() > 30  # the ball at its moment; paler before
    assert red(early).sum() == 0
    page.keyboard.press("g")
    assert page.get_by_role("checkbox", name="Targets").is_checked() is False
    bare = picture(20)
    assert red(bare).sum() == 0
    # The obstacle goes from the left to the right, and up.
    places = page.evaluate(
        "frames => { const { marks } = mdtoolPlayers[0].stage; const clip = mdtoolPlayers[0].clips[0];"
        " return frames.map(frame => { marks.show(clip, frame);"
        " const { position, rotation } = marks.sets.get(clip).solids[0];"
        " return [...position.toArray(), rotation.y]; }); }",
        [0, 10, 40],
    )
    expected = [[*shift, yaw] for shift, yaw in (wall.at(frame) for frame in (0, 10, 40))]
    np.testing.assert_allclose(places, expected, atol=1e-9)
    assert complaints == []
    page.close()


def test_a_page_without_edits_has_no_switch_for_targets(
    browser: Any, motions: list[list[Motion]], tmp_path: Path
) -> None:
    write_motion_page(tmp_path / "page.html", "plain", ["a"], [Row("sway", "", [motions[0][0]])], mannequin())
    page = browser.new_page(viewport={"width": 320, "height": 480})
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("() => Number(document.querySelector('[data-player]').dataset.drawn) > 1", timeout=60_000)
    assert page.get_by_role("checkbox", name="Targets").count() == 0
    assert page.locator(".lane-row.told").is_hidden()
    page.close()
