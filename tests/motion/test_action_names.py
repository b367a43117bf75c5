"""The published action lists are complete and can be looked up by name."""

from mdtool.motion.action_names import HUMANACT12_ACTIONS, UESTC_ACTIONS


def test_the_lists_have_the_published_lengths_and_no_name_twice():
    assert len(set(UESTC_ACTIONS)) == len(UESTC_ACTIONS) == 40
    assert len(set(HUMANACT12_ACTIONS)) == len(HUMANACT12_ACTIONS) == 12


def test_the_ids_are_the_ones_the_thesis_renders():
    shown = {
        36: "standing-toe-touches",
        28: "standing-rotation",
        6: "left-stretching",
        21: "head-anticlockwise-circling",
    }
    assert {number: UESTC_ACTIONS[number] for number in shown} == shown
