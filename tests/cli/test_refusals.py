"""An option that was given where it means nothing is named, and its values do not matter."""

from __future__ import annotations

import pytest

from mdtool.cli.refusals import refuse_given
from mdtool.errors import MdtoolError


@pytest.mark.parametrize("value", [0, 0.0, "", "soft", (), True])
def test_the_first_option_that_was_given_is_named(value: object) -> None:
    with pytest.raises(MdtoolError, match=r"^--frame means nothing in a page$"):
        refuse_given({"--size": None, "--ghost": False, "--frame": value, "--fps": 3}, "means nothing in a page")


def test_nothing_given_is_nothing_refused() -> None:
    refuse_given({"--size": None, "--ghost": False}, "means nothing in a page")
