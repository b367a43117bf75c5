"""MDM's action checkpoints as runs: flat, with MDM's average of weights, or with pytorch_ema's lists.

What a checkpoint does not tell (heads, dropout, diffusion steps, loss weights) comes from the args.json beside it and
from a profile, a preset of ours. The number of heads is in neither and changes no tensor's shape: MDM built 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mdtool.config import validated
from mdtool.errors import MdtoolError
from mdtool.motion.features import ROWS
from mdtool.training.checkpoint import RAW, RunFolder
from mdtool.training.foreign_tensors import checked_tensor, tensor_table
from mdtool.training.imported import PUBLISHED_ACTIONS, PUBLISHED_FPS, published_data, read_action_names, write_imported

FEATURES = ROWS * 6
TABLE_LENGTH = 5000
"""Rows of the fixed table of positions, which timesteps index too."""
UNCONDITIONED = "unconditioned"
"""The one action of a model that was trained without any."""
_POSITIONS = re.compile(r"(embed_timestep\.)?sequence_pos_encoder\.pe")
_FIRST = "input_process.poseEmbedding.weight"
_OTHER_KINDS = {
    # prefix of a tensor's name → what the file is
    "embed_text.": "a text-to-motion model",
    "clip_model.": "a text-to-motion model",
    "embed_target_cond.": "a model of target conditioning",
    "seqTransDecoder.": "MDM's decoder variant (arch trans_dec)",
    "gru.": "MDM's GRU variant (arch gru)",
    "recurrent.": "a GRU recogniser: use `mdtool import recogniser`",
    "st_gcn_networks.": "an ST-GCN recogniser: use `mdtool import recogniser`",
    "input_process.velEmbedding.": "a model of another representation (rot_vel)",
}


OF_MDM = "mdm-a2m"
COMMAND_LINE = {
    "cond_mask_prob": 0.1,
    "noise_schedule": "cosine",
    "diffusion_steps": 1000,
    "lambda_rcxyz": 0.0,
    "lambda_vel": 0.0,
    "lambda_fc": 0.0,
}
"""Defaults of MDM's command line, for keys that an args.json of its early days lacks."""


class PublishedArgs(BaseModel):
    """The keys of MDM's args.json that are used here; the others are of no consequence for an action model."""

    model_config = ConfigDict(extra="ignore")

    dataset: str | None = None
    arch: str = "trans_enc"
    num_frames: int = Field(60, gt=1, lt=TABLE_LENGTH)
    cond_mask_prob: float | None = Field(None, ge=0, le=1)
    noise_schedule: Literal["cosine", "linear"] | None = None
    diffusion_steps: int | None = Field(None, gt=1, le=TABLE_LENGTH)
    sigma_small: bool = True
    lambda_rcxyz: float | None = Field(None, ge=0)
    lambda_vel: float | None = Field(None, ge=0)
    lambda_fc: float | None = Field(None, ge=0)
    avg_model_beta: float = Field(0.9999, gt=0, lt=1)
    seed: int | None = Field(None, ge=0)
    batch_size: int | None = Field(None, gt=0)
    lr: float | None = Field(None, gt=0)
    weight_decay: float | None = Field(None, ge=0)


class _Sizes(NamedTuple):
    """What the shapes of a checkpoint tell."""

    width: int
    feedforward: int
    layers: int
    actions: int
    """0 for a model without action conditioning."""


def import_mdm(
    content: object,
    path: Path,
    out: Path,
    args: Mapping[str, Any] | None = None,
    averages: Mapping[Path, object] | None = None,
    profile: str = OF_MDM,
    heads: int | None = None,
    action_names: Path | None = None,
    fps: float | None = None,
) -> tuple[RunFolder, list[str]]:
    """Make a run of a checkpoint.

    Args:
        content: what the torch file `path` holds: a state dict; {"model", "model_avg"}; or either with states of
            pytorch_ema under further keys; or such a state alone.
        args: the table of args.json; None when there is none.
        averages: further files that hold states of pytorch_ema, and their content.
        profile: preset whose settings count where neither the shapes nor args.json tell: mdm-a2m or thesis.
        heads: attention heads; the profile's when not given.
        action_names: a file with one name a line, for weights of another data set.
        fps: frame rate; the published data set's when not given.

    Returns:
        (the run, notes for the user).

    Raises:
        MdtoolError: another kind of file, incomplete weights, settings that do not fit, or the run cannot be written.
    """
    own = {} if args is None or profile != OF_MDM else COMMAND_LINE
    known = validated(PublishedArgs, own | _given(args or {}), "args.json")
    _require_action_model(known, path)
    states = dict(_states(content, path, known.avg_model_beta))
    for place, state in (averages or {}).items():
        states |= dict(_averages([state], place))
    if not states:
        raise MdtoolError(f"{path} holds no weights of MDM: give its model….pt")
    tracks = {track: _named(state, path, track) for track, state in states.items()}
    sizes = [_sizes(weights, path) for weights in tracks.values()]
    if len(set(sizes)) > 1:
        raise MdtoolError(f"{path}: its tracks {', '.join(tracks)} are of networks of different sizes")
    width, feedforward, layers, actions = sizes[0]
    model: dict[str, Any] = {
        "frames": known.num_frames, "width": width, "feedforward": feedforward, "layers": layers,
        "conditional": actions > 0, "heads": heads, "cond_mask_prob": known.cond_mask_prob,
        "diffusion_steps": known.diffusion_steps, "schedule": known.noise_schedule,
        "lambda_position": known.lambda_rcxyz, "lambda_velocity": known.lambda_vel, "lambda_foot": known.lambda_fc,
    }  # fmt: skip
    train: dict[str, Any] = {
        "seed": known.seed, "batch": known.batch_size, "lr": known.lr, "weight_decay": known.weight_decay,
        "ema": sorted(float(track.partition(":")[2]) for track in tracks if track != RAW),
    }  # fmt: skip
    names, rate, notes = _actions(path, actions, known, action_names, fps)
    notes += _notes(args, known, profile, heads)
    step = re.fullmatch(r"model(\d{1,9})", path.stem)
    folder = write_imported(
        out, path, profile, names, rate, tracks, int(step[1]) if step else 0, _given(train), _given(model)
    )
    return folder, notes


def published_names(layers: int, conditional: bool) -> list[str]:
    """Names of the parameters in the order of MDM's `parameters()`, which pytorch_ema's lists follow: 105 for UESTC."""
    inner = (
        "self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight", "self_attn.out_proj.bias",
        "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias",
        "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias",
    )  # fmt: skip
    return [
        "input_process.poseEmbedding.weight",
        "input_process.poseEmbedding.bias",
        *(f"seqTransEncoder.layers.{layer}.{name}" for layer in range(layers) for name in inner),
        *(f"embed_timestep.time_embed.{place}.{kind}" for place in (0, 2) for kind in ("weight", "bias")),
        *(["embed_action.action_embedding"] if conditional else []),
        "output_process.poseFinal.weight",
        "output_process.poseFinal.bias",
    ]


def _states(content: object, path: Path, average_decay: float) -> list[tuple[str, object]]:
    """(track, state dict or list of tensors) of everything in a file."""
    if not isinstance(content, Mapping):
        raise MdtoolError(f"{path} holds no weights of MDM: give its model….pt")
    if "param_groups" in content:
        raise MdtoolError(f"{path} is the state of an optimiser (MDM's opt….pt): give the model….pt beside it")
    if "model" in content and "optimizer" in content and "iteration" in content:
        raise MdtoolError(f"{path} is a recogniser (HumanAct12's GRU): use `mdtool import recogniser {path}`")
    if "shadow_params" in content:
        return _averages([content], path)
    found: list[tuple[str, object]] = []
    if isinstance(content.get("model"), Mapping):
        found.append((RAW, content["model"]))
        if content.get("model_avg") is not None:
            found.append((f"ema:{average_decay:g}", content["model_avg"]))
    elif any(isinstance(value, Tensor) for value in content.values()):
        return [(RAW, content)]
    shadows = [value for value in content.values() if isinstance(value, Mapping) and "shadow_params" in value]
    return found + _averages(shadows, path)


def _averages(states: Sequence[object], path: Path) -> list[tuple[str, object]]:
    """pytorch_ema's states as tracks: {decay, num_updates, shadow_params, collected_params}."""
    found: list[tuple[str, object]] = []
    for state in states:
        shadow = state.get("shadow_params") if isinstance(state, Mapping) else None
        decay = state.get("decay") if isinstance(state, Mapping) else None
        if not isinstance(shadow, list | tuple) or not isinstance(decay, float) or not 0 < decay < 1:
            raise MdtoolError(f"{path} holds no state of pytorch_ema (a decay and a list of shadow_params)")
        found.append((f"ema:{decay:g}", list(shadow)))
    return found


def _named(state: object, path: Path, track: str) -> dict[str, Tensor]:
    """A track's tensors by name, without the fixed tables of positions."""
    if isinstance(state, list):
        conditional = (len(state) - 8) % 12 == 1
        layers = (len(state) - 8) // 12
        names = published_names(layers, conditional)
        if layers < 1 or len(names) != len(state):
            raise MdtoolError(
                f"{path}: the averaged weights are {len(state)} tensors, which no depth of MDM's encoder has "
                "(8 layers with actions have 105)"
            )
        if not all(isinstance(tensor, Tensor) for tensor in state):
            raise MdtoolError(f"{path}: {track} holds something that is no tensor")
        pairs = zip(names, state, strict=True)
        return {name: checked_tensor(tensor, path, f"{track} {name}") for name, tensor in pairs}
    table = tensor_table(state, path, track)
    for name in table:
        other = next((kind for prefix, kind in _OTHER_KINDS.items() if name.startswith(prefix)), None)
        if other is not None:
            raise MdtoolError(f"{path} is {other}; mdtool imports MDM's action models with the transformer encoder")
    return {name: tensor for name, tensor in table.items() if not _POSITIONS.fullmatch(name)}


def _sizes(weights: Mapping[str, Tensor], path: Path) -> _Sizes:
    """Sizes of the network, as far as shapes tell them."""
    if _FIRST not in weights or weights[_FIRST].ndim != 2:
        raise MdtoolError(f"{path} is no checkpoint of MDM: it has no {_FIRST}")
    width, features = weights[_FIRST].shape
    if features != FEATURES:
        raise MdtoolError(
            f"{path} works on {features} numbers per frame and not on {ROWS} × 6 rotations: it is no action model"
        )
    numbered = (re.search(r"\.layers\.(\d{1,6})\.", name) for name in weights)
    layers = 1 + max((int(found[1]) for found in numbered if found), default=0)
    action = weights.get("embed_action.action_embedding")
    names = published_names(layers, action is not None) if layers < len(weights) else []
    absent = [name for name in names if name not in weights] if names else ["some layers"]
    if absent:
        raise MdtoolError(f"{path} lacks {absent[0]}: it is no complete checkpoint")
    feedforward = weights["seqTransEncoder.layers.0.linear1.bias"].numel()
    if action is not None and action.ndim != 2:
        raise MdtoolError(f"{path} has a table of actions of shape {list(action.shape)}, where rows are asked for")
    return _Sizes(int(width), int(feedforward), layers, 0 if action is None else len(action))


def _require_action_model(known: PublishedArgs, path: Path) -> None:
    if known.arch != "trans_enc":
        raise MdtoolError(f"{path} has the architecture {known.arch!r}: mdtool imports MDM's trans_enc only")
    if known.dataset in ("humanml", "kit"):
        raise MdtoolError(f"{path} was trained on {known.dataset}, which has texts: only action models are imported")


def _actions(
    path: Path, actions: int, known: PublishedArgs, action_names: Path | None, fps: float | None
) -> tuple[list[str], float, list[str]]:
    """(names, frame rate, notes)."""
    if action_names is not None:
        names = read_action_names(action_names, actions)
    elif not actions:
        names = [UNCONDITIONED]
    else:
        names = list(PUBLISHED_ACTIONS[published_data(actions, path, known.dataset)])
    dataset = next((name for name, own in PUBLISHED_ACTIONS.items() if list(own) == names), known.dataset)
    if fps is None and dataset not in PUBLISHED_FPS:
        raise MdtoolError(f"{path}: no published data set tells the frame rate of this model: give it as --fps")
    rate = PUBLISHED_FPS[str(dataset)] if fps is None else fps
    return names, rate, [] if actions else ["the model knows no actions: its motions are labelled " + UNCONDITIONED]


def _notes(args: Mapping[str, Any] | None, known: PublishedArgs, profile: str, heads: int | None) -> list[str]:
    notes = []
    if args is None:
        notes.append(f"no args.json: diffusion steps, schedule and loss weights are those of the profile {profile}")
    if heads is None:
        notes.append(f"no file of MDM tells the number of attention heads: it is that of the profile {profile}")
    if not known.sigma_small:
        notes.append("sigma_small is False in args.json; mdtool samples with the small variance")
    return notes


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
