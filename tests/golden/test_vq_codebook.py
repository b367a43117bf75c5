"""T2M-GPT's quantiser over several batches, its convolutional encoder and decoder, and the whole autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from mdtool.networks.vqvae import VQVAE, ConvDecoder, ConvEncoder, Quantiser
from tests.golden.tiny_denoiser import Golden, assert_close, tensors
from tests.golden.weight_recipe import recipe_seed, recipe_state_dict


@pytest.fixture
def g(golden: Golden) -> dict[str, Tensor]:
    return tensors(golden("vq_codebook"))


def drawing(stored: Tensor | None) -> Callable[[tuple[int, int]], Tensor]:
    """The stored draws of one call, in order."""
    draws = iter([] if stored is None else stored)
    return lambda shape: next(draws)


@pytest.mark.parametrize("case", ["large_batch", "tiled"])
def test_quantiser_learns_as_the_reference(g: dict[str, Tensor], case: str) -> None:
    codes, width = g[f"{case}/0/codebook"].shape
    quantiser = Quantiser(codes, width)
    calls = sorted({int(key.split("/")[1]) for key in g if key.startswith(f"{case}/") and key.split("/")[1].isdigit()})
    assert len(calls) >= 3
    for call in calls:
        key = f"{case}/{call}"
        x = g[f"{key}/x"].clone().requires_grad_()
        made = quantiser(x, drawing(g.get(f"{key}/tile_noise")))
        assert made.indices.tolist() == g[f"{key}/code_idx"].tolist()
        assert_close(made.x, g[f"{key}/x_d"], atol=5e-6)
        assert_close(made.commitment, g[f"{key}/commit"], atol=0, rtol=1e-5)
        assert_close(made.perplexity, g[f"{key}/perplexity"], atol=0, rtol=1e-5)
        for name in ("codebook", "code_sum", "code_count"):
            assert_close(getattr(quantiser, name), g[f"{key}/{name}"], atol=5e-6)
        if f"{key}/grad_x" in g:
            ((made.x * g[f"{key}/grad_weight"]).sum() + made.commitment).backward()
            assert_close(x.grad, g[f"{key}/grad_x"], atol=1e-6)
    made = quantiser(g[f"{case}/eval/x"])
    assert made.indices.tolist() == g[f"{case}/eval/code_idx"].tolist()
    assert_close(made.x, g[f"{case}/eval/x_d"], atol=5e-6)
    assert_close(made.commitment, g[f"{case}/eval/commit"], atol=0, rtol=1e-5)
    assert_close(made.perplexity, g[f"{case}/eval/perplexity"], atol=0, rtol=1e-5)
    assert_close(quantiser.dequantise(made.indices), g[f"{case}/eval/dequantized"], atol=5e-6)


@torch.no_grad()
def test_encoder_and_decoder(g: dict[str, Tensor]) -> None:
    encoder_weights, decoder_weights = (
        {key.removeprefix(f"{kind}/"): value for key, value in g.items() if key.startswith(f"{kind}/")}
        for kind in ("esd", "dsd")
    )
    width, features, _ = encoder_weights["model.0.weight"].shape
    code_width = g["net/latent"].shape[1]
    encoder, decoder = (kind(features, code_width, width, 3, 3, 2).eval() for kind in (ConvEncoder, ConvDecoder))
    encoder.load_state_dict(encoder_weights)
    decoder.load_state_dict(decoder_weights)
    for made, expected in (
        (encoder(g["net/x"]), g["net/latent"]),
        (decoder(g["net/latent"]), g["net/decoded"]),
        (encoder(g["net/x"][..., :30]), g["net/latent_30_frames"]),
    ):
        # With these weights outputs reach 100, where the last place of a float32 is 8e-6: 2e-5 is for numbers near 1.
        assert_close(made, expected, atol=max(2e-5, 1e-6 * float(expected.abs().max())))


@torch.no_grad()
def test_whole_autoencoder(g: dict[str, Tensor], golden_folder: Path) -> None:
    code_width, width = g["net/latent"].shape[1], len(g["esd/model.0.bias"])
    network = VQVAE(features=g["vqvae/x"].shape[2], codes=24, code_width=code_width, width=width).eval()
    own = network.state_dict()
    made = recipe_state_dict({key: value.shape for key, value in own.items()}, recipe_seed(golden_folder))
    kept = {key: own[key] for key in own if key.startswith("quantizer.") and key != "quantizer.codebook"}
    network.load_state_dict({**made, **kept})
    out, codes = network(g["vqvae/x"])
    assert codes.indices.tolist() == g["vqvae/code_idx"].flatten().tolist()
    assert_close(out, g["vqvae/out"], atol=max(2e-5, 1e-6 * float(g["vqvae/out"].abs().max())))
    assert_close(codes.commitment, g["vqvae/commit"], atol=0, rtol=1e-5)
    assert_close(codes.perplexity, g["vqvae/perplexity"], atol=0, rtol=1e-5)
    again = g["vqvae/decoded_from_idx"]
    assert_close(
        network.decode_indices(g["vqvae/code_idx"][:1]), again, atol=max(2e-5, 1e-6 * float(again.abs().max()))
    )
    assert_close(smooth_l1_loss(out, g["vqvae/x"]), g["vqvae/loss_motion"], atol=0, rtol=1e-5)
    # The reference's velocity loss compares columns 4 to 66, the local joint positions; ours takes differences in time.
    columns = slice(4, 67)
    assert_close(smooth_l1_loss(out[..., columns], g["vqvae/x"][..., columns]), g["vqvae/loss_vel"], atol=0, rtol=1e-5)
