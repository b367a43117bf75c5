"""The trial that lets oneDNN multiply float32 matrices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mdtool.networks import precision
from mdtool.networks.precision import EXACT, largest_product_error, onednn_multiplies, use_fast_float32
from mdtool.networks.transformer import attention

pytestmark = pytest.mark.skipif(
    not hasattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision"),
    reason="this PyTorch cannot choose how float32 matrices are multiplied",
)


@pytest.fixture(autouse=True)
def setting_restored() -> Iterator[None]:
    before = torch.backends.mkldnn.matmul.fp32_precision
    yield
    torch.backends.mkldnn.matmul.fp32_precision = before


def test_products_are_float32_whatever_was_decided() -> None:
    assert largest_product_error() < EXACT
    used = use_fast_float32()
    assert largest_product_error() < EXACT
    assert onednn_multiplies(torch.float32) == used
    assert onednn_multiplies(torch.bfloat16)
    assert not onednn_multiplies(torch.float64)


def test_a_rounding_kernel_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    monkeypatch.setattr(precision, "largest_product_error", lambda: 3e-3)
    assert not use_fast_float32()
    assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"


def test_the_trial_tells_bf16_from_float32() -> None:
    x, weight = torch.randn(256, 384), torch.randn(512, 384)
    exact = x.double() @ weight.double().T
    rounded = x.bfloat16().double() @ weight.bfloat16().double().T
    assert (rounded - exact).abs().max() / exact.abs().max() > 40 * EXACT


def test_attention_is_the_same_either_way() -> None:
    q, k, v = torch.randn(3, 2, 4, 9, 8)
    visible = (torch.arange(9) < 5).view(1, 1, 1, 9)
    torch.backends.mkldnn.matmul.fp32_precision = "none"
    kernel = attention(q, k, v, visible)
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    torch.testing.assert_close(attention(q, k, v, visible), kernel, rtol=0, atol=2e-6 if use_fast_float32() else 2e-2)


def test_bf16_is_native_only_where_the_processor_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert not precision.bf16_is_native(torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert precision.bf16_is_native(torch.device("cpu"))
