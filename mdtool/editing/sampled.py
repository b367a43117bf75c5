"""An input that the run makes itself."""

from __future__ import annotations

import numpy as np
import torch

from mdtool.editing.decoding import smooth_steps
from mdtool.editing.request import EditRequest
from mdtool.editing.source import Source
from mdtool.errors import MdtoolError
from mdtool.methods.contract import FieldMethod
from mdtool.methods.generate import Generator
from mdtool.methods.seeds import sample_generators
from mdtool.motion.motion import Motion


@torch.no_grad()
def sampled_source(generator: Generator, request: EditRequest) -> Source:
    """The sample of a seed, decoded as the edit will decode, so that its noise is its own exactly.

    Raises:
        MdtoolError: the run does not know the action.
    """
    wanted, method = request.input.generate, generator.method
    assert wanted is not None
    if wanted.action is not None and wanted.action not in generator.actions:
        raise MdtoolError(f"no action {wanted.action!r}: the run knows {', '.join(generator.actions)}")
    device = next(method.parameters()).device
    options = method.smooth_options(smooth_steps(request.run))
    frames = None if request.length is None else method.frames_for(request.length)
    if frames is not None and isinstance(method, FieldMethod):
        options |= {"times_s": torch.arange(frames, device=device) / generator.fps}
    noise = method.noise(sample_generators(wanted.seed, 0, 1), frames).to(device)
    label = None
    if wanted.action is not None and request.run.condition != "none":
        label = torch.tensor([generator.actions.index(wanted.action)], device=device)
    features = method.decode(noise, label, **options).float()
    (rot6d, root), betas = method.to_motion(features), method.to_betas(features)
    motion = Motion(
        rot6d=rot6d[0].cpu().numpy().astype(np.float32),
        root=root[0].cpu().numpy().astype(np.float32),
        fps=generator.fps,
        action=wanted.action or "",
        name=f"{wanted.action or 'sample'} of seed {wanted.seed}",
        noise=noise[0].cpu().numpy(),
        betas=None if betas is None else betas[0].cpu().numpy(),
        gender="" if betas is None else generator.gender,
    )
    return Source(motion, None, generator.fps, motion.name, provenance={"checkpoint_sha256": generator.sha256})
