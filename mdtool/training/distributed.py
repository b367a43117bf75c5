"""Several processes (ranks) that do one process's work: started by torchrun, joined here.

Every rank holds the whole network and a share of each batch. Gradients are summed with one plain all-reduce, since
what is to be reproduced is the one process's sum over the batch: DistributedDataParallel averages over ranks, which
is another number when the batch does not divide by them, and wraps a `forward` that the losses do not go through.
Tensors on a GPU travel by NCCL; everything else, signals and samples included, by gloo.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from mdtool.errors import MdtoolError
from mdtool.methods.contract import Share
from mdtool.training.device import prepare

Made = TypeVar("Made")
Item = TypeVar("Item")

_store: dist.Store | None = None
"""torchrun's store, once this process has reached it; it outlives any rank."""
_joined = 0
"""Groups that this process has formed: each has its own keys in the store."""


class Ranks:
    """The processes that share the work, seen from one of them. Without torchrun there is one, and nothing travels."""

    def __init__(self, rank: int = 0, world: int = 1) -> None:
        self.rank, self.world = rank, world

    @property
    def first(self) -> bool:
        """Whether this rank is the one that writes files and speaks to the user."""
        return self.rank == 0

    def share(self, batch: int) -> Share:
        """The windows of a batch that this rank computes.

        Raises:
            MdtoolError: fewer windows than ranks.
        """
        if batch < self.world:
            raise MdtoolError(f"a batch of {batch} cannot be shared by {self.world} ranks: start at most {batch}")
        return Share() if self.world == 1 else _RankShare(self, batch)

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over the ranks; all ranks end with the same bits."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        self.sum(flat)
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(own) for part, own in zip(parts, gradients, strict=True)])

    def sum(self, values: Tensor) -> Tensor:
        """`values` summed over the ranks, in place."""
        if self.world > 1:
            with _company(self):
                dist.all_reduce(values)
        return values

    def any(self, here: bool) -> bool:
        """Whether it holds on at least one rank; every rank gets the same answer."""
        return bool(self.sum(torch.tensor(int(here)))) if self.world > 1 else here

    def from_first(self, make: Callable[[], Made]) -> Made:
        """What the first rank makes, on every rank."""
        if self.world == 1:
            return make()
        box: list[Any] = [make() if self.first else None]
        with _company(self):
            dist.broadcast_object_list(box)
        made: Made = box[0]
        return made

    def spread(self, work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
        """`work` of every item, in order, on every rank; each rank does every world-th item."""
        own = [work(item) for item in items[self.rank :: self.world]]
        if self.world == 1:
            return own
        parts: list[Any] = [None] * self.world
        with _company(self):
            dist.all_gather_object(parts, own)
        return [parts[k % self.world][k // self.world] for k in range(len(items))]

    def wait(self) -> None:
        """Go on when every rank is here."""
        self.any(False)

    def leave(self) -> None:
        """Wait for the others, and end the group."""
        if self.world > 1:
            self.wait()
            dist.destroy_process_group()


class _RankShare(Share):
    """Consecutive windows of the batch: rank r of N has the windows r B / N … (r + 1) B / N - 1, rounded down."""

    def __init__(self, ranks: Ranks, batch: int) -> None:
        self.ranks, self.batch = ranks, batch
        self._bounds = [rank * batch // ranks.world for rank in range(ranks.world + 1)]

    def whole(self, count: int) -> int:
        return self.batch

    def mine(self, values: Any) -> Any:
        return values[self._bounds[self.ranks.rank] : self._bounds[self.ranks.rank + 1]]

    def gathered(self, values: Tensor) -> Tensor:
        sizes = [stop - start for start, stop in zip(self._bounds, self._bounds[1:], strict=False)]
        padded = values.new_zeros(max(sizes), *values.shape[1:])
        padded[: len(values)] = values
        parts = [torch.empty_like(padded) for _ in sizes]
        with _company(self.ranks):
            dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def join(device: str, threads: int | None) -> tuple[torch.device, Ranks]:
    """Choose the device of this process and, under torchrun, meet the other ranks.

    A rank computes on the GPU of its number on its machine, or on the CPU with one thread unless told otherwise.

    Args:
        device: auto, cpu or cuda; a numbered GPU only without torchrun.

    Raises:
        MdtoolError: no such device, fewer GPUs than ranks, or a rank that did not come.
    """
    global _store, _joined
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return prepare(device, threads), Ranks()
    if _store is None:
        try:
            _store, _, _ = next(iter(dist.rendezvous("env://")))
        except (ValueError, RuntimeError) as error:
            raise MdtoolError(
                f"cannot meet the other ranks ({error}): start them with torchrun", exit_code=1
            ) from error
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    where = prepare(_own_device(device), threads or 1)
    if where.type == "cuda":
        torch.cuda.set_device(where)
    _joined += 1
    ranks = Ranks(rank, world)
    with _company(ranks):
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo",
            store=dist.PrefixStore(f"mdtool/{_joined}", _store),
            rank=rank,
            world_size=world,
        )
    return where, ranks


def first_to_speak() -> bool:
    """Whether no rank has told the user why the work ended; asking counts as telling.

    An error that all ranks meet is then told once, and one that a single rank meets is told by that rank before the
    others notice that it is gone.
    """
    if _store is not None:
        try:
            return _store.add("mdtool/told", 1) == 1
        except RuntimeError:  # whoever held the store is gone: without torchrun that is the first rank, which has told
            pass
    return int(os.environ.get("RANK", 0)) == 0


def _own_device(device: str) -> str:
    """The name of this rank's device."""
    wants_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if device.startswith("cuda:"):
        raise MdtoolError(f"--device {device} would put every rank on one GPU: give --device cuda, one GPU for each")
    if not wants_gpu:
        return device
    place, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if place >= gpus:
        raise MdtoolError(f"there are more ranks than the {gpus} GPUs of this machine: lower --nproc-per-node")
    return f"cuda:{place}"


@contextmanager
def _company(ranks: Ranks) -> Iterator[None]:
    """Tell in a sentence when another rank is gone."""
    try:
        yield
    except RuntimeError as error:
        raise MdtoolError(
            f"another of the {ranks.world} ranks ended early (killed, or out of memory?): run the same command again, "
            "a training goes on from its last checkpoint",
            exit_code=1,
        ) from error
