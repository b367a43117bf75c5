"""Numbers on the command line."""

from __future__ import annotations

import math
from typing import Any

import typer


def finite(param: typer.CallbackParam, value: Any) -> Any:
    """An option's number or numbers, as they are.

    Raises:
        MdtoolError: NaN or infinity, which no range of an option keeps out.
    """
    from mdtool.errors import MdtoolError

    for number in value if isinstance(value, list | tuple) else [value]:
        if number is not None and not math.isfinite(number):
            name = next((word for word in param.opts if word.startswith("-")), param.metavar)
            raise MdtoolError(f"{name} must be a finite number, not {number}")
    return value
