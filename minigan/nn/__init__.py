"""Layers, losses and initial values, under PyTorch's names."""

from minigan.nn import init
from minigan.nn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReflectionPad2d,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Unflatten,
    Upsample,
    ZeroPad2d,
)
from minigan.nn.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
)
from minigan.nn.module import Module, parameter

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "InstanceNorm2d",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Module",
    "ReLU",
    "ReflectionPad2d",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Unflatten",
    "Upsample",
    "ZeroPad2d",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "init",
    "l1_loss",
    "mse_loss",
    "parameter",
]
