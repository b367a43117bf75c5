"""The section `run` of an edit request: how to search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from mdtool.editing.section import Section


def no_boolean(value: Any) -> Any:
    """The word that YAML read as a boolean: `off` is false to it."""
    return {False: "off", True: "normal"}.get(value, value) if isinstance(value, bool) else value


class Run(Section):
    """How to search; what is left out follows from the sections that are there."""

    steps: Annotated[int, Field(ge=1, le=20_000)] | Literal["auto"] = "auto"
    variations: int = Field(1, ge=1, le=64)
    restarts: int = Field(1, ge=1, le=64)
    """Searches for each result, from starts as far apart as variations'; the one with the least objective is kept."""
    seed: int = Field(0, ge=0)
    stages: Annotated[int, Field(ge=1, le=3)] | Literal["auto"] = "auto"
    """Of a fit to a field (NeRM), for targets that are unmet: 1 searches the noise, 2 then the latent, 3 then an offset
    to the last layers. auto is all of them; for a mask, whose places may be noise, the first."""
    sampler: str = Field("ddim-10", pattern=r"^(ddim-\d+|native)$")
    init: Literal["auto", "input", "random"] = "auto"
    init_noise: Annotated[float, Field(ge=0, le=1)] | None = None
    """How far variations and restarts begin from the input's noise, 0 to 1 (all new); 0.2 when there are several."""
    select: Literal["last", "best"] = "last"
    lr: float = Field(0.05, gt=0, le=1)
    warmup: Annotated[int, Field(ge=0)] | None = None
    """Steps in which the learning rate rises; 50, or a quarter of a shorter search."""
    content: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    decorrelation: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    perturbation: float = Field(0.0, ge=0, le=1)
    stop: Literal["early", "never"] = "early"
    condition: Literal["auto", "keep", "none"] = "auto"
    """Whether the denoiser is told the input's action, if it knows it. The paper searches without; auto tells it unless
    a target is out of the action's way (see condition.py)."""
    residual: Literal["none", "constant"] = "none"
    """constant: what the inversion loses is added again, so that an empty edit gives the input exactly."""
    invert_steps: int = Field(100, ge=1)
    fit_steps: int = Field(150, ge=0)
    """Steps, and no more than the edit's own, of the search that corrects the input's noise; see fitting.py."""
    planted: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Weight of the speed of sliding feet."""
    smooth: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Weight of the joints' third differences, metres at 20 frames per second."""
    calm: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Weight of the share by which the joints' mean jerk is beyond the input's; by default 0 where a target is out of
    its way."""
    anchor: Literal["original", "previous"] = "previous"
    """In a chain of edits: whose content the content term keeps."""
    checkpoint: Annotated[Literal["auto", "off", "step"], BeforeValidator(no_boolean)] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    coarse: bool = False
    """Half as many sampling steps in the first half of the search."""

    @property
    def searches(self) -> int:
        """How many searches an edit is, all in one batch."""
        return self.variations * self.restarts

    @field_validator("steps", "stages", mode="before")
    @classmethod
    def _word(cls, value: Any, field: ValidationInfo) -> Any:
        if isinstance(value, str) and value != "auto":
            raise ValueError(f"must be a whole number of {field.field_name} or auto, not {value!r}")
        return value
