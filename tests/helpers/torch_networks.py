"""PyTorch networks for 32x32 images, to be traced: published ones of torchvision and timm, and small ones for CIFAR."""

from collections.abc import Callable

import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10


class BasicBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != width:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """ResNet of 6 * ``blocks`` + 2 layers (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, blocks: int, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages, channels = [], width
        for stage in range(3):
            layers = []
            for block in range(blocks):
                layers.append(BasicBlock(channels, width << stage, 2 if stage and not block else 1))
                channels = width << stage
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3 = stages
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = functional.avg_pool2d(out, out.size()[3]).view(out.size(0), -1)
        return self.fc(out)  # type: ignore[no-any-return]


class CifarVGG(nn.Module):
    """VGG-11 with BatchNorm and one linear layer after flattening."""

    def __init__(self, scale: int = 1, pixels: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for word in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, *(() if pixels > 1 else ("M",))):
            if isinstance(word, str):
                layers.append(nn.MaxPool2d(2))
            else:
                width = word // scale
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels * pixels**2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))  # type: ignore[no-any-return]


class DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(functional.relu(self.norm(x)))], 1)


class CifarDenseNet(nn.Module):
    """DenseNet-40 without bottlenecks (Huang et al. 2017, arXiv:1608.06993)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
        channels = 16
        for block in range(3):
            for _ in range(12):
                layers.append(DenseLayer(channels, 12))
                channels += 12
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            if block < 2:
                layers += [nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # type: ignore[no-any-return]


class ConvNeXtBlock(nn.Module):
    """ConvNeXt's block with BatchNorm in place of LayerNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, 4 * width, 1)
        self.act = nn.GELU()
        self.project = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.act(self.expand(self.norm(self.depthwise(x)))))  # type: ignore[no-any-return]


def conv_next(widths: tuple[int, ...] = (40, 80, 160), depth: int = 2) -> nn.Module:
    """A small ConvNeXt with BatchNorm."""
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        layers += [nn.Conv2d(channels, width, 2, 2), nn.BatchNorm2d(width)]
        layers += [ConvNeXtBlock(width) for _ in range(depth)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def _torchvision(name: str) -> Callable[[], nn.Module]:
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=CLASSES)


def _timm(name: str) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, pretrained=False, num_classes=CLASSES)


SEARCHABLE: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": _torchvision("resnet18"),
    "ResNet-20": lambda: CifarResNet(3),
    "ResNet-32": lambda: CifarResNet(5),
    "ResNet-44": lambda: CifarResNet(7),
    "VGG-11": CifarVGG,
    "MobileNetV2": _torchvision("mobilenet_v2"),
    "MobileNetV3-small": _torchvision("mobilenet_v3_small"),
    "EfficientNet-B0": _torchvision("efficientnet_b0"),
    "RegNetX-400MF": _torchvision("regnet_x_400mf"),
    "RegNetY-400MF": _torchvision("regnet_y_400mf"),
    "ShuffleNetV2": _torchvision("shufflenet_v2_x0_5"),
    "MnasNet": _torchvision("mnasnet0_5"),
    "SqueezeNet": _torchvision("squeezenet1_1"),
    "GhostNet": _timm("ghostnet_100"),
    "ConvNeXt with BatchNorm": conv_next,
    "ResNeXt-50": _torchvision("resnext50_32x4d"),
    "Res2Net-50": _timm("res2net50_26w_4s"),
    "DLA-34": _timm("dla34"),
    "CSPResNet-50": _timm("cspresnet50"),
}
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {  # with the module and the reason
    "DenseNet-40": (CifarDenseNet, "features.1.norm: a BatchNorm that does not directly follow a convolution"),
    "HRNet-W18-small": (_timm("hrnet_w18_small"), "stage2.0.fuse_layers.0.1.2: upsampling"),
}
