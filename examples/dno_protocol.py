"""DNO's editing protocol on any run: random targets, their errors, and what an edit costs the motion.

    python examples/dno_protocol.py runs/small --actions walk run wave-right-hand --out dno.json
    python examples/dno_protocol.py runs/small --table recorded --data motions.h5 --edits 4 --out dno.json
    python examples/dno_protocol.py runs/small --print --out dno.json

Tables (Karunratanakul et al. 2024, table 1, in metres that fit a room): `pelvis`, one random place on the ground
within ±1 m of the start at a random frame of the third quarter; `wrist`, one random point within reach of where the
input then stands; `obstacle`, a pillar across the way of inputs that travel, with the last place kept as target;
`recorded`, as pelvis, of test clips of --data. The file is written after every input and a second call goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdtool.atomic import write_text
from mdtool.editing.chain import Chain
from mdtool.editing.compiler import compile_request
from mdtool.editing.edited import Edited
from mdtool.editing.plan import Plan
from mdtool.editing.reading import request_of
from mdtool.editing.report import report, seen
from mdtool.editing.search import search_all
from mdtool.editing.session import Session
from mdtool.editing.source import Source, at_rate
from mdtool.evaluation.control import PREDICATES, content_preserved
from mdtool.evaluation.physical import foot_skating, jitter, skating_ratio
from mdtool.methods.generate import Generator
from mdtool.motion.file import read_motions
from mdtool.motion.motion import TEST, Motion, MotionSet
from mdtool.training.device import use_threads
from mdtool.training.run import LoadedRecogniser, load_generator, load_recogniser

TABLES = ("pelvis", "wrist", "obstacle", "recorded")
AROUND_M = 1.0
PILLAR_M, ASIDE_M = 0.3, 0.1
"""Radius of the pillar, and how far its middle may be from the way."""
TRAVELS_M = 1.0
"""Inputs that move less have no way that a pillar could stand across."""
Row = dict[str, Any]


def request(table: str, source: Source, rng: np.random.Generator) -> dict[str, Any]:
    """The random edit of a table for an input."""
    frames, way = len(source), source.way[:, (0, 2)]
    frame = int(frames / 2 + frames / 4 * rng.random())
    if table == "wrist":
        side, height, ahead = rng.uniform((-0.5, 0.7, 0.1), (0.1, 1.6, 0.45)).round(3).tolist()
        target = {"at": frame, "joint": "right_wrist", "xyz": [side, height, ahead], "space": f"pelvis@{frame}"}
        return {"targets": [target]}
    if table == "obstacle":
        before, after = way[frames // 3], way[2 * frames // 3]
        ahead = (after - before) / max(float(np.linalg.norm(after - before)), 1e-6)
        at = way[frames // 2] + rng.uniform(-ASIDE_M, ASIDE_M) * np.array([ahead[1], -ahead[0]])
        pillar = {"pillar": {"at": at.round(3).tolist(), "radius": PILLAR_M}}
        return {
            "targets": [{"at": frames - 1, "joint": "pelvis", "xz": way[-1].round(3).tolist()}],
            "avoid": [pillar],
        }
    return {"targets": [{"at": frame, "joint": "pelvis", "xz": rng.uniform(-AROUND_M, AROUND_M, 2).round(3).tolist()}]}


def generated(generator: Generator, actions: list[str], count: int) -> list[Source]:
    """Inputs as `mdtool sample` makes them: input i is the sample of seed i, of each action in turn."""
    made = []
    for seed in range(count):
        name = actions[seed % len(actions)]
        motion = generator.sample([generator.actions.index(name)], seed)[0]
        made.append(Source(motion, None, motion.fps, f"{name}, seed {seed}"))
    return made


def recorded(motions: MotionSet, generator: Generator, actions: list[str], count: int) -> list[Source]:
    """The first window of a test clip of each action in turn."""
    made, taken = [], set()
    most = generator.method.describe().frames[1]
    for place in range(count):
        name = actions[place % len(actions)]
        rows = np.flatnonzero((motions.split == TEST) & (motions.action == motions.action_index(name)))
        for clip in (int(row) for row in rows if int(row) not in taken):
            source = at_rate(Source(motions[clip], None, motions[clip].fps, f"{name}, clip {clip}"), generator.fps)
            if len(source) >= most and source.motion is not None:
                taken.add(clip)
                made.append(replace(source, motion=source.motion.slice(0, most)))
                break
    return made


def measured(edited: Edited, judge: LoadedRecogniser | None) -> Row:
    """One edit in numbers."""
    plan, after, before = edited.plan, edited.motions[0], edited.before
    assert before is not None
    found = report(plan, after, before)
    pair = [motion.positions().astype(float) for motion in (before, after)]
    shown = [shows for shows in PREDICATES.values() if shows(pair[0]).any()]
    targets = [row for row in found.targets if row.key.startswith("targets")]
    row: Row = {
        "error_m": float(np.mean([target.error for target in targets])),
        "error_before_m": float(np.mean([target.before for target in targets])),  # type: ignore[misc]
        "jitter": [jitter(places, plan.fps) for places in pair],
        "skating": [skating_ratio(places, plan.fps).ratio for places in pair],
        "foot_skating": [foot_skating(places, plan.fps) for places in pair],
        "content": float(np.mean([content_preserved(*pair, shows) for shows in shown])) if shown else None,
        "action": plan.action_told,
        "steps": edited.steps,
        "start": edited.start.how,
        "reconstruction_m": [edited.start.unfitted_m, edited.start.reconstruction_m],
    }
    for goal in (goal for goal in plan.goals if goal.key[:1] == ("avoid",)):
        row["deepest_m"] = [float(goal.error(seen(plan, motion)).max()) for motion in (before, after)]
    if judge is not None:
        row["recognised"] = _action(judge, before) == _action(judge, after)
    return row


def _action(judge: LoadedRecogniser, motion: Motion) -> int:
    rot6d, root = (torch.from_numpy(np.ascontiguousarray(part))[None] for part in (motion.rot6d, motion.root))
    return int(judge.features_and_logits(rot6d, root)[1].argmax())


def edits_of(session: Session, table: str, source: Source, seed: int, asked: argparse.Namespace) -> list[Plan]:
    """The plans of one input."""
    rng = np.random.default_rng(seed)
    run = {"steps": asked.steps, **json.loads(asked.run_section)}
    plans = []
    for _ in range(asked.edits):
        values = {"version": 1, **request(table, source, rng), "run": run}
        plans.append(compile_request(*request_of(values, table), source, session.method.describe().frames[1], True))
    return plans


def line(rows: list[Row]) -> list[str]:
    """Cells of the printed table for some edits."""
    errors = 100 * np.array([row["error_m"] for row in rows])
    shakes = np.array([row["jitter"] for row in rows])
    slides, soles = (100 * np.array([row[name] for row in rows]) for name in ("skating", "foot_skating"))
    content = [row["content"] for row in rows if row["content"] is not None]
    depths = 100 * np.array([row["deepest_m"] for row in rows if "deepest_m" in row]).reshape(-1, 2)
    same = [row["recognised"] for row in rows if "recognised" in row]
    lost = 100 * np.array([row["reconstruction_m"] for row in rows], float)
    return [
        f"{len(rows)}",
        f"{100 * np.mean([row['error_before_m'] for row in rows]):.0f} → {errors.mean():.2f} ({np.median(errors):.2f})",
        f"{100 * (errors < 2).mean():.0f} %",
        f"{shakes[:, 0].mean():.0f} → {shakes[:, 1].mean():.0f} ({np.mean(shakes[:, 1] / shakes[:, 0]):.2f}×)",
        f"{slides[:, 0].mean():.0f} → {slides[:, 1].mean():.0f} %",
        f"{soles[:, 0].mean():.0f} → {soles[:, 1].mean():.0f} %",
        f"{np.mean(content):.2f}" if content else "",
        f"{100 * np.mean(same):.0f} %" if same else "",
        f"{depths[:, 0].mean():.0f} → {depths[:, 1].mean():.1f}, {100 * (depths[:, 1] <= 1).mean():.0f} %"
        if len(depths)
        else "",
        f"{lost[:, 0].mean():.1f} → {lost[:, 1].mean():.1f}",
        f"{np.mean([row['steps'] for row in rows]):.0f}",
    ]


HEAD = (
    "input", "edits", "objective error, cm: input → mean (median)", "under 2 cm", "jitter, m/s³", "skating (GMD)",
    "foot skating", "content", "action recognised", "deepest, cm; ≤ 1 cm", "rebuilt, cm: inverted → fitted", "steps",
)  # fmt: skip


def printed(results: dict[str, dict[str, Any]]) -> str:
    """All tables as Markdown, input by input."""
    lines = []
    for table, inputs in results.items():
        lines += [f"\n### {table}\n", f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
        for name, found in inputs.items():
            lines.append(f"| {name} | {' | '.join(line(found['rows']))} |")
        lines.append(f"| **all** | {' | '.join(line([row for found in inputs.values() for row in found['rows']]))} |")
    return "\n".join(lines)


def settings_of(asked: argparse.Namespace, checkpoint_sha256: str) -> dict[str, Any]:
    """What decides a row, for the file."""
    section = json.loads(asked.run_section)
    return {"edits": asked.edits, "steps": asked.steps, "run": section, "checkpoint_sha256": checkpoint_sha256}


def conflict(results: dict[str, dict[str, Any]], settings: dict[str, Any]) -> str:
    """How rows were made otherwise; empty when they were not. What an older file does not tell counts as the same."""
    for table, inputs in results.items():
        for name, found in inputs.items():
            for key, before in found["settings"].items():
                if before != settings.get(key, before):
                    return f"{key} {json.dumps(before)} for {table}, {name}, and not {json.dumps(settings[key])}"
    return ""


def main() -> None:
    """Run the tables that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("dno.json"))
    parser.add_argument("--table", choices=TABLES, nargs="+", default=["pelvis"])
    parser.add_argument("--actions", nargs="+", help="Of the inputs, in turn; all of the run's by default.")
    parser.add_argument("--data", type=Path, help="Motion file with test clips, for the table `recorded`.")
    parser.add_argument("--recogniser", type=Path, help="Its run: does it see the same action after an edit?")
    parser.add_argument("--inputs", type=int, default=6)
    parser.add_argument("--edits", type=int, default=16, help="Per input, searched for in one batch.")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--run-section", default="{}", help='JSON, such as {"stop": "never"}.')
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--print", action="store_true", dest="only_print", help="Print what --out holds, and stop.")
    asked = parser.parse_args()
    results: dict[str, dict[str, Any]] = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    if asked.only_print:
        print(printed(results))
        return
    use_threads(asked.threads)
    generator = load_generator(asked.run)
    settings = settings_of(asked, generator.sha256)
    if different := conflict(results, settings):
        parser.error(f"{asked.out} was made with {different}: give the same settings, or another --out")
    session = Session(generator, force=True)
    judge = load_recogniser(asked.recogniser) if asked.recogniser else None
    actions = asked.actions or generator.actions
    for table in asked.table:
        if table == "recorded":
            sources = recorded(read_motions(asked.data), generator, actions, asked.inputs)
        else:
            sources = generated(generator, actions, asked.inputs)
        if table == "obstacle":
            sources = [each for each in sources if np.linalg.norm(each.way[-1] - each.way[0]) > TRAVELS_M]
        for seed, source in enumerate(sources):
            done = results.setdefault(table, {})
            if source.name in done:
                continue
            began_s = time.process_time()
            plans = edits_of(session, table, source, seed, asked)
            alone = [Chain((), len(source), True)] * len(plans)
            edits = search_all(session, plans, alone, None, None, lambda _: None)
            rows = [measured(edited, judge) for edited in edits]
            done[source.name] = {"rows": rows, "cpu_s": time.process_time() - began_s, "settings": settings}
            write_text(asked.out, json.dumps(results, indent=1))
            print(table, source.name, *line(rows), f"{done[source.name]['cpu_s']:.0f} s", sep=" | ", flush=True)
    print(printed(results))


if __name__ == "__main__":
    main()
