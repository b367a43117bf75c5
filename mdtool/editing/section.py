"""Sections of a request: strict, and checked as far as possible where a part of one could not be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, field_validator
from pydantic_core import CoreSchema, core_schema

from mdtool.config import Strict
from mdtool.editing.document import UNREADABLE


class Section(Strict):
    """A table of a request. UNREADABLE may stand for each of its values, and for all of it."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The usual schema, in which UNREADABLE gives an empty section."""

        def read(value: Any, inner: Callable[[Any], Any]) -> Any:
            return cls.model_construct() if value is UNREADABLE else inner(value)

        return core_schema.no_info_wrap_validator_function(read, handler(source))

    @field_validator("*", mode="wrap")
    @classmethod
    def _as_far_as_readable(cls, value: Any, inner: Callable[[Any], Any]) -> Any:
        if value is not UNREADABLE:
            return inner(value)
        try:
            return inner(value)
        except ValidationError:
            return value
