"""CoCo-INR's codebook-coordinate attention, stage by stage, and a field made with it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear, softplus

from mdtool.networks.codebook_attention import CodebookStage, CoordinateStage
from tests.golden.tiny_denoiser import Golden, assert_close, tensors

HEADS = 4


@pytest.fixture
def g(golden: Golden) -> dict[str, Tensor]:
    return tensors(golden("cca"))


def weights_of(g: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Weights under a prefix; the reference's `cross_attn`, which it never uses, left out."""
    found = {key.removeprefix(prefix): value for key, value in g.items() if key.startswith(prefix)}
    return {key: value for key, value in found.items() if not key.startswith("cross_attn.")}


def codebook_stage(weights: dict[str, Tensor]) -> CodebookStage:
    queries, width = weights["latents"].shape
    depth = len({key.split(".")[1] for key in weights if key.startswith("self_attend_blocks")})
    code_width = weights["cross_attend_blocks.0.fn.to_kv.weight"].shape[1]
    stage = CodebookStage(code_width, queries, width, depth, HEADS)
    stage.load_state_dict(weights)
    return stage.eval()


def coordinate_stage(weights: dict[str, Tensor], activation: str) -> CoordinateStage:
    depth = len({key.split(".")[1] for key in weights})
    inner, coordinates = weights["cross_attend_blocks.0.0.fn.to_q.weight"].shape
    stage = CoordinateStage(coordinates, inner, depth, HEADS, activation)  # type: ignore[arg-type]
    stage.load_state_dict(weights)
    return stage.eval()


@torch.no_grad()
def test_codebook_stage(g: dict[str, Tensor]) -> None:
    assert_close(codebook_stage(weights_of(g, "csd/"))(g["codebook"]), g["latents"], atol=2e-5)


@pytest.mark.parametrize(
    ("name", "weights"), [("softplus_depth1", "q1sd/"), ("gelu_depth1", "q1sd/"), ("gelu_depth2", "q2sd/")]
)
@torch.no_grad()
def test_coordinate_stage(g: dict[str, Tensor], name: str, weights: str) -> None:
    stage = coordinate_stage(weights_of(g, weights), name.partition("_")[0])
    assert_close(stage(g["coords"], g["latents"]), g[f"out_{name}"], atol=2e-5)


@torch.no_grad()
def test_field(g: dict[str, Tensor]) -> None:
    items = codebook_stage(weights_of(g, "fsd/codebook_attn."))(g["codebook"])
    stage = coordinate_stage(weights_of(g, "fsd/coordinate_attn."), "softplus")
    x = torch.cat([g["field/embedded"], stage(g["field/embedded"].unsqueeze(0), items)[0]], dim=-1)
    mlp = weights_of(g, "fsd/mlp.")
    last = max(int(key.split(".")[0]) for key in mlp)
    for layer in range(last + 1):
        x = linear(x, mlp[f"{layer}.weight"], mlp[f"{layer}.bias"])
        x = x if layer == last else softplus(x, beta=100)
    assert_close(x, g["field/out"], atol=1e-4)
