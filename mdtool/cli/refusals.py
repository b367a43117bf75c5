"""Options that say nothing in the company of others are refused: nobody should wait for what never comes."""

from __future__ import annotations

from collections.abc import Mapping


def refuse_given(options: Mapping[str, object], because: str) -> None:
    """Refuse the first of some options that was given.

    Args:
        options: values by name; None or False where an option was not given.
        because: the sentence after the option's name: why it is idle, and what to do.

    Raises:
        MdtoolError: one was given.
    """
    from mdtool.errors import MdtoolError

    for name, value in options.items():
        if value is not None and value is not False:
            raise MdtoolError(f"{name} {because}")
