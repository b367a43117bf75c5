"""The recurrent action recogniser that scores HumanAct12 (Guo et al. 2020, action2motion, section 5.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GRUClassifier(nn.Module):
    """Two GRU layers over joint positions; state-dict keys are the published ones.

    Args:
        actions: number of classes.
        joints: positions per frame; 24 in the published recogniser.
        width: size of the hidden state; 128 in the published one.
        features: size of the layer before the last; 30 in the published one.
    """

    LAYERS = 2

    def __init__(self, actions: int, joints: int = 24, width: int = 128, features: int = 30) -> None:
        super().__init__()
        self.width = width
        self.recurrent = nn.GRU(3 * joints, width, self.LAYERS, batch_first=True)
        self.linear1 = nn.Linear(width, features)
        self.linear2 = nn.Linear(features, actions)

    def features_and_logits(
        self, xyz: Tensor, hidden: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Classify windows by the state after their last frame.

        Args:
            xyz: joint positions [B, J, 3, T], metres.
            hidden: state before the first frame [2, B, D]; zero when not given. The published program draws it from
                N(0, 1) at every call, so that its features of one motion differ from call to call.
            lengths: frames of each window [B] int64; T when not given.

        Returns:
            (features [B, F] between -1 and 1, class scores [B, actions]).
        """
        states, _ = self.recurrent(xyz.flatten(1, 2).transpose(1, 2), hidden)
        last = states[:, -1] if lengths is None else states[torch.arange(len(xyz), device=xyz.device), lengths - 1]
        features = torch.tanh(self.linear1(last))
        return features, self.linear2(features)
