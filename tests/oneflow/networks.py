"""The networks that the translation is tested on, and what they are fed. Imported under OneFlow's
interpreter.

Each entry makes a module and says the shapes and dtypes of its inputs at a batch size. ``tiny`` networks are
kept in the repository as fixtures; the others are made into a cache.
"""

# mypy: disable-error-code="import-not-found, misc"
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from oneflow.nn import functional as F  # noqa: N812

import oneflow as flow
from oneflow import nn

Rows = Callable[[int, "np.random.Generator"], "tuple[Any, ...]"]


@dataclass(frozen=True)
class Network:
    """``inputs(batch, random)`` gives the arrays, batch first where the network has a batch."""

    make: Callable[[], nn.Module]
    inputs: Rows
    batches: tuple[int, ...] = (1, 2, 4, 8)
    saved_batch: int = 1


def floats(*shape: int) -> Rows:
    return lambda batch, random: (random.standard_normal((batch, *shape)).astype(np.float32),)


def indices(high: int, *shape: int) -> Rows:
    return lambda batch, random: (random.integers(0, high, (batch, *shape)),)


class Classifier(nn.Module):
    """Convolution, batch norm, both poolings, a linear layer and softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.linear = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(flow.relu(self.norm(self.grouped(self.conv(x)))), 3, 2, 1)
        x = F.adaptive_avg_pool2d(x, 4)
        return F.softmax(self.linear(x.flatten(1)), dim=-1)


class Pools(nn.Module):
    def forward(self, x: Any) -> Any:
        return (
            F.avg_pool2d(x, 3, 2, padding=1),
            F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False, ceil_mode=True),
            F.max_pool2d(x, 3, 2, ceil_mode=True),
            F.adaptive_avg_pool2d(x, (1, 3)),
            F.adaptive_avg_pool2d(x, (4, 5)),
            F.max_pool2d(x, 2, 1, dilation=2),
        )


class Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.short = (
            nn.Identity()
            if stride == 1 and channels == out
            else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: Any) -> Any:
        return flow.relu(self.body(x) + self.short(x))


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), Block(8, 8, 1), Block(8, 16, 2), Block(16,
        16, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


class TransformerNet(nn.Module):
    """Style transfer: reflection padding, instance norm, three ways of growing the picture."""

    def __init__(self, channels: int, grow: str, norm: type[nn.Module] = nn.InstanceNorm2d) -> None:
        super().__init__()

        def layer(inside: int, outside: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            conv = nn.Conv2d(inside, outside, kernel, stride)
            return [nn.ReflectionPad2d(kernel // 2), conv, norm(outside, affine=True), nn.ReLU()]

        def growing(inside: int, outside: int) -> list[nn.Module]:
            if grow == "deconvolution":
                larger = nn.ConvTranspose2d(inside, outside, 3, 2, 1, 1)
                return [larger, norm(outside, affine=True), nn.ReLU()]
            sharp = {"align_corners": False} if grow == "bilinear" else {}
            return [nn.Upsample(scale_factor=2.0, mode=grow, **sharp), *layer(inside, outside, 3)]

        c = channels
        self.shrink = nn.Sequential(*layer(3, c, 9), *layer(c, 2 * c, 3, 2), *layer(2 * c, 4 * c, 3, 2))
        self.residual = nn.ModuleList(
            [nn.Sequential(*layer(4 * c, 4 * c, 3), *layer(4 * c, 4 * c, 3)[:3]) for _ in range(2)]
        )
        self.grow = nn.Sequential(*growing(4 * c, 2 * c), *growing(2 * c, c))
        self.last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(c, 3, 9))

    def forward(self, x: Any) -> Any:
        x = self.shrink(x)
        for block in self.residual:
            x = x + block(x)
        return flow.tanh(self.last(self.grow(x)))


class FastInstanceNorm(nn.Module):
    """Instance norm as ``x * a + b``."""

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(flow.ones(channels))
        self.bias = nn.Parameter(flow.zeros(channels))

    def forward(self, x: Any) -> Any:
        mean = x.mean(dim=(2, 3), keepdim=True)
        variance = (x * x).mean(dim=(2, 3), keepdim=True) - mean * mean
        scale = self.weight.reshape(1, -1, 1, 1) * flow.rsqrt(variance + 1e-5)
        return x * scale + (self.bias.reshape(1, -1, 1, 1) - mean * scale)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module], **options: Any) -> None:
        super().__init__()
        self.cell = kind(6, 5, **options)
        self.linear = nn.Linear(10 if options.get("bidirectional") else 5, 3)

    def forward(self, x: Any) -> Any:
        sequence, _ = self.cell(x)
        return self.linear(sequence), sequence[:, -1]


class CellLoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(6, 5)

    def forward(self, x: Any) -> Any:
        state = (flow.zeros(x.shape[0], 5), flow.zeros(x.shape[0], 5))
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return state[0]


class Attention(nn.Module):
    """An encoder block: token and position embeddings, attention, layer norm, GELU, a causal mask."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, 16)
        self.positions = nn.Parameter(flow.randn(1, 7, 16) * 0.1)
        self.norm, self.last = nn.LayerNorm(16), nn.LayerNorm(16, elementwise_affine=True)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
        self.register_buffer("mask", flow.tensor(np.tril(np.ones((7, 7), np.float32))))
        self.head = nn.Linear(16, 20, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids: Any) -> Any:
        batch, length = ids.shape
        x = self.tokens(ids) + self.positions
        q, k, v = self.qkv(self.norm(x)).reshape(batch, length, 3, 4, 4).permute(2, 0, 3, 1, 4)
        scores = flow.matmul(q, k.transpose(-1, -2)) / 2.0
        scores = flow.masked_fill(scores, self.mask.reshape(1, 1, length, length) == 0, -1e9)
        mixed = flow.matmul(flow.softmax(scores, dim=-1), v).transpose(1, 2).reshape(batch, length, 16)
        x = x + self.out(mixed)
        x = x + self.narrow(F.gelu(self.wide(self.last(x))))
        return self.head(x)


class ManyTensors(nn.Module):
    """Several inputs; outputs nested in tuples, lists and a dictionary, computed in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, a: Any, b: Any, c: Any) -> Any:
        late = self.linear(a)
        return a + b, (late, [b * c, {"key": c - a}]), a, flow.cat([a, b, c], dim=1)


class Types(nn.Module):
    """All eight dtypes in and out."""

    def forward(self, *tensors: Any) -> Any:
        *numbers, truth = tensors
        return (*tuple(number + 1 for number in numbers), flow.logical_not(truth))


def types_inputs(batch: int, random: np.random.Generator) -> tuple[Any, ...]:
    names = ("float32", "float64", "float16", "int8", "int32", "int64", "uint8")
    return (*(random.integers(0, 50, (batch, 3)).astype(n) for n in names), random.random((batch, 3)) > 0.5)


class Casts(nn.Module):
    def forward(self, x: Any) -> Any:
        kinds = (flow.float64, flow.float16, flow.int8, flow.int32, flow.int64, flow.uint8)
        return (*tuple(x.to(kind) for kind in kinds), x > 3, x.to(flow.int32) == 2)


class Scalars(nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        return x * y + 1, y.sum()


class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", flow.tensor([1.0, 2.0, 3.0]))
        self.register_buffer("shift", flow.tensor([0.5, 0.25, 0.125]), persistent=False)

    def forward(self, x: Any) -> Any:
        return x * self.scale + self.shift


class Arithmetic(nn.Module):
    """Element by element."""

    def forward(self, x: Any, y: Any) -> Any:
        positive = x * x + 0.5
        return (
            x + y, x - y, x * y, x / (y * y + 1), -x, x - 2, 2 - x, x / 3, 3 / positive, x * 1.5, x**2,
            positive**y, flow.exp(x), flow.log(positive), flow.sqrt(positive), flow.rsqrt(positive),
            flow.abs(x),
            flow.sigmoid(x), flow.tanh(x), flow.sin(x), flow.cos(x), flow.floor(x), flow.ceil(x), flow.erf(x),
            flow.clamp(x, -0.5, 0.7), flow.maximum(x, y), flow.minimum(x, y), flow.square(x),
            flow.reciprocal(positive), flow.sign(x), flow.round(x),
        )  # fmt: skip


class Activations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.prelu = nn.PReLU(4, init=0.3)

    def forward(self, x: Any) -> Any:
        return (
            flow.relu(x), F.leaky_relu(x, 0.2), F.elu(x, 1.0), F.silu(x), F.gelu(x), F.hardtanh(x, -1.0,
            1.0), F.relu6(x),
            F.mish(x), F.hardswish(x), F.hardsigmoid(x), F.logsigmoid(x), F.log_softmax(x, dim=1),
            F.softmax(x, dim=1), F.selu(x), F.softsign(x), self.prelu(x), F.normalize(x, dim=1), F.glu(x,
            dim=1),
        )  # fmt: skip


class Shapes(nn.Module):
    """Moving numbers about: x is (batch, 4, 6)."""

    def forward(self, x: Any) -> Any:
        first, second = flow.split(x, 2, dim=1)
        return (
            x.reshape(x.shape[0], 24), x.permute(2, 1, 0).permute(2, 0, 1), x.unsqueeze(1),
            x.unsqueeze(2).squeeze(2),
            x[:, 1:3, ::2], x[:, -1], x.narrow(2, 1, 3), flow.cat([x, first], dim=1), flow.stack([first,
            second], 1),
            x[:, :1].expand(-1, 5, -1), flow.roll(x, 1, 2), flow.flip(x, [1]), first * second, x.flatten(1),
            F.pad(x, (1, 2), value=0.5), x.transpose(1, 2), flow.chunk(x, 3, dim=2)[1], x.repeat(1, 2, 1),
            flow.tril(x), flow.triu(x, 1),
        )  # fmt: skip


class Logarithm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return flow.log1p(flow.relu(self.linear(x)))


class Reductions(nn.Module):
    def forward(self, x: Any) -> Any:
        return (
            x.sum(dim=1), x.mean(dim=(1, 2)), x.mean(dim=-1, keepdim=True), x.max(dim=1)[0], x.min(dim=2)[0],
            flow.argmax(x, dim=1), x.var(dim=1), x.std(dim=1), flow.cumsum(x, dim=1), x.prod(dim=1),
            flow.topk(x, 2, dim=-1)[0], flow.topk(x, 2, dim=-1)[1], flow.sort(x, dim=-1)[0],
            flow.argsort(x, dim=-1), flow.amax(x, dim=1),
        )  # fmt: skip


class Choices(nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        return (
            flow.where(x > y, x, y), x >= y, x < y, x <= y, x == y, x != y, flow.logical_and(x > 0, y > 0),
            flow.logical_or(x > 0, y > 0), flow.masked_fill(x, x > 0, 7.0), flow.gather(x, 1,
            (y > 0).to(flow.int64)),
        )  # fmt: skip


class BatchMixing(nn.Module):
    """Rows are not independent: no batch but the saved one is right."""

    def forward(self, x: Any) -> Any:
        return x - x.mean(dim=0, keepdim=True)


class Resized(nn.Module):
    def forward(self, x: Any) -> Any:
        return (
            F.interpolate(x, scale_factor=2.0, mode="nearest"), F.interpolate(x, size=(7, 9), mode="nearest"),
            F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False),
            F.interpolate(x, size=(7, 9), mode="bilinear", align_corners=True),
            F.interpolate(x, size=(3, 4), mode="bilinear", align_corners=False),
            F.interpolate(x, size=(9, 10), mode="bicubic", align_corners=False),
            nn.PixelShuffle(2)(x), nn.ZeroPad2d((1, 2, 0, 1))(x), nn.ReplicationPad2d(2)(x),
            nn.ReflectionPad2d((1, 2, 3, 1))(x),
        )  # fmt: skip


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)
        self.layer = nn.LayerNorm([4, 5, 6])
        self.plain = nn.LayerNorm(6, elementwise_affine=False)
        self.batch = nn.BatchNorm2d(4, affine=False)

    def forward(self, x: Any) -> Any:
        return self.group(x), self.instance(x), self.layer(x), self.plain(x), self.batch(x)


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv1d(4, 6, 3, padding=1), nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0))
        self.up = nn.ConvTranspose2d(4, 6, 3, 2, 1, 1)
        self.up1 = nn.ConvTranspose1d(4, 6, 4, 2)
        self.grouped = nn.ConvTranspose2d(4, 6, 3, 2, groups=2, bias=False)

    def forward(self, x: Any) -> Any:
        flat = x.flatten(2)
        return self.one(flat), self.two(x), self.up(x), self.up1(flat), self.grouped(x)


class Matrices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(flow.randn(6, 3))

    def forward(self, x: Any) -> Any:
        return (
            flow.matmul(x, self.weight), flow.matmul(x, x.transpose(1, 2)), flow.bmm(x, x.transpose(1, 2)),
            flow.einsum("btd,dk->bkt", x, self.weight), F.linear(x, self.weight.transpose(0, 1)),
        )  # fmt: skip


def pair(batch: int, random: np.random.Generator) -> tuple[Any, ...]:
    return tuple(random.standard_normal((batch, 3, 4)).astype(np.float32) for _ in range(2))


def three(batch: int, random: np.random.Generator) -> tuple[Any, ...]:
    return tuple(random.standard_normal((batch, 4)).astype(np.float32) for _ in range(3))


def vision(name: str, size: int = 64, **options: Any) -> Network:
    def make() -> nn.Module:
        import flowvision

        module: nn.Module = getattr(flowvision.models, name)(pretrained=False, **options)
        return module

    return Network(make, floats(3, size, size))


def scalar_inputs(batch: int, random: np.random.Generator) -> tuple[Any, ...]:
    return tuple(np.asarray(random.random(shape), np.float32) for shape in ((3,), ()))


# Small enough to be kept in the repository.
TINY = {
    "classifier": Network(Classifier, floats(3, 16, 16)),
    "many_tensors": Network(ManyTensors, three),
    "attention": Network(Attention, indices(20, 7)),
    "types": Network(Types, types_inputs),
    "batch_mixing": Network(BatchMixing, floats(3), (2,), 2),
}

# With an operation that is not translated: for OneFlow's own runtime.
UNCOVERED = {
    "logarithm": Network(Logarithm, floats(4)),
}

NETWORKS = {
    **TINY,
    "pools": Network(Pools, floats(3, 11, 13)),
    "resnet": Network(resnet, floats(3, 32, 32)),
    "resnet_saved_at_4": Network(resnet, floats(3, 32, 32), (4,), 4),
    "style_nearest": Network(lambda: TransformerNet(4, "nearest"), floats(3, 32, 48)),
    "style_bilinear": Network(lambda: TransformerNet(4, "bilinear"), floats(3, 32, 48)),
    "style_deconvolution": Network(lambda: TransformerNet(4, "deconvolution"), floats(3, 32, 48)),
    "style_fast_norm": Network(lambda: TransformerNet(4, "nearest", FastInstanceNorm), floats(3, 32, 48)),
    "style_256x384": Network(
        lambda: TransformerNet(8, "nearest", FastInstanceNorm), floats(3, 256, 384), (1,)
    ),
    "gru": Network(lambda: Recurrent(nn.GRU, batch_first=True), floats(7, 6)),
    "lstm": Network(lambda: Recurrent(nn.LSTM, batch_first=True), floats(7, 6)),
    "lstm_deep": Network(
        lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True, batch_first=True), floats(7, 6)
    ),
    "lstm_cell": Network(CellLoop, floats(3, 6)),
    "attention_tied": Network(lambda: Attention(tied=True), indices(20, 7)),
    "casts": Network(Casts, lambda batch, random: ((random.random((batch, 5)) * 6).astype(np.float32),)),
    "buffers": Network(Buffers, floats(3)),
    "arithmetic": Network(Arithmetic, pair),
    "activations": Network(Activations, floats(4, 6)),
    "shapes": Network(Shapes, floats(4, 6)),
    "reductions": Network(Reductions, floats(4, 6)),
    "choices": Network(Choices, pair),
    "scalars": Network(Scalars, scalar_inputs, (1,)),
    "resized": Network(Resized, floats(4, 5, 6)),
    "norms": Network(Norms, floats(4, 5, 6)),
    "convolutions": Network(Convolutions, floats(4, 7, 6)),
    "matrices": Network(Matrices, floats(5, 6)),
    "resnet18": vision("resnet18", 224),
    "mobilenet_v2": vision("mobilenet_v2"),
    "squeezenet1_0": vision("squeezenet1_0"),
    "efficientnet_b0": vision("efficientnet_b0"),
    "shufflenet": vision("shufflenet_v2_x0_5"),
    "vit_tiny": vision("vit_tiny_patch16_224", 224),
    "swin_tiny": vision("swin_tiny_patch4_window7_224", 224),
}
