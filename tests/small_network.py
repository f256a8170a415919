"""A convolutional network small enough that its page shows every number."""

import minigan as mg
from minigan import nn
from minigan.core.tensor import Tensor


class SmallNetwork(nn.Module):
    """Convolution, ReLU, max-pooling, upsampling, a skip connection, convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.last = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, H, W) -> (N, 1, H, W) for even sizes."""
        h = self.first(x).relu()
        small = mg.max_pool2d(h, kernel_size=2)
        return self.last(mg.upsample_nearest2d(small, scale_factor=2) + h)


def small_loss(size: int = 6) -> tuple[SmallNetwork, Tensor, Tensor]:
    """A network, an input and a target, always the same; ReLU lets most through."""
    mg.manual_seed(0)
    network = SmallNetwork()
    network.first.bias.copy_([0.7, 0.4])
    return network, mg.rand(1, 1, size, size), mg.rand(1, 1, size, size)
