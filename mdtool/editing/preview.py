"""A plan from above: the input's way, targets, paths and obstacles, drawn without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mdtool.atomic import replacing
from mdtool.editing.goals import AlongLine, Clear, Goal, Places
from mdtool.editing.obstacles import nearest
from mdtool.editing.plan import Plan

_SIDE_PX, _MARGIN_M = 640, 0.6
_HEIGHT_M = 0.9
"""The height at which obstacles are cut."""
_PAPER, _LINE, _SAFE, _SOLID = (250, 250, 248), (226, 226, 222), (255, 226, 190), (214, 122, 62)
_WAY, _TARGET, _PATH = (60, 104, 190), (196, 40, 60), (30, 140, 90)
_GHOSTS = 5
"""Moments at which a moving obstacle is drawn."""


def write_preview(path: Path, plan: Plan) -> None:
    """Write it as a PNG: a grid of metres, frames beside the targets, +z up and +x to the left, as seen from above."""
    way = plan.source.way[: plan.frames, [0, 2]]
    points = [way, *(_places(goal) for goal in plan.goals)]
    cloud = np.concatenate([part for part in points if len(part)])
    low, high = cloud.min(0) - _MARGIN_M, cloud.max(0) + _MARGIN_M
    centre, span = (low + high) / 2, max(float((high - low).max()), 2.0)
    low = centre - span / 2
    scale = _SIDE_PX / span

    def pixel(place: np.ndarray) -> tuple[float, float]:
        return float(_SIDE_PX - (place[0] - low[0]) * scale), float(_SIDE_PX - (place[1] - low[1]) * scale)

    picture = _ground(plan, low, span)
    draw = ImageDraw.Draw(picture)
    for metre in range(int(np.floor(low.min())), int(np.ceil((low + span).max())) + 1):
        for line in ((metre, low[1], metre, low[1] + span), (low[0], metre, low[0] + span, metre)):
            draw.line([pixel(np.array(line[:2])), pixel(np.array(line[2:]))], fill=_LINE)
    draw.line([pixel(place) for place in way], fill=_WAY, width=3)
    for frame in range(0, len(way), 10):
        x, y = pixel(way[frame])
        draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=_WAY)
    draw.text((pixel(way[0])[0] + 6, pixel(way[0])[1] + 4), "0", fill=_WAY)
    for goal in plan.goals:
        _draw_goal(draw, goal, pixel)
    draw.text((8, 8), f"{plan.document.file}: {plan.task}, {plan.frames} frames", fill=(40, 40, 40))
    draw.text(
        (8, 22),
        "blue: the input's way, a dot every 10 frames; red: targets with frames; grid: metres",
        fill=(40, 40, 40),
    )
    with replacing(path) as temporary:
        picture.quantize(64).save(temporary)


def _ground(plan: Plan, low: np.ndarray, span: float) -> Image.Image:
    """The floor with obstacles cut at the height of a pelvis, and the zone around them."""
    side = _SIDE_PX // 2
    steps = (np.arange(side) + 0.5) / side * span
    x, z = np.meshgrid(low[0] + span - steps, low[1] + span - steps)
    colours = np.full((side, side, 3), _PAPER, np.float32)
    for goal in plan.goals:
        if not isinstance(goal, Clear):
            continue
        moving = any(np.ptp(each.shift, axis=0).max() + np.ptp(each.yaw) > 0 for each in goal.obstacles)
        moments = np.unique(np.linspace(0, plan.frames - 1, _GHOSTS).astype(int)) if moving else np.zeros(1, int)
        cells = np.stack([x.ravel(), np.full(x.size, _HEIGHT_M), z.ravel()], axis=1)
        for frame in moments:
            still = [
                type(each)(each.shape, each.shift[frame : frame + 1], each.yaw[frame : frame + 1])
                for each in goal.obstacles
            ]
            distance = nearest(still, cells[None])[0].reshape(side, side)
            share = 1.0 if not moving else 0.35 + 0.65 * frame / max(plan.frames - 1, 1)
            for limit, colour in ((goal.safe, _SAFE), (0.0, _SOLID)):
                inside = (distance < limit)[..., None]
                colours = np.where(inside, colours * (1 - share) + np.array(colour, np.float32) * share, colours)
    return Image.fromarray(colours.astype(np.uint8)).resize((_SIDE_PX, _SIDE_PX))


def _places(goal: Goal) -> np.ndarray:
    """Points (x, z) that the picture should hold."""
    if isinstance(goal, AlongLine):
        return goal.line
    if isinstance(goal, Places) and goal.hard:
        return goal.values.reshape(-1, 3)[goal.mask.reshape(-1, 3)[:, [0, 2]].all(1)][:, [0, 2]]
    if isinstance(goal, Clear):
        return np.concatenate([each.shift[:, [0, 2]] + _middle(each.shape) for each in goal.obstacles])
    return np.zeros((0, 2))


def _middle(shape: object) -> np.ndarray:
    """About where a shape is, in plan."""
    centre = np.asarray(getattr(shape, "centre", getattr(shape, "point", np.zeros(2))), dtype=float).ravel()
    return centre[[0, -1]] if len(centre) > 1 else np.zeros(2)


def _draw_goal(draw: ImageDraw.ImageDraw, goal: Goal, pixel) -> None:  # type: ignore[no-untyped-def]
    if isinstance(goal, AlongLine):
        draw.line([pixel(place) for place in goal.line], fill=_PATH, width=2)
    if not isinstance(goal, Places) or not goal.hard:
        return
    single = len(goal.joints) == 1
    if goal.key[:1] == ("path",):
        draw.line([pixel(place) for place in goal.values[:, 0, [0, 2]]], fill=_PATH, width=2)
    for row, frame in enumerate(goal.frames):
        if not goal.mask[row, 0][[0, 2]].all() or (goal.asked is not None and frame not in goal.asked):
            continue
        x, y = pixel(goal.values[row, 0, [0, 2]])
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], outline=_TARGET, width=2)
        if single and (len(goal.frames) < 8 or frame in goal.frames[[0, -1]]):
            draw.text((x + 7, y - 5), str(frame), fill=_TARGET)
