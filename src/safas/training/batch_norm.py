"""Batch norms whose statistics are those of the whole batch, wherever its shares are."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from safas.training.group import in_touch


def synchronised(trunk: nn.Module, device: torch.device) -> nn.Module:
    """The network with every two-dimensional batch norm replaced by one of the same parameters and buffers.

    On CUDA by torch's own, which knows nothing of other devices.
    """
    if device.type == "cuda":
        convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm  # torch does not annotate it
        made: nn.Module = convert(trunk)
        return made
    for name, part in trunk.named_children():
        if isinstance(part, nn.BatchNorm2d):
            setattr(trunk, name, _twin(part))
        else:
            synchronised(part, device)
    return trunk


def running_statistics(trunk: nn.Module) -> list[Tensor]:
    """The running means and variances of all batch norms."""
    norms = [part for part in trunk.modules() if isinstance(part, nn.modules.batchnorm._NormBase)]
    return [s for norm in norms for s in (norm.running_mean, norm.running_var) if s is not None]


class SharedBatchNorm(nn.BatchNorm2d):
    """A batch norm over the samples of all processes; in evaluation mode the same as any other."""

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """x normalised, computed in 32 bits and returned as it came."""
        if not self.training:
            return super().forward(x)
        maps, channels = x.float(), (1, -1, 1, 1)
        n = maps.new_tensor([maps.numel() / maps.shape[1]])
        total = summed(torch.cat([maps.sum(dim=(0, 2, 3)), n]))
        mean, n = total[:-1] / total[-1], total[-1]
        centred = maps - mean.view(channels)
        variance = summed(centred.square().sum(dim=(0, 2, 3))) / n
        if self.track_running_stats:
            self._follow(mean.detach(), (variance * n / (n - 1)).detach())
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(channels) + self.bias.view(channels)).to(x.dtype)

    def _follow(self, mean: Float[Tensor, "C"], variance: Float[Tensor, "C"]) -> None:
        assert self.running_mean is not None  # for the type checker: track_running_stats says so
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def summed(x: Tensor) -> Tensor:
    """The sum over all processes; its gradient is the sum of theirs."""
    total: Any = _Summed.apply  # torch does not annotate it
    y: Tensor = total(x)
    return y


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _total(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _total(gradients[0])


def _total(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    with in_touch():
        distributed.all_reduce(total)
    return total


def _twin(norm: nn.BatchNorm2d) -> SharedBatchNorm:
    twin = SharedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    twin.weight, twin.bias = norm.weight, norm.bias
    twin.running_mean, twin.running_var = norm.running_mean, norm.running_var
    twin.num_batches_tracked = norm.num_batches_tracked
    return twin
