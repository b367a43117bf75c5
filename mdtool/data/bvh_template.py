"""A skeleton map to fill in, with what can be guessed from names and bones already in its place."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np

from mdtool.data.bvh import BvhRecording
from mdtool.data.bvh_map import REQUIRED, aligned_child
from mdtool.data.bvh_shape import joints_by_shape
from mdtool.motion.skeleton import JOINT_INDEX, JOINT_NAMES, OFFSETS

_MIDDLE_WORDS = {"pelvis": ("hips", "pelvis", "hip", "root"), "neck": ("neck",), "head": ("head",)}
# In the order of asking: "shoulder" is the collar only where something else is the upper arm.
_LIMB_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("hip", ("upleg", "upperleg", "thigh", "hip")),
    ("knee", ("lowerleg", "shin", "calf", "knee", "leg")),
    ("ankle", ("ankle", "foot")),
    ("foot", ("toebase", "toes", "toe", "ball", "foot")),
    ("collar", ("collar", "clavicle")),
    ("shoulder", ("upperarm", "uparm", "shldr", "arm", "shoulder")),
    ("collar", ("shoulder",)),
    ("elbow", ("forearm", "lowerarm", "elbow")),
    ("wrist", ("wrist", "hand")),
)
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_MOST = 0.7  # of the names, where a word in front belongs to the rig and not to the joint
_BY_SHAPE = (
    "# The names do not tell all of them, so these joints were found by the bones: the two longest pairs of limbs are",
    "# taken for arms and legs, and the toes say which side is left.",
)
_ALIGNED = tuple(
    f"{side}_{joint}" for joint in ("hip", "knee", "shoulder", "elbow", "wrist") for side in ("left", "right")
)
# How far a bone may be from the T pose for the smallest rotation to be the right one: arms may hang, but legs that
# stick out sideways mean bones along a fixed local axis, whose twist only the user knows.
_LEG_LIMIT_DEG, _ARM_LIMIT_DEG = 60.0, 100.0


def map_template(recording: BvhRecording) -> str:
    """The text of a map for a recording's skeleton: complete where names allow a guess, "" where they do not."""
    guesses, by_shape = _guess_joints(recording)
    hands = _guess_hands(recording, guesses)
    up, forward = _guess_axes(recording, guesses)
    turn = np.stack([np.cross(up, forward), up, forward])
    straight = _is_near_t_pose(recording, guesses, turn)
    shown = [name for name in JOINT_NAMES if name in guesses or name in REQUIRED]
    lines = [
        f"# Skeleton map for {recording.source}: a guess by mdtool, so check every line.",
        *_describe_joints(recording),
        'name = "my-skeleton"',
        "",
        "# World axes of the file: which one points up, and where a person with all rotations at zero looks.",
        f'up = "{_axis_name(up)}"',
        f'forward = "{_axis_name(forward)}"',
        "",
        '# Height of the ankle joint above the floor with the sole flat, in the unit of the file; or "measured",',
        "# which takes it from the lowest ankles of each clip.",
        'ankle_height = "measured"',
        "",
        "# Frames to drop at the start of every file, such as an added T pose.",
        "skip_first = 0",
        "",
        *_describe_rest(straight, guesses, hands),
        "",
        '# SMPL joint = "source joint". Fill in each ""; other SMPL joints may be left out or added:',
        f"# {', '.join(JOINT_NAMES)}.",
        '# A spine joint halfway between two others is written { between = ["Hips", "Chest"], weight = 0.5 }.',
        *(_BY_SHAPE if by_shape else ()),
        "[joints]",
        *(f"{name} = {json.dumps(guesses.get(name, ''))}" for name in shown),
    ]
    if hands:
        lines += ["", "# Joints that only mark a place, such as a knuckle: which way the hand points.", "[points]"]
        lines += [f"{name} = {{ joint = {json.dumps(source)} }}" for name, source in hands.items()]
    if not straight:
        lines += ["", "[rest_axes]"]
        for name in shown:
            if name in guesses:
                axes = json.dumps(_known_axes(recording, guesses, name))
                lines.append(f"{json.dumps(guesses[name])} = {{ axes = {axes} }}")
    return "\n".join(lines) + "\n"


def _describe_joints(recording: BvhRecording) -> list[str]:
    lines = ["#", "# The joints of the file, each with its OFFSET from the joint it hangs on:"]
    depths: list[int] = []
    for joint in recording.joints:
        depths.append(depths[joint.parent] + 1 if joint.parent >= 0 else 0)
        lines.append(f"#   {'  ' * depths[-1]}{joint.name}  {' '.join(f'{value:g}' for value in joint.offset)}")
    return [*lines, ""]


def _describe_rest(straight: bool, guesses: dict[str, str], hands: dict[str, str]) -> list[str]:
    if straight:
        known = [joint for joint in _ALIGNED if joint in guesses and aligned_child(joint) in {**guesses, **hands}]
        return [
            "# With all rotations at zero this skeleton is near a T pose, or has its arms down. The bones of these",
            "# joints are turned the rest of the way; take one out if its bone should keep its own direction.",
            f"align = {json.dumps(known)}",
        ]
    return [
        "# With all rotations at zero this skeleton is far from a T pose, so [rest_axes] must say for each joint where",
        "# its local X, Y and Z point when the person stands in a T pose: left, right, up, down, forward or back of",
        '# the body. Fill in each "?" and correct the rest; X, Y, Z must be right-handed. A bone that slopes forward',
        "# and down, as in the foot, takes the slope as well: { axes = [...], pitch_down_deg = 24 }.",
    ]


def _guess_joints(recording: BvhRecording) -> tuple[dict[str, str], bool]:
    """SMPL joint → source joint, as far as names or else bones tell; and whether it was the bones."""
    by_words: dict[tuple[str, str], str] = {}
    for name, found in _words_of(recording).items():
        by_words.setdefault(_side_and_rest(found), name)
    guesses: dict[str, str] = {}

    def guess(smpl_joint: str, side: str, words: Iterable[str]) -> None:
        for word in words:
            source = by_words.get((side, word))
            if smpl_joint not in guesses and source is not None and source not in guesses.values():
                guesses[smpl_joint] = source

    for name, words in _MIDDLE_WORDS.items():
        guess(name, "", words)
    for side in ("left", "right"):
        for limb, words in _LIMB_WORDS:
            guess(f"{side}_{limb}", side, words)
    complete = all(name in guesses for name in REQUIRED)
    by_shape = {} if complete else joints_by_shape(recording)
    guesses = by_shape or guesses
    return guesses | _guess_spine(recording, guesses), bool(by_shape)


def _words_of(recording: BvhRecording) -> dict[str, list[str]]:
    """Joint → the words of its name, without one that most names begin with, such as Bip01_ or DEF-."""
    words = {
        joint.name: [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", joint.name.split(":")[-1])]
        for joint in recording.joints
    }
    firsts = Counter(found[0] for found in words.values() if found)
    first, count = firsts.most_common(1)[0] if firsts else ("", 0)
    if count <= len(words) * _MOST:
        return words
    return {name: found[1:] if found[:1] == [first] else found for name, found in words.items()}


def _side_and_rest(words: list[str]) -> tuple[str, str]:
    """("left", "upleg") of the words of "mixamorig:LeftUpLeg", "l_up_leg" or "UpLeg.L1"; digits do not count."""
    side = next((_SIDES[word] for word in words if word in _SIDES), "")
    return side, "".join(word for word in words if word not in _SIDES)


def _guess_spine(recording: BvhRecording, guesses: dict[str, str]) -> dict[str, str]:
    """The joints between pelvis and neck, spread over spine1 to spine3."""
    if "pelvis" not in guesses or "neck" not in guesses:
        return {}
    chain: list[str] = []
    index = recording.joints[recording.joint_index[guesses["neck"]]].parent
    while index >= 0 and recording.joints[index].name != guesses["pelvis"]:
        chain.insert(0, recording.joints[index].name)
        index = recording.joints[index].parent
    if index < 0 or not chain:
        return {}
    if len(chain) < 3:
        return dict(zip(("spine3", "spine2"), reversed(chain), strict=False))
    return {"spine1": chain[0], "spine2": chain[len(chain) // 2], "spine3": chain[-1]}


def _guess_hands(recording: BvhRecording, guesses: dict[str, str]) -> dict[str, str]:
    """left_hand and right_hand → a joint further out in the hand: the middle finger, else any but the thumb."""
    hands: dict[str, str] = {}
    for side in ("left", "right"):
        wrist = guesses.get(f"{side}_wrist")
        inside = {recording.joint_index[wrist]} if wrist is not None else set()
        found = []
        for index, joint in enumerate(recording.joints):
            if joint.parent in inside:
                inside.add(index)
                if any(joint.offset) and "thumb" not in joint.name.lower():
                    found.append(joint.name)
        if found:
            hands[f"{side}_hand"] = next((name for name in found if "mid" in name.lower()), found[0])
    return hands


def _guess_axes(recording: BvhRecording, guesses: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """(up, forward) as unit vectors: up from the recorded poses, forward from the pose of rotation zero."""
    up, forward = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    if "pelvis" in guesses and "neck" in guesses:
        pelvis, neck = (recording.joint_index[guesses[name]] for name in ("pelvis", "neck"))
        positions = recording.world()[1]
        up = _nearest_axis((positions[:, neck] - positions[:, pelvis]).mean(axis=0))
        forward = np.roll(up, 1)
    if "left_hip" in guesses and "right_hip" in guesses:
        rest = _rest_positions(recording)
        hips = [rest[recording.joint_index[guesses[name]]] for name in ("left_hip", "right_hip")]
        left = _nearest_axis(hips[0] - hips[1])
        if left @ up == 0:
            forward = np.cross(left, up)
    return up, forward


def _is_near_t_pose(recording: BvhRecording, guesses: dict[str, str], turn: np.ndarray) -> bool:
    """True when turning each limb bone by the smallest rotation gives the T pose."""
    rest = _rest_positions(recording) @ turn.T
    for joint in _ALIGNED:
        child = aligned_child(joint)
        if joint in guesses and child in guesses:
            start, end = (rest[recording.joint_index[guesses[name]]] for name in (joint, child))
            bone, neutral = end - start, OFFSETS[JOINT_INDEX[child]]
            lengths = float(np.linalg.norm(bone) * np.linalg.norm(neutral))
            limit_deg = _LEG_LIMIT_DEG if joint.endswith(("hip", "knee")) else _ARM_LIMIT_DEG
            if bone @ neutral <= lengths * np.cos(np.deg2rad(limit_deg)):
                return False
    return True


def _known_axes(recording: BvhRecording, guesses: dict[str, str], joint: str) -> list[str]:
    """Body directions of a joint's local X, Y, Z in the T pose as far as its bone tells, "?" elsewhere."""
    axes = ["?", "?", "?"]
    child = aligned_child(joint)
    if joint == "pelvis" or child not in guesses:
        return axes
    rest = _rest_positions(recording)
    start, end = (rest[recording.joint_index[guesses[name]]] for name in (joint, child))
    bone, neutral = _nearest_axis(end - start), _nearest_axis(OFFSETS[JOINT_INDEX[child]])
    direction = (("left", "right"), ("up", "down"), ("forward", "back"))[int(np.abs(neutral).argmax())]
    axes[int(np.abs(bone).argmax())] = direction[0 if bone.sum() == neutral.sum() else 1]
    return axes


def _rest_positions(recording: BvhRecording) -> np.ndarray:
    """Joint positions at rotation zero from the OFFSETs alone; [J, 3]."""
    positions = np.array([joint.offset for joint in recording.joints])
    for index, joint in enumerate(recording.joints):
        if joint.parent >= 0:
            positions[index] += positions[joint.parent]
    return positions


def _nearest_axis(vector: np.ndarray) -> np.ndarray:
    axis = np.zeros(3)
    largest = int(np.abs(vector).argmax())
    axis[largest] = 1.0 if vector[largest] >= 0 else -1.0
    return axis


def _axis_name(axis: np.ndarray) -> str:
    largest = int(np.abs(axis).argmax())
    return ("+" if axis[largest] > 0 else "-") + "xyz"[largest]
