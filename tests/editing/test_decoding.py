"""The frozen network of a run, as it is and compiled."""

from __future__ import annotations

import pytest
import torch
import torch._dynamo.utils as dynamo
from torch import Tensor, nn

from mdtool.editing.compiler import compile_request
from mdtool.editing.decoding import Decoder
from mdtool.editing.plan import Plan
from mdtool.editing.reading import request_of
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError
from mdtool.methods.generate import Generator
from mdtool.methods.seeds import sample_generators
from mdtool.motion.motion import Motion
from tests.methods.contract_cases import CASES, fresh
from tests.motion.smooth_motion import smooth_motion


def plan_of(decoder: Decoder) -> Plan:
    """An edit of a motion whose action the network knows."""
    action = decoder.generator.actions[0]
    source = Source(Motion(*smooth_motion(60, 3), 20.0, action, name="swaying"), None, 20.0, "swaying")
    return compile_request(*request_of({"version": 1, "keep": {}}, "edit.yaml"), source, 60, force=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("case", ["mdm", "emdm"])
def test_a_compiled_network_decodes_the_same_and_has_the_same_gradient(case: str) -> None:
    decoder = Decoder(Generator(fresh(CASES[case]), "raw", "weights"))
    plan, packs = plan_of(decoder), decoder.method.noise(sample_generators(0, 0, 2))

    def look() -> tuple[Tensor, Tensor]:
        noise = packs.clone().requires_grad_()
        features = decoder.decode(plan, noise, decoder.action(plan, 2))
        features.square().sum().backward()
        assert noise.grad is not None
        return features.detach(), noise.grad

    plain, counted = look(), dynamo.counters["stats"]
    before = counted["unique_graphs"]
    decoder.compile(plan)
    tried = counted["unique_graphs"]
    assert tried > before
    for compiled, eager in zip(look(), plain, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-3, atol=1e-4)
    assert counted["unique_graphs"] == tried, "a search compiles nothing more"


def test_where_nothing_compiles_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: nn.Module) -> None:
        def call(*inputs: object) -> None:
            raise RuntimeError("no C++ compiler\nand much more")

        monkeypatch.setattr(self, "forward", call)

    monkeypatch.setattr(nn.Module, "compile", broken)
    decoder = Decoder(Generator(fresh(CASES["mdm"]), "raw", "weights"))
    with pytest.raises(MdtoolError, match=r"\(RuntimeError: no C\+\+ compiler\): leave out --compile"):
        decoder.compile(plan_of(decoder))
