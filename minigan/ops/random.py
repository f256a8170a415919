"""Randomness as an input: counter-based generators, and dropout.

Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a key and a
counter into random bits with no other state. A mask is therefore a function of two integers, which can
be computed again in the backward pass, on any device, with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ArgumentError, brief
from minigan.core.graph import mode
from minigan.core.op import op
from minigan.core.operands import as_operand
from minigan.core.tensor import Array, Shape, Tensor
from minigan.ops.checks import is_integer, sizes
from minigan.ops.shape import to_device


class Generator:
    """A reproducible source of random numbers: a key, and counters of how many were drawn."""

    def __init__(self, seed: int = 0):
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Begin again from `seed`, a non-negative integer; returns the generator itself."""
        if not is_integer(seed) or seed < 0:
            raise ArgumentError(
                f"manual_seed: seed is {brief(seed)}; it needs a non-negative integer"
            )
        # SeedSequence spreads neighbouring seeds over all 64 bits of the key.
        self.key = int(np.random.SeedSequence(int(seed)).generate_state(1, np.uint64)[0])
        self._drawn: dict[int, int] = {}  # by shard: how many counter values are used up
        return self

    def get_state(self) -> tuple[int, dict[int, int]]:
        """Where the generator stands: its key, and how much each shard has drawn."""
        return self.key, dict(self._drawn)

    def set_state(self, state: tuple[int, dict[int, int]]) -> None:
        """Go back to where `get_state` was called."""
        key, drawn = state
        self.key, self._drawn = key, dict(drawn)

    def _advance(self, blocks: int) -> int:
        """The next counter value, after which `blocks` count as used.

        Each shard of a batch counts for itself, so the order in which threads come does not matter.
        """
        used = self._drawn.get(mode.shard, 0)
        self._drawn[mode.shard] = used + blocks
        return mode.shard * SHARD_STRIDE + used

    def state(self, numbers: int) -> Array:
        """(key, counter) as uint64 for drawing `numbers` random numbers, which count as drawn."""
        counter = self._advance(-(-numbers // NUMBERS_PER_BLOCK))
        return np.array([self.key, counter], dtype=np.uint64)

    def numpy(self) -> np.random.Generator:
        """A NumPy generator for as many numbers as one likes, all independent of later ones here."""
        bits = np.random.Philox(key=self.key, counter=[0, self._advance(1), 1, 0])
        return np.random.Generator(bits)

    def normal(self, shape: Sequence[int], std: float = 1.0) -> Array:
        """float32 numbers from the normal distribution with mean 0."""
        drawn = np.asarray(self.numpy().standard_normal(tuple(shape), dtype=np.float32))
        return np.asarray(drawn * np.float32(std))

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Array:
        """float32 numbers from the uniform distribution on [low, high)."""
        drawn = np.asarray(self.numpy().random(tuple(shape), dtype=np.float32))
        return np.asarray(drawn * np.float32(high - low) + np.float32(low))


default_generator = Generator(0)

SHARD_STRIDE = 2**48  # counter values that each shard of a batch has to itself
NUMBERS_PER_BLOCK = 8  # one counter value gives 4 words of 64 bits: 8 numbers of 32 bits


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which initialisers and dropout draw from unless given another."""
    return default_generator.manual_seed(seed)


@contextmanager
def fork_rng() -> Iterator[None]:
    """What the block draws from the default generator does not count as drawn."""
    state = default_generator.get_state()
    try:
        yield
    finally:
        default_generator.set_state(state)


@says_what_it_takes
def rand(*shape: int | Sequence[int], generator: Generator | None = None) -> Tensor:
    """float32 numbers from the uniform distribution on [0, 1); rand(2, 3) or rand((2, 3))."""
    return Tensor((generator or default_generator).uniform(_spelled_out("rand", shape)))


@says_what_it_takes
def randn(*shape: int | Sequence[int], generator: Generator | None = None) -> Tensor:
    """float32 numbers from the normal distribution with mean 0 and deviation 1."""
    return Tensor((generator or default_generator).normal(_spelled_out("randn", shape)))


def _spelled_out(name: str, shape: tuple[Any, ...]) -> Shape:
    return sizes(name, "shape", shape[0] if len(shape) == 1 else shape)


def random_bits(state: Array, numbers: int) -> Array:
    """`numbers` random uint32: block i of Philox4x64-10 at counter + i, low half of each word first.

    NumPy's Philox raises its counter before each block, so it starts one lower.
    """
    key, counter = (int(word) for word in state)
    blocks = -(-numbers // NUMBERS_PER_BLOCK)
    philox = np.random.Philox(key=key, counter=(counter - 1) % 2**256)
    words = philox.random_raw(4 * blocks).astype("<u8", copy=False)
    return words.view("<u4")[:numbers]


@op(linear=True)
def dropout_masked(x: Array, state: Array, *, p: float) -> Array:
    """x / (1 - p) where the random number is at least p, 0 elsewhere; `state` is (key, counter).

    Element i in C order is kept when its 32 random bits, as an integer, are at least p 2^32.
    """
    bits = random_bits(state, x.size).reshape(x.shape)
    kept = bits >= round(p * 2**32)
    scale = 1 / (1 - p) if p < 1 else 1.0
    return np.where(kept, x * scale, 0)


@dropout_masked.check
def _(x: Array, state: Array, p: float) -> None:
    if not isinstance(p, int | float) or not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p is {brief(p)}; it needs a probability from 0 to 1")
    if state.shape != (2,) or state.dtype != np.uint64:
        raise ArgumentError(
            f"dropout: state has shape {state.shape} and dtype {state.dtype}; it needs (2,) and uint64"
        )


dropout_masked.vjps(
    x=lambda g, state, p: dropout_masked(g, state, p=p),  # the same mask, drawn again
    state=None,
)


@says_what_it_takes
def dropout(
    x: Any, *, p: float = 0.5, training: bool = True, generator: Generator | None = None
) -> Tensor:
    """Set each element to 0 with probability p and scale the rest by 1 / (1 - p), when training."""
    x = as_operand("dropout", "x", x)
    if not training:
        return x
    state = Tensor((generator or default_generator).state(x.numel()))
    return dropout_masked(x, to_device(state, x.device), p=p)
