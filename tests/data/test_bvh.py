"""The BVH parser: known positions, every liberty the format takes, and files that are broken."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mdtool.data.bvh import parse_bvh
from mdtool.errors import MdtoolError
from tests.data.bvh_texts import SMALL, human_bvh, root_path, smooth_rotations

EXCERPT = Path(__file__).parent / "excerpts" / "cmu_07_01_frames_96_to_104.bvh"


def test_golden_positions_of_a_real_recording() -> None:
    recording = parse_bvh(EXCERPT.read_bytes(), EXCERPT.name)
    positions = recording.world()[1][4]  # frame 100 of the recording
    for joint, golden in {
        "hip": (54.399, 85.286, -62.420),
        "head": (55.802, 146.866, -63.231),
        "lHand": (66.880, 91.265, -42.794),
        "rHand": (37.607, 90.033, -52.887),
        "lFoot": (52.774, 9.759, -71.253),
        "rFoot": (46.774, 19.433, -66.976),
    }.items():
        np.testing.assert_allclose(positions[recording.joint_index[joint]], golden, atol=6e-4)


def test_angles_apply_in_channel_order_and_positions_replace_the_offset() -> None:
    rotations, positions = parse_bvh(SMALL, "small.bvh").world()
    # Frame 0: the root stands at its position channels, not at its OFFSET or their sum.
    np.testing.assert_allclose(positions[0], [[0, 10, 0], [0, 6, 0]], atol=1e-12)
    # Frame 1: the root turns 90 degrees about z, so that its -y bone points along +x; the knee turns about its own x.
    np.testing.assert_allclose(positions[1], [[0, 10, 0], [4, 10, 0]], atol=1e-12)
    np.testing.assert_allclose(rotations[1, 1] @ [0, 0, 1], [1, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("channels", "values", "expected"),
    [
        ("3 Zrotation Xrotation Yrotation", "90 90 0", [0, 0, 1]),  # Rz Rx: y goes to z by Rx, and stays
        ("3 Xrotation Zrotation Yrotation", "90 90 0", [-1, 0, 0]),  # Rx Rz: y goes to -x by Rz, and stays
        ("3 Yrotation Zrotation Xrotation", "90 90 0", [0, 0, 1]),  # Ry Rz: y to -x, then -x to z
        ("2 Zrotation Yrotation", "90 0", [-1, 0, 0]),
        ("1 Xrotation", "90", [0, 0, 1]),
        ("0", "", [0, 1, 0]),
    ],
)
def test_any_euler_order_and_number_of_angles(channels: str, values: str, expected: list[float]) -> None:
    text = (
        "HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 3 Zposition Xposition Yposition "
        f"JOINT b {{ OFFSET 0 0 0 CHANNELS {channels} End Site {{ OFFSET 0 1 0 }} }} }}\n"
        f"MOTION\nFrames: 1\nFrame Time: 0.04\n3 1 2 {values}\n"
    )
    rotations, positions = parse_bvh(text, "orders.bvh").world()
    np.testing.assert_allclose(rotations[0, 1] @ [0, 1, 0], expected, atol=1e-12)
    np.testing.assert_allclose(positions[0, 0], [1, 2, 3])


def test_position_channels_of_some_axes_leave_the_others_to_the_offset() -> None:
    text = SMALL.replace("CHANNELS 3 Zrotation", "CHANNELS 4 Yposition Zrotation").replace(
        "0 10 0 0 0 0 0", "0 10 0 0 0 0 -7 0"
    )
    text = text.replace("0 10 0 90 0 0 0", "0 10 0 0 0 0 -8 0")
    positions = parse_bvh(text, "partial.bvh").world()[1]
    np.testing.assert_allclose(positions[:, 1], [[0, 3, 0], [0, 2, 0]], atol=1e-12)


def test_every_joint_may_have_an_order_of_its_own() -> None:
    local, root = smooth_rotations(5, seed=1), root_path(5)
    orders = ("ZXY", "XYZ", "YXZ", "ZYX", "YZX", "XZY")
    mixed = parse_bvh(human_bvh(local, root, order=lambda joint: orders[joint % 6]), "mixed.bvh").world()
    plain = parse_bvh(human_bvh(local, root), "plain.bvh").world()
    for first, second in zip(mixed, plain, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(" ", "  \t ").replace("Frame  \t Time", "Frame   Time"),
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n\n  \n",
        lambda text: "\ufeff" + text,
        lambda text: text.replace("0 10 0 0 0 0", "\n\t0 1e1 -0 0.0 0 +0"),
        lambda text: text.replace("Frames:", "frames :").replace("Frame Time:", "FRAME TIME :"),
        lambda text: text.replace("ROOT Hips\n{", "ROOT Hips{").replace("End Site", "END SITE"),
        lambda text: text.replace("Zrotation", "zrotation"),
    ],
    ids=["crlf", "cr", "tabs", "no-newline-at-end", "blank-lines", "bom", "numbers", "header", "braces", "case"],
)
def test_liberties_of_the_format(change) -> None:
    plain, changed = parse_bvh(SMALL, "plain.bvh"), parse_bvh(change(SMALL).encode(), "changed.bvh")
    assert [joint.name for joint in changed.joints] == ["Hips", "Knee"]
    assert changed.joints[1].end_site == (0, -5, 0)
    np.testing.assert_array_equal(changed.world()[1], plain.world()[1])


def test_names_with_spaces_and_foreign_letters() -> None:
    text = SMALL.replace("Knee", "Linkes Knie (groß)")
    assert parse_bvh(text, "umlaut.bvh").joints[1].name == "Linkes Knie (groß)"
    assert parse_bvh(text.encode("latin-1"), "latin.bvh").joints[1].name == "Linkes Knie (groß)"


@pytest.mark.parametrize(
    ("written", "fps"),
    [("0.0333333", 30.0), ("0.00833333", 120.0), (".04", 25.0), ("0.010000", 100.0), ("0.008342", 1 / 0.008342)],
)
def test_frame_rate_is_kept_and_only_rounding_is_undone(written: str, fps: float) -> None:
    recording = parse_bvh(SMALL.replace("0.0333333", written), "rate.bvh")
    assert recording.fps == fps
    assert parse_bvh(SMALL.replace("0.0333333", "0.008342"), "rate.bvh").fps == pytest.approx(119.875, abs=5e-4)


BROKEN = {
    "empty": (lambda text: "", "no MOTION"),
    "only hierarchy": (lambda text: text[: text.index("MOTION")], "no MOTION"),
    "another format": (lambda text: text.replace("HIERARCHY", "Kaydara"), "line 1: .*HIERARCHY"),
    "two roots": (
        lambda text: text.replace("MOTION", "ROOT Second\n{\nOFFSET 0 0 0\nCHANNELS 0\n}\nMOTION"),
        "line 16: a second ROOT",
    ),
    "no root": (lambda text: "HIERARCHY\n" + text[text.index("MOTION") :], "no ROOT"),
    "missing brace": (lambda text: text.replace("}\nMOTION", "MOTION"), "Hips is missing"),
    "extra brace": (lambda text: text.replace("}\nMOTION", "}\n}\nMOTION"), "line 16: unexpected '}'"),
    "short offset": (lambda text: text.replace("OFFSET 0 -4 0", "OFFSET 0 -4"), "line 9: OFFSET needs three"),
    "no offset": (lambda text: text.replace("    OFFSET 0 -4 0\n", ""), "Knee has no OFFSET"),
    "unknown channel": (lambda text: text.replace("Zrotation", "Wrotation"), "line 5: 'Wrotation' is no channel"),
    "channel count": (lambda text: text.replace("CHANNELS 3", "CHANNELS 4"), "line 10: 'End' is no channel"),
    "channel twice": (lambda text: text.replace("Yposition", "Xposition"), "line 5: CHANNELS lists a position twice"),
    "joint twice": (lambda text: text.replace("Knee", "Hips"), "line 6: .*used twice: Hips"),
    "no frame count": (lambda text: text.replace("Frames: 2\n", ""), "line 17: expected a line like `Frames: 120`"),
    "zero frames": (lambda text: text.replace("Frames: 2", "Frames: 0"), "line 17: 0 is not a number of frames"),
    "half a frame": (lambda text: text.replace("Frames: 2", "Frames: 1.5"), "line 17: 1.5 is not a number of frames"),
    "zero frame time": (lambda text: text.replace("0.0333333", "0"), "line 18: 0 is no frame time"),
    "negative frame time": (lambda text: text.replace("0.0333333", "-0.03"), "line 18: -0.03 is no frame time"),
    "NaN frame time": (lambda text: text.replace("0.0333333", "nan"), "line 18: nan is no frame time"),
    "no frame time": (lambda text: text[: text.index("Frame Time")], "line 16: the file ends in the header"),
    "truncated in a row": (lambda text: text[:-8], "line 20: the file ends in the middle of a frame: 6 values .* 9"),
    "truncated after a row": (lambda text: text[: text.index("0 10 0 90")], "line 19: .*promises 2 frames, .* has 1"),
    "no rows": (lambda text: text[: text.index("0 10")], "line 18: .*promises 2 frames, the file has 0"),
    "too many rows": (lambda text: text + "0 10 0 0 0 0 0 0 0\n", "line 21: .*promises 2 frames, the file has 3"),
    "value missing": (lambda text: text.replace("0 10 0 0 0", "0 10 0 0"), "line 19: 8 values .* 9 channels"),
    "value too many": (lambda text: text.replace("0 10 0 0", "0 10 0 0 0"), "line 19: 10 values .* 9 channels"),
    "values swapped between rows": (
        lambda text: text.replace("0 10 0 0", "0 10 0").replace("0 10 0 90", "0 10 0 90 1"),
        "line 19: 8 values",
    ),
    "word": (lambda text: text.replace("90 0 0 0", "90 0 zero 0"), "line 20: 'zero' is not a finite number"),
    "decimal comma": (lambda text: text.replace("0 10 0 90", "0 10,5 0 90"), "line 20: '10,5' is not a finite number"),
    "NaN": (lambda text: text.replace("0 10 0 90", "0 nan 0 90"), "line 20: 'nan' is not a finite number"),
    "infinite": (lambda text: text.replace("0 10 0 0", "0 1e999 0 0"), "line 19: '1e999' is not a finite number"),
    "no channels": (
        lambda text: "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n}\nMOTION\nFrames: 1\nFrame Time: 1\n1\n",
        "1 values where its joints have 0",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_tell_where(case: str) -> None:
    change, message = BROKEN[case]
    broken = change(SMALL)
    assert broken != SMALL
    with pytest.raises(MdtoolError, match=f"^bad.bvh.*{message}"):
        parse_bvh(broken, "bad.bvh")


def test_random_damage_is_an_error_or_harmless_but_never_a_traceback() -> None:
    rng = random.Random(5)
    content = EXCERPT.read_bytes()
    messages = []
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.choice([1, 3, 20])):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.choice([0, 1, 40])] = rng.randbytes(rng.choice([0, 1, 5]))
        try:
            parse_bvh(
                bytes(damaged[: rng.randrange(1, len(damaged))] if rng.random() < 0.3 else damaged), "damaged.bvh"
            )
        except MdtoolError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(message.startswith("damaged.bvh") and "\n" not in message for message in messages)
