"""A plan from above: the input's way, targets, paths and obstacles, drawn without a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mdtool.atomic import replacing
from mdtool.editing.frames import in_words
from mdtool.editing.goals import AlongLine, Clear, Goal, Places
from mdtool.editing.obstacles import Obstacle, nearest
from mdtool.editing.plan import Plan
from mdtool.editing.shapes import turned
from mdtool.motion.skeleton import JOINT_NAMES

_SIDE_PX, _MARGIN_M = 640, 0.6
_LEFT_PX, _TOP_PX, _RIGHT_PX, _BOTTOM_PX = 44, 48, 12, 40
"""Room around the floor for the axes and the title."""
_TEXT_PX = 13
_MOST_LINES = 10
"""Grid lines in either direction, about."""
_HEIGHT_M = 0.9
"""The height at which obstacles are cut."""
_PAPER, _LINE, _SAFE, _SOLID = (250, 250, 248), (226, 226, 222), (255, 226, 190), (214, 122, 62)
_WAY, _TARGET, _PATH, _INK = (60, 104, 190), (196, 40, 60), (30, 140, 90), (40, 40, 40)
_GHOSTS = 5
"""Moments at which a moving obstacle is drawn."""


@dataclass(frozen=True)
class _Floor:
    """The square of ground that is shown: +z up and +x to the left, as seen from above."""

    low: np.ndarray
    """[2] its least (x, z), metres."""
    span: float

    def pixel(self, place: np.ndarray) -> tuple[float, float]:
        """Where (x, z) is in the picture."""
        x, z = (np.asarray(place) - self.low) / self.span * _SIDE_PX
        return float(_LEFT_PX + _SIDE_PX - x), float(_TOP_PX + _SIDE_PX - z)

    def cells(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """(x, z) of `side` × `side` points in the order of pixels."""
        steps = (np.arange(side) + 0.5) / side * self.span
        x, z = np.meshgrid(self.low[0] + self.span - steps, self.low[1] + self.span - steps)
        return x, z


class _Labels:
    """Words that keep out of each other's way."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self.draw, self.font = draw, ImageFont.load_default(size=_TEXT_PX)
        self.taken: list[tuple[float, float, float]] = []
        """Left and right end of each, and its height."""

    def put(self, text: str, x: float, y: float, colour: tuple[int, int, int], beside: bool = True) -> None:
        """Write beside a point or over it, further down where something is written already."""
        width = self.font.getlength(text)
        if beside:
            y -= _TEXT_PX * 0.8
            x = x + 8 if x + 8 + width < _LEFT_PX + _SIDE_PX else x - 8 - width
        else:
            x -= width / 2
        while any(x < right and left < x + width and abs(y - other) < _TEXT_PX for left, right, other in self.taken):
            y += _TEXT_PX
        self.taken.append((x, x + width, y))
        self.draw.text((x, y), text, colour, self.font, anchor="lm", stroke_width=2, stroke_fill=_PAPER)


def write_preview(path: Path, plan: Plan) -> None:
    """Write it as a PNG: axes in metres, names and frames beside the targets, names beside the obstacles."""
    way = plan.source.way[: plan.frames, [0, 2]]
    points = [way, *(_places(goal) for goal in plan.goals)]
    cloud = np.concatenate([part for part in points if len(part)])
    low, high = cloud.min(0) - _MARGIN_M, cloud.max(0) + _MARGIN_M
    span = max(float((high - low).max()), 2.0)
    floor = _Floor((low + high - span) / 2, span)
    picture = Image.new("RGB", (_LEFT_PX + _SIDE_PX + _RIGHT_PX, _TOP_PX + _SIDE_PX + _BOTTOM_PX), _PAPER)
    picture.paste(_ground(plan, floor), (_LEFT_PX, _TOP_PX))
    draw = ImageDraw.Draw(picture)
    labels = _Labels(draw)
    _draw_axes(draw, floor, labels.font)
    draw.line([floor.pixel(place) for place in way], fill=_WAY, width=3)
    for frame in range(0, len(way), 10):
        x, y = floor.pixel(way[frame])
        draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=_WAY)
    labels.put("start", *floor.pixel(way[0]), _WAY)
    for goal in plan.goals:
        _draw_goal(draw, goal, floor, labels)
    for obstacle in (each for goal in plan.goals if isinstance(goal, Clear) for each in goal.obstacles):
        _name_obstacle(obstacle, floor, labels)
    title = f"{plan.document.file}: {plan.task}, {plan.frames} frames"
    legend = (
        "blue: the input's way, a dot every 10 frames; red: targets with frames; orange: obstacles, pale: kept clear"
    )
    for line, text in enumerate((title, legend)):
        draw.text((8, 8 + 18 * line), text, _INK, labels.font)
    with replacing(path) as temporary:
        picture.quantize(128).save(temporary)


def _draw_axes(draw: ImageDraw.ImageDraw, floor: _Floor, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    """A grid with its metres along the edges."""
    step = max(int(np.ceil(floor.span / _MOST_LINES)), 1)
    high = floor.low + floor.span
    bottom, right = _TOP_PX + _SIDE_PX, _LEFT_PX + _SIDE_PX
    for axis in range(2):
        for metre in range(int(np.ceil(floor.low[axis] / step)) * step, int(np.floor(high[axis])) + 1, step):
            x, y = floor.pixel(np.array([metre, metre]))
            if axis == 0:
                draw.line([x, _TOP_PX, x, bottom], fill=_LINE)
                draw.text((x, bottom + 4), f"{metre}", _INK, font, anchor="ma")
            else:
                draw.line([_LEFT_PX, y, right, y], fill=_LINE)
                draw.text((_LEFT_PX - 6, y), f"{metre}", _INK, font, anchor="rm")
    draw.rectangle([_LEFT_PX, _TOP_PX, right, bottom], outline=_LINE)
    draw.text(((_LEFT_PX + right) / 2, bottom + 21), "x, metres", _INK, font, anchor="ma")
    upright = Image.new("L", (80, 18))
    ImageDraw.Draw(upright).text((40, 9), "z, metres", 255, font, anchor="mm")
    upright = upright.rotate(90, expand=True)
    draw.bitmap((2, (_TOP_PX + bottom - upright.height) // 2), upright, _INK)


def _ground(plan: Plan, floor: _Floor) -> Image.Image:
    """The floor with obstacles cut at the height of a pelvis, and the zone around them."""
    side = _SIDE_PX // 2
    x, z = floor.cells(side)
    colours = np.full((side, side, 3), _PAPER, np.float32)
    for goal in plan.goals:
        if not isinstance(goal, Clear):
            continue
        moving = any(each.moves for each in goal.obstacles)
        moments = np.unique(np.linspace(0, plan.frames - 1, _GHOSTS).astype(int)) if moving else np.zeros(1, int)
        for frame in moments:
            distance = nearest([each.still(frame) for each in goal.obstacles], _at_height(x, z))[0]
            distance = distance.reshape(side, side)
            share = 1.0 if not moving else 0.35 + 0.65 * frame / max(plan.frames - 1, 1)
            for limit, colour in ((goal.safe, _SAFE), (0.0, _SOLID)):
                inside = (distance < limit)[..., None]
                colours = np.where(inside, colours * (1 - share) + np.array(colour, np.float32) * share, colours)
    return Image.fromarray(colours.astype(np.uint8)).resize((_SIDE_PX, _SIDE_PX))


def _at_height(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Points [1, n, 3] where obstacles are cut."""
    return np.stack([x.ravel(), np.full(x.size, _HEIGHT_M), z.ravel()], axis=1)[None]


def _name_obstacle(obstacle: Obstacle, floor: _Floor, labels: _Labels) -> None:
    """Its name in the middle of what is seen of it in its last frame."""
    x, z = floor.cells(_SIDE_PX // 8)
    inside = obstacle.still(-1).distance(_at_height(x, z))[0].reshape(x.shape) < 0
    if inside.any():
        labels.put(obstacle.name, *floor.pixel(np.array([x[inside].mean(), z[inside].mean()])), _INK, beside=False)


def _places(goal: Goal) -> np.ndarray:
    """Points (x, z) that the picture should hold."""
    if isinstance(goal, AlongLine):
        return goal.line
    if isinstance(goal, Places) and goal.hard:
        return goal.values.reshape(-1, 3)[goal.mask.reshape(-1, 3)[:, [0, 2]].all(1)][:, [0, 2]]
    if isinstance(goal, Clear):
        return np.concatenate([_middles(each) for each in goal.obstacles])
    return np.zeros((0, 2))


def _middles(obstacle: Obstacle) -> np.ndarray:
    """About where an obstacle is in each frame, in plan; [T, 2]."""
    shape = obstacle.shape
    centre = np.asarray(getattr(shape, "centre", getattr(shape, "point", np.zeros(2))), dtype=float).ravel()
    return obstacle.shift[:, [0, 2]] + np.stack(turned(centre[0], centre[-1], obstacle.yaw), axis=1)


def _draw_goal(draw: ImageDraw.ImageDraw, goal: Goal, floor: _Floor, labels: _Labels) -> None:
    """A line to follow, and rings with joint and frames where targets are."""
    if isinstance(goal, AlongLine):
        draw.line([floor.pixel(place) for place in goal.line], fill=_PATH, width=2)
    if not isinstance(goal, Places) or not goal.hard:
        return
    if goal.key[:1] == ("path",):
        draw.line([floor.pixel(place) for place in goal.values[:, 0, [0, 2]]], fill=_PATH, width=2)
    joint = JOINT_NAMES[goal.joints[0]] if len(goal.joints) == 1 else f"{len(goal.joints)} joints"
    told: dict[tuple[float, float], list[str]] = {}
    for row, frame in enumerate(goal.frames):
        if not goal.mask[row, 0][[0, 2]].all() or (goal.asked is not None and frame not in goal.asked):
            continue
        x, y = floor.pixel(goal.values[row, 0, [0, 2]])
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], outline=_TARGET, width=2)
        if len(goal.frames) < 8 or frame in goal.frames[[0, -1]]:
            told.setdefault((x, y), []).append(in_words([frame], -1))
    for (x, y), frames in told.items():
        labels.put(f"{joint} at {', '.join(frames)}", x, y, _TARGET)
