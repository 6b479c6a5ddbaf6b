"""A network of MiniFASNetV2's published shape with random weights, to measure time by: 80 x 80 pixels, 0.43 M weights.

The widths are those that its makers list (github.com/minivision-ai/Silent-Face-Anti-Spoofing, Apache-2.0); nothing
else is theirs. Every unit is MobileFaceNet's: 1x1 out to the inner width, 3x3 depthwise, 1x1 back, PReLU after the
first two (Chen et al. 2018, arXiv 1804.07573). Its PReLUs take two thirds of its time in ONNX Runtime; with ReLU in
their place it is as fast as any way of computing them could make it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

SIDE = 80
FIRST, EMBEDDING, CLASSES = 32, 128, 3
# (inner widths of the units, output width, by how much the first one shrinks; it has no shortcut)
STAGES = (
    ((103, 13, 13, 13, 13), 64),
    ((231, 231, 52, 26, 77, 26, 26), 128),
    ((308, 26, 26), 128),
)
LAST = 512

Active = Callable[[int], nn.Module]


def conv(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> list[nn.Module]:
    """A convolution with its batch norm."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


class Unit(nn.Module):
    """1x1, 3x3 depthwise, 1x1; with a shortcut where it does not shrink."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, active: Active) -> None:
        super().__init__()
        self.shortcut = stride == 1
        self.layers = nn.Sequential(
            *conv(inputs, inner, 1),
            active(inner),
            *conv(inner, inner, 3, stride=stride, padding=1, groups=inner),
            active(inner),
            *conv(inner, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


def minifasnet(active: Active = nn.PReLU) -> nn.Sequential:
    """Images [N, 3, 80, 80] -> logits [N, 3], with batch norms that have seen some noise. `active`: of a width."""
    layers: list[nn.Module] = [*conv(3, FIRST, 3, stride=2, padding=1), active(FIRST)]
    layers += [*conv(FIRST, FIRST, 3, padding=1, groups=FIRST), active(FIRST)]
    width = FIRST
    for inner, outputs in STAGES:
        for number, one in enumerate(inner):
            layers.append(Unit(width, one, outputs, 1 if number else 2, active))
            width = outputs
    layers += [*conv(width, LAST, 1), active(LAST), *conv(LAST, LAST, 5, groups=LAST)]
    layers += [nn.Flatten(), nn.Linear(LAST, EMBEDDING, bias=False), nn.BatchNorm1d(EMBEDDING)]
    net = nn.Sequential(*layers, nn.Linear(EMBEDDING, CLASSES, bias=False))
    with torch.no_grad():
        for _ in range(30):
            net(torch.rand(8, 3, SIDE, SIDE))
    return net.eval()


def relu(_width: int) -> nn.Module:
    """In place of a PReLU."""
    return nn.ReLU()
