"""Kernels as people write them for nvcc (host code, templates, macros, casts) run as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minigan.devices.emulator import Module

FOLDER = Path(__file__).parent / "usual"


@pytest.fixture(params=["fast", "check"])
def compiled(request):
    return lambda name, **how: Module(FOLDER / f"{name}.cu", request.param, **how)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(kernel, grid, block, *args, shared=0):
    report = kernel(grid, block, args, shared)
    if report is not None:
        assert [str(f) for f in report.findings] == []


def test_a_tiled_sgemm(compiled):
    a, b, c = numbers(70, 45), numbers(45, 50, seed=1), numbers(70, 50, seed=2)
    expected = 1.5 * (a.astype(float) @ b) + 0.5 * c
    args = (70, 50, 45, 1.5, a, b, 0.5, c)
    run(compiled("sgemm_tiled")["sgemm_tiled"], (2, 3), (32, 32), *args)
    np.testing.assert_allclose(c, expected, atol=1e-4)


def test_a_warp_tiled_sgemm_with_templates_and_wide_loads(compiled):
    instance = "sgemm_warps<64, 64, 16, 32, 32, 8, 4, 128>"
    a, b, c = numbers(128, 48), numbers(48, 192, seed=1), numbers(128, 192, seed=2)
    expected = 2 * (a.astype(float) @ b) - c
    kernel = compiled("sgemm_warps", instances=[instance])[instance]
    run(kernel, (3, 2), (128,), 128, 192, 48, 2.0, a, b, -1.0, c)
    np.testing.assert_allclose(c, expected, atol=1e-4)


def test_reductions_with_shuffles_in_shared_memory_and_in_one_launch(compiled):
    x = numbers(5000)
    exact = x.astype(float).sum()
    instance = "reduce_in_shared<128>"
    module = compiled("reductions", instances=[instance])
    out = np.zeros(1, np.float32)
    run(module["reduce_by_shuffles"], (7,), (128,), x, out, x.size)
    np.testing.assert_allclose(out[0], exact, atol=1e-3)
    parts = np.zeros(5, np.float32)
    run(module[instance], (5,), (128,), x, parts, x.size, shared=128 * 4)
    np.testing.assert_allclose(parts.sum(), exact, atol=1e-3)
    for _ in range(2):  # the counter is ready for another launch
        out[0] = 0
        run(module["reduce_in_one_launch"], (6,), (64,), x, np.zeros(6, np.float32), out, x.size)
        np.testing.assert_allclose(out[0], exact, atol=1e-3)


@pytest.mark.parametrize("name", ["transpose_naive", "transpose_padded"])
def test_transposes(compiled, name):
    x, y = numbers(70, 45), np.zeros((45, 70), np.float32)
    run(compiled("transposes")[name], (2, 3), (32, 8), y, x, 45, 70)
    np.testing.assert_array_equal(y, x.T)


def test_saxpy_and_a_histogram(compiled):
    module = compiled("saxpy_and_histogram")
    x, y = numbers(1000), numbers(1000, seed=1)
    expected = 2.5 * x.astype(float) + y
    run(module["saxpy"], (4,), (256,), x.size, 2.5, x, y)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    data = np.random.default_rng(0).integers(0, 256, 4096, dtype=np.uint8)
    bins = np.zeros(256, np.uint32)
    run(module["histogram"], (3,), (96,), data, bins, data.size)
    np.testing.assert_array_equal(bins, np.bincount(data, minlength=256))


def test_static_and_aligned_shared_arrays_in_any_order(compiled, tmp_path):
    path = tmp_path / "orders.cu"
    path.write_text(
        "__device__ int sum(int v) {\n"
        "    static __shared__ int a[32];\n"
        "    __shared__ static int b[32];\n"
        "    static\n    __shared__ alignas(16) int c[32];\n"
        "    __shared__ alignas(16) int d[32];\n"
        "    int i = threadIdx.x;\n"
        "    a[i] = b[i] = c[i] = d[i] = v;\n"
        "    __syncthreads();\n"
        "    return a[31 - i] + b[i ^ 1] + c[i] + d[i] + __LINE__;\n"
        "}\n"
        "__global__ void orders(int* out) { out[threadIdx.x] = sum(threadIdx.x); }\n"
    )
    out = np.zeros(32, np.int32)
    run(compiled(path.with_suffix(""))["orders"], (1,), (32,), out)
    i = np.arange(32)
    np.testing.assert_array_equal(out, (31 - i) + (i ^ 1) + 2 * i + 10)
