"""Where and how a process computes."""

from __future__ import annotations

import pytest
import torch

from mdtool.errors import MdtoolError
from mdtool.training.device import MOST_THREADS, prepare


@pytest.mark.parametrize("threads", [0, MOST_THREADS + 1, 100_000])
def test_threads_that_no_machine_has_are_refused_before_torch_sees_them(threads: int) -> None:
    before = torch.get_num_threads()
    with pytest.raises(MdtoolError, match=f"--threads {threads}: give 1 to {MOST_THREADS}"):
        prepare("cpu", threads)
    assert torch.get_num_threads() == before
