"""The methods there are, by the name that `--method` takes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mdtool.errors import MdtoolError
from mdtool.methods.contract import Method, Trainable

_MODULES = {
    "mdm": "mdtool.methods.mdm:MDM",
    "balanced-edm": "mdtool.methods.balanced_edm:BalancedEDM",
    "nerm": "mdtool.methods.nerm:NeRM",
    "nerm-codebook": "mdtool.methods.motion_codebook:MotionCodebook",
    "clip-features": "mdtool.methods.clip_features:ClipFeatures",
    "emdm": "mdtool.methods.emdm:EMDM",
    "recogniser": "mdtool.methods.recogniser:Recogniser",
    "gru-recogniser": "mdtool.methods.gru_recogniser:GRURecogniser",
}
_RECOGNISERS = {"recogniser", "gru-recogniser"}
_PARTS = {"nerm-codebook", "clip-features"}
_OF_ANY_RATE = {"nerm", "nerm-codebook", "clip-features"}


def method_names() -> list[str]:
    """All names that `--method` takes."""
    return sorted(_MODULES)


def makes_motion(name: str) -> bool:
    """Whether runs of a method are generators; the others are recognisers, or parts of generators and of scores."""
    return name not in _RECOGNISERS | _PARTS


def recognises(name: str) -> bool:
    """Whether runs of a method are recognisers."""
    return name in _RECOGNISERS


def takes_any_rate(name: str) -> bool:
    """Whether a method learns from clips of several frame rates."""
    return name in _OF_ANY_RATE


def build(name: str, settings: dict[str, Any], actions: list[str], fps: float) -> Trainable:
    """Make a method with fresh weights from its settings.

    Raises:
        MdtoolError: no such method, or settings that it does not take.
    """
    make: Any = method_class(name)
    made: Trainable = make(settings, actions, fps)
    return made


def method_class(name: str) -> type[Trainable]:
    """The class of a method.

    Raises:
        MdtoolError: no such method.
    """
    if name not in _MODULES:
        raise MdtoolError(f"no method {name!r}: choose from {', '.join(method_names())}")
    module, _, symbol = _MODULES[name].partition(":")
    found: type[Trainable] = getattr(import_module(module), symbol)
    return found


def build_generator(name: str, settings: dict[str, Any], actions: list[str], fps: float) -> Method:
    """`build`, for methods that make motion.

    Raises:
        MdtoolError: the method exists but makes no motion.
    """
    made = build(name, settings, actions, fps)
    if not isinstance(made, Method):
        raise MdtoolError(f"a run of method {name!r} makes no motion: give the run of a generator")
    return made
