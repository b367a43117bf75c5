"""The house keeps its shape: imports point down, files stay short, names say what is inside."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mdtool"
FILES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "wording": set(),
    "atomic": {"errors"},
    "npz_archive": set(),
    "config": {"errors", "atomic"},
    "motion": {"errors", "atomic"},
    "diffusion": {"errors"},
    "networks": {"errors"},
    "losses": {"errors", "motion"},
    "data": {"errors", "atomic", "npz_archive", "motion"},
    "body": {"errors", "atomic", "npz_archive", "motion", "data"},
    "render": {"errors", "atomic", "motion", "body"},
    "page": {"errors", "wording", "atomic", "motion", "body"},
    "export": {"errors", "atomic", "motion", "body"},
    "methods": {"errors", "config", "motion", "networks", "diffusion", "losses"},
    "training": {"errors", "wording", "atomic", "npz_archive", "config", "motion", "data", "networks", "methods"},
    "evaluation": {"errors", "wording", "atomic", "npz_archive", "config", "motion", "data", "methods", "training"},
    "report": {
        *("errors", "wording", "atomic", "config", "motion", "body", "render", "page", "methods", "training"),
        "evaluation",
    },
    "editing": {"errors", "atomic", "npz_archive", "config", "motion", "methods", "evaluation"},
    "study": {"errors", "atomic", "config"},
    "cli": {
        *("errors", "atomic", "config", "motion", "data", "body", "render", "methods", "training", "evaluation"),
        *("page", "report", "study", "export", "editing", "wording"),
    },
    "__main__": {"cli"},
}
"""Room → rooms it may import from, besides itself. Only `python -m mdtool` may import cli."""

ONE_FILE_OF_DATA = {"training": "windows", "evaluation": "windows", "body": "safe_pickle"}
"""Rooms that may read one file of data and nothing else of it."""


def imported_modules(path: Path) -> set[str]:
    """Modules of mdtool that a file imports anywhere, functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "mdtool"}
    return {name for name in found if name.startswith("mdtool.")}


def room_of(module: str) -> str:
    """mdtool.motion.file → motion."""
    return module.split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    room = relative.parts[0].removesuffix(".py")
    if room == "__init__":
        assert not imported_modules(path)
        return
    modules = {name for name in imported_modules(path) if room_of(name) not in (room, "__version__")}
    upward = sorted(name for name in modules if room_of(name) not in MAY_IMPORT[room])
    assert not upward, f"{relative} may not import {upward}"
    if room in ONE_FILE_OF_DATA:
        allowed = f"mdtool.data.{ONE_FILE_OF_DATA[room]}"
        readers = sorted(name for name in modules if room_of(name) == "data" and name != allowed)
        assert not readers, f"{relative} may read {allowed} only, not {readers}"


def test_no_method_imports_another() -> None:
    shared = {"contract", "seeds", "lengths", "registry", "generate", "timeline", "feature_space", "emdm_generator"}
    for path in (PACKAGE / "methods").glob("*.py"):
        if path.stem in shared:
            continue
        others = {name.split(".")[2] for name in imported_modules(path) if name.startswith("mdtool.methods.")}
        family = path.stem.partition("_")[0]
        others = {name for name in others if not name.startswith(f"{family}_")}  # parts of the same method
        assert others <= shared, f"{path.name} imports {others - shared}"


def test_no_file_is_over_400_lines() -> None:
    everything = [*FILES, *Path(__file__).parent.rglob("*.py")]
    long = {path.name: len(path.read_text("utf-8").splitlines()) for path in everything}
    assert not {name: lines for name, lines in long.items() if lines > 400}


def test_no_file_name_says_nothing() -> None:
    assert not [path for path in FILES if re.fullmatch(r"(utils?|helpers?|misc|common)\.py", path.name)]


def test_every_public_definition_has_a_docstring() -> None:
    bare = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in FILES
        for node in public_definitions(ast.parse(path.read_text("utf-8")))
        if not ast.get_docstring(node)
    ]
    assert not bare


def public_definitions(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of its public classes."""
    found: list[ast.FunctionDef | ast.ClassDef] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            found.append(node)
            inside = node.body if isinstance(node, ast.ClassDef) else []
            found += [part for part in inside if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]
    return found
