"""The processes that train one run together, one a device: what each holds of a batch, and what they tell each other.

Every process knows the labels of the whole batch and makes the views of its own share. The backbone's features are
gathered, so each process computes the whole objective; the gradient of its own features goes back through its own
backbone, and the parameters' gradients are averaged. Torch's DDP would do the last of these while the pass back is
still under way, but it averages one pass back for each pass forward and leaves the others alone without a word;
GAC-FAS goes back several times through one graph.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from safas.errors import TrainingError
from safas.methods.base import Backward


class LostError(TrainingError):
    """Another process of the group has ended or does not answer."""


@dataclass(frozen=True)
class Group:
    """One process's place among `size` processes; the first of them alone writes files and to the screen."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """among the processes of this machine"""

    @property
    def is_first(self) -> bool:
        """Whether this process keeps the run's folder."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """The rows of n that are this process's: the shares follow one another and differ by one row at most."""
        return self.shares(n)[self.rank]

    def shares(self, n: int) -> list[slice]:
        """The rows of n that each process has."""
        return [slice(rank * n // self.size, (rank + 1) * n // self.size) for rank in range(self.size)]

    def gathered(self, own: Float[Tensor, "M D"], views: int, n: int) -> Float[Tensor, "N D"]:
        """The features of all `views` * n samples in the order that one process would have them in.

        own: of this process's share of the n images, view 1 of all, then view 2 of all. The gradient of the result,
        which must be the same in all processes, comes back times `size`, for `average_` divides by it.
        """
        if self.size == 1:
            return own
        gather: Any = _Gathered.apply  # torch does not annotate it
        whole: Tensor = gather(own.reshape(views, -1, own.shape[1]), self, n)
        return whole.flatten(0, 1)

    def average_(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors of 32 bits by their means over the processes, which get the same ones bit for bit."""
        tensors = list(tensors)
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        with in_touch():
            distributed.all_reduce(flat)
        parts = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def backward(self, plain: Backward, method: nn.Module) -> Backward:
        """`plain`, after which the parameters' gradients are those of the whole batch.

        What an earlier pass has left in them is the same in all processes, so the mean leaves it as it is. Nor does
        it change the gradients of what follows the backbone, which every process has computed from the whole batch.
        """
        if self.size == 1:
            return plain

        def averaged(total: Float[Tensor, ""], /, *, retain_graph: bool = False) -> None:
            plain(total, retain_graph=retain_graph)
            self.average_(p.grad for p in method.parameters() if p.grad is not None)

        return averaged

    def wait(self) -> None:
        """Until all processes have come here."""
        self.agree(None, "")

    def agree(self, value: object, what: str) -> None:
        """Wait for all. Raises TrainingError when `what`, of which this process has a value, is not the same in all."""
        if self.size == 1:
            return
        values: list[object] = [None] * self.size
        with in_touch():
            distributed.all_gather_object(values, value)
        if any(other != value for other in values):
            raise TrainingError(
                f"the processes do not see the same {what}: {', '.join(map(str, values))}",
                remedy="All machines need the same safas, crops and folder of runs, under the same paths.",
            )


ALONE = Group()


@contextmanager
def in_touch() -> Iterator[None]:
    """Within, processes wait for each other. Raises LostError when that is in vain."""
    try:
        yield
    except RuntimeError as error:  # all that torch says when a connection breaks or its patience is at an end
        raise lost() from error


def lost() -> LostError:
    """What to say when another process does not answer."""
    return LostError(
        "another process of this training has ended or does not answer",
        remedy="The same command goes on from the last checkpoint, on any number of devices.",
    )


class _Gathered(torch.autograd.Function):
    """[V, b, D] of every process -> [V, n, D]."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: Group, n: int) -> Tensor:
        ctx.group, ctx.n = group, n
        shares = group.shares(n)
        most = max(share.stop - share.start for share in shares)
        padded = own.new_zeros(own.shape[0], most, own.shape[2])
        padded[:, : own.shape[1]] = own
        parts = [torch.empty_like(padded) for _ in shares]
        with in_touch():
            distributed.all_gather(parts, padded)
        kept = [part[:, : share.stop - share.start] for part, share in zip(parts, shares, strict=True)]
        return torch.cat(kept, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.group.size * gradients[0][:, ctx.group.share(ctx.n)], None, None
