"""The style transfer network as a module of OneFlow.

Nine convolutions wide at the ends and narrow in the middle, after Johnson et al., "Perceptual Losses for
Real-Time Style Transfer" (2016): two halve the picture, residual blocks paint, two double it again.
"""

# mypy: disable-error-code="import-not-found, misc, no-any-return"
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import oneflow as flow
from oneflow import nn

STRIDE = 4  # sides of a picture must be multiples of this: it is halved twice
LEVELS = 255.0
EPSILON = 1e-5  # under the square root of every norm


class FastInstanceNorm(nn.Module):
    """Instance norm as ``x * a + b``: on a CPU many times quicker than OneFlow 0.9.0's nn.InstanceNorm2d."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(flow.ones(channels))
        self.bias = nn.Parameter(flow.zeros(channels))

    def forward(self, x: Any) -> Any:
        mean = x.mean(dim=(2, 3), keepdim=True)
        variance = (x * x).mean(dim=(2, 3), keepdim=True) - mean * mean
        scale = self.weight.reshape(1, -1, 1, 1) * flow.rsqrt(variance + EPSILON)
        return x * scale + (self.bias.reshape(1, -1, 1, 1) - mean * scale)


class Layer(nn.Module):
    """Convolution with mirrored borders, norm, ``activation`` if there is one; ``larger`` doubles first."""

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int,
        stride: int = 1,
        *,
        larger: bool = False,
        activation: Any = flow.relu,
    ) -> None:
        super().__init__()
        self.resize = nn.Upsample(scale_factor=2.0, mode="nearest") if larger else nn.Identity()
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.conv = nn.Conv2d(*channels, kernel, stride, bias=False)
        self.norm = FastInstanceNorm(channels[1])
        self.activation = activation

    def forward(self, x: Any) -> Any:
        x = self.norm(self.conv(self.pad(self.resize(x))))
        return x if self.activation is None else self.activation(x)


class Residual(nn.Module):
    """Two layers whose result is added to what they were given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Layer((channels, channels), 3)
        self.second = Layer((channels, channels), 3, activation=None)

    def forward(self, x: Any) -> Any:
        return x + self.second(self.first(x))


class TransformerNet(nn.Module):
    """FP32 [batch, 3, height, width] of 0..255, red first, in and out; both sides multiples of ``STRIDE``."""

    def __init__(self, edge: int = 32, channels: int = 32, blocks: int = 6) -> None:
        super().__init__()
        self.contract = nn.Sequential(
            Layer((3, edge), 9), Layer((edge, channels), 3, 2), Layer((channels, channels), 3, 2)
        )
        self.residual = nn.Sequential(*[Residual(channels) for _ in range(blocks)])
        self.expand = nn.Sequential(
            Layer((channels, 8), 3, larger=True),
            Layer((8, 4), 3, larger=True),
            Layer((4, 3), 9, activation=flow.sigmoid),
        )

    def forward(self, pixels: Any) -> Any:
        return self.paint(pixels / LEVELS) * LEVELS

    def paint(self, image: Any) -> Any:
        """The same for values of 0..1."""
        return self.expand(self.residual(self.contract(image)))


def network_of(state: Mapping[str, Any]) -> TransformerNet:
    """The network whose ``state_dict()`` this is, of the size that the weights have, ready to be run."""
    channels, edge = state["contract.1.conv.weight"].shape[:2]
    blocks = len({name.split(".")[1] for name in state if name.startswith("residual.")})
    network = TransformerNet(edge, channels, blocks)
    network.load_state_dict(state)
    return network.eval()
