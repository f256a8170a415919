# %% [markdown]
# # 08 · A CUDA kernel, from the formula, without a GPU
#
# On a GPU thousands of threads run one and the same function, and each finds out from its own number
# what its part of the work is. Such a function is a **kernel**. minigan runs kernels on the CPU too, with
# all their threads, so that one can learn to write them on a laptop. This needs a C++ compiler (g++).
#
# The formula is the convolution of lesson 03, with one channel, no padding, and a kernel of 3 x 3:
#
#     y[p, q] = sum over i, j of x[p + i, q + j] w[i, j]

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan.devices.emulator import Module

out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
SIZE = 50
rows, columns = np.indices((SIZE, SIZE)) - SIZE / 2
x = np.rint(4 * np.cos(0.02 * (rows**2 + columns**2))).astype(np.float32)  # whole: sums are exact
w = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], np.float32)  # where it gets darker downwards
wanted = mg.conv2d(mg.tensor(x[None, None]), mg.tensor(w[None, None])).numpy()[0, 0]


def run(source, name, mode="fast", grid=(4, 4), block=(16, 16)):
    """What a kernel makes of x and w, and the report of its launch."""
    path = out / "08_kernels.cu"
    path.write_text(source)
    y = np.full((SIZE - 2, SIZE - 2), np.nan, np.float32)
    report = Module(path, mode=mode)[name](grid, block, (x, w, y, SIZE, SIZE))
    return y, report


# %% [markdown]
# ## One thread for each output
#
# Threads come in blocks, blocks in a grid; here 16 x 16 threads and 4 x 4 blocks, 64 x 64 threads for
# 48 x 48 outputs. A thread multiplies the number of its block by the block's size, adds its own number,
# and has its p and q. Those beyond the picture go home.

# %%
NAIVE = r"""
extern "C" __global__ void naive(const float* x, const float* w, float* y, int height, int width) {
    int q = blockIdx.x * blockDim.x + threadIdx.x;
    int p = blockIdx.y * blockDim.y + threadIdx.y;
    if (p >= height - 2 || q >= width - 2) return;
    float sum = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            sum += x[(p + i) * width + q + j] * w[3 * i + j];
    y[p * (width - 2) + q] = sum;
}
"""
y, _ = run(NAIVE, "naive")
print("one thread for each output:", np.array_equal(y, wanted))
assert np.array_equal(y, wanted)

# %% [markdown]
# ## The guard is not decoration
#
# Without the `if`, threads read beyond the picture. On a GPU that may crash, or silently give numbers of
# somebody else's memory; and where it writes so, it overwrites what other threads wrote, which is a race.
# In its checking mode the emulator looks at every access, and says which line.

# %%
UNGUARDED = NAIVE.replace("if (p >= height - 2 || q >= width - 2) return;", "")
_, report = run(UNGUARDED, "naive", mode="check")
for finding in report.findings:
    print(finding)
assert {finding.kind for finding in report.findings} == {"out-of-bounds", "global-race"}
_, report = run(NAIVE, "naive", mode="check")
assert report.findings == []

# %% [markdown]
# ## Neighbours share: tiles in shared memory
#
# Each number of x is read by up to nine threads. Threads of one block can share: together they fetch the
# 18 x 18 numbers that their windows cover into **shared memory**, which is near and fast, wait for each
# other, and compute from there.

# %%
TILED = r"""
extern "C" __global__ void tiled(const float* x, const float* w, float* y, int height, int width) {
    __shared__ float tile[18][18];
    int q0 = blockIdx.x * 16, p0 = blockIdx.y * 16;
    for (int t = threadIdx.y * 16 + threadIdx.x; t < 18 * 18; t += 16 * 16) {
        int p = p0 + t / 18, q = q0 + t % 18;
        tile[t / 18][t % 18] = p < height && q < width ? x[p * width + q] : 0;
    }
    __syncthreads();
    int p = p0 + threadIdx.y, q = q0 + threadIdx.x;
    if (p >= height - 2 || q >= width - 2) return;
    float sum = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            sum += tile[threadIdx.y + i][threadIdx.x + j] * w[3 * i + j];
    y[p * (width - 2) + q] = sum;
}
"""
y, report = run(TILED, "tiled", mode="check")
print("tiles in shared memory:", np.array_equal(y, wanted), report.findings)
assert np.array_equal(y, wanted)
assert report.findings == []

# %% [markdown]
# What did it bring? The checker counts, for each line, how many pieces of 32 bytes moved between global
# memory and the threads. That is the traffic that a convolution this small is bound by.


# %%
def loads_of_x(source, name):
    """Sectors of 32 bytes that loading x moved."""
    _, report = run(source, name, mode="check")
    lines = source.splitlines()
    return sum(
        line.units
        for line in report.traffic
        if (line.memory, line.access) == ("global", "load") and "x[" in lines[line.line - 1]
    )


before, after = loads_of_x(NAIVE, "naive"), loads_of_x(TILED, "tiled")
print(
    f"sectors for x: {before} one thread for each output, {after} with tiles, "
    f"{before / after:.1f} times fewer"
)
assert after < before / 4

# %% [markdown]
# ## The wait is not decoration either
#
# Leave out `__syncthreads()`, and some threads compute while others still fetch. The result may even be
# right, today and on this machine, because of the order in which the threads happened to run. The
# checker does not rely on luck: two threads touch one place, one of them writes, and nothing orders them.

# %%
RACING = TILED.replace("__syncthreads();", "")
_, report = run(RACING, "tiled", mode="check")
for finding in report.findings[:2]:
    print(finding)
assert "shared-race" in {finding.kind for finding in report.findings}

# %% [markdown]
# ## Backwards
#
# The gradient of x is again a convolution: y's gradient with zeros around it, and the kernel turned
# round by 180 degrees. So the same CUDA kernel computes it, and the engine agrees.

# %%
image = mg.tensor(x[None, None], requires_grad=True)
g = np.rint(3 * np.sin(0.3 * columns[1:-1, 1:-1])).astype(np.float32)
mg.conv2d(image, mg.tensor(w[None, None])).backward(mg.tensor(g[None, None]))
padded, turned = np.pad(g, 2), np.ascontiguousarray(w[::-1, ::-1])
dx = np.empty_like(x)
(out / "08_kernels.cu").write_text(TILED)
Module(out / "08_kernels.cu")["tiled"]((4, 4), (16, 16), (padded, turned, dx, SIZE + 2, SIZE + 2))
print("the gradient of x:", np.array_equal(dx, image.grad.numpy()[0, 0]))
assert np.array_equal(dx, image.grad.numpy()[0, 0])

# %% [markdown]
# minigan's own convolution kernels are in `kernels/conv2d.cu`. They begin where this one ends, with many
# channels, and `docs/gpu.md` tells what each version adds.

# %%
figure, axes = plt.subplots(1, 4, figsize=(13, 3.2))
for axis, array, title in (
    (axes[0], x, "x"),
    (axes[1], wanted, "y, from both kernels"),
    (axes[2], dx, "dL/dx, from the same kernel"),
):
    axis.imshow(array, cmap="RdBu_r")
    axis.set(title=title, xticks=[], yticks=[])
axes[3].bar(["one thread\neach", "with tiles"], [before, after], color=["tab:orange", "tab:blue"])
axes[3].set(title="Sectors of 32 bytes loaded")
figure.tight_layout()
figure.savefig(out / "08_cuda_kernel.png", dpi=120)
