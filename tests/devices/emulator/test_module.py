"""Compiling and launching: every part of CUDA that kernels use, and everything that can go wrong."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minigan.core.errors import ArgumentError, DeviceError, KernelError
from minigan.devices.emulator import Module
from minigan.devices.emulator.build import cache_folder

MODES = ("fast", "check")
each_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def compiled(tmp_path):
    """A function from CUDA source to its module."""

    def make(source, mode="fast", **options):
        path = tmp_path / "kernels.cu"
        path.write_text(source)
        return Module(path, mode, **options)

    return make


def run(module, grid, block, *args, name=None, **options):
    """Launch the module's only kernel; a checked one must be without findings."""
    report = module[name or module.kernels[0]](grid, block, args, **options)
    assert [str(f) for f in report.findings] == []
    return report


# ---------------------------------------------------------------------- the language


@each_mode
def test_indices_and_sizes_in_three_dimensions(compiled, mode):
    module = compiled(
        """
        __global__ void where(int* out) {
            int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
            int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
            int threads = blockDim.x * blockDim.y * blockDim.z;
            out[block * threads + thread] = 1000 * block + thread;
        }
        """,
        mode,
    )
    out = np.zeros((2 * 3 * 4, 5 * 3 * 2), np.int32)
    run(module, (2, 3, 4), (5, 3, 2), out)
    assert (out == 1000 * np.arange(24)[:, None] + np.arange(30)).all()


@each_mode
@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_shared_memory_and_barriers(compiled, mode, order):
    module = compiled(
        """
        __global__ void reversed(const float* x, float* y) {
            __shared__ float s[100];
            int t = threadIdx.x;
            for (int turn = 0; turn < 3; turn++) {
                s[t] = turn ? s[blockDim.x - 1 - t] + 0 * s[t] : x[blockIdx.x * blockDim.x + t];
                __syncthreads();
                float other = s[blockDim.x - 1 - t];
                __syncthreads();
                s[t] = other;
                __syncthreads();
                if (turn == 2) y[blockIdx.x * blockDim.x + t] = s[t];
                break;
            }
            y[blockIdx.x * blockDim.x + t] = s[t];
        }
        """,
        mode,
    )
    x = np.arange(400, dtype=np.float32)
    y = np.zeros(400, np.float32)
    run(module, (4,), (100,), x, y, order=order, seed=3)
    assert (y.reshape(4, 100) == x.reshape(4, 100)[:, ::-1]).all()


@each_mode
def test_dynamic_shared_memory_inside_and_outside_a_function(compiled, mode):
    module = compiled(
        """
        extern __shared__ float outside[];
        __global__ void first(float* y) {
            outside[threadIdx.x] = threadIdx.x;
            __syncthreads();
            y[threadIdx.x] = outside[blockDim.x - 1 - threadIdx.x];
        }
        template <class T> __device__ T twice(T x) { return 2 * x; }
        __global__ void second(float* y) {
            extern __shared__ __align__(16) float inside[];
            float* upper = inside + blockDim.x;
            upper[threadIdx.x] = twice(threadIdx.x);
            __syncthreads();
            y[threadIdx.x] = upper[threadIdx.x ^ 1];
        }
        """,
        mode,
    )
    y = np.zeros(64, np.float32)
    run(module, (1,), (64,), y, name="first", shared_mem=256)
    assert (y == np.arange(64)[::-1]).all()
    run(module, (1,), (64,), y, name="second", shared_mem=512)
    assert (y == 2 * (np.arange(64) ^ 1)).all()


@each_mode
def test_warps_shuffle_vote_and_reduce(compiled, mode):
    module = compiled(
        """
        __global__ void warp(int* out, int n) {
            const unsigned all = 0xffffffffu;
            int t = threadIdx.x, lane = t % 32;
            int* mine = out + t * 9;
            mine[0] = __shfl_sync(all, t, 5);
            mine[1] = __shfl_up_sync(all, t, 3);
            mine[2] = __shfl_down_sync(all, t, 3);
            mine[3] = __shfl_xor_sync(all, t, 9);
            mine[4] = __shfl_sync(all, t, 2, 8);
            mine[5] = __popc(__ballot_sync(all, lane % 3 == 0));
            mine[6] = __any_sync(all, lane == 31) + 10 * __all_sync(all, lane < 31);
            mine[7] = __reduce_add_sync(all, lane);
            mine[8] = __syncthreads_count(t % 2) + 1000 * __syncthreads_or(t == 7)
                + 2000 * __syncthreads_and(t < 7);
        }
        """,
        mode,
    )
    out = np.zeros((64, 9), np.int32)
    run(module, (1,), (64,), out, 0)
    t = np.arange(64)
    lane, first = t % 32, t - t % 32
    expected = [
        first + 5,
        np.where(lane >= 3, t - 3, t),
        np.where(lane < 29, t + 3, t),
        t ^ 9,
        t // 8 * 8 + 2,
        np.full(64, 11),
        np.full(64, 1),
        np.full(64, 496),
        np.full(64, 32 + 1000),
    ]
    assert (out == np.array(expected).T).all()


@each_mode
def test_half_warps_work_by_themselves(compiled, mode):
    module = compiled(
        """
        __global__ void halves(int* out) {
            int t = threadIdx.x;
            if (t % 32 < 16) {
                int v = t;
                for (int o = 8; o; o /= 2) v += __shfl_xor_sync(0x0000ffffu, v, o);
                out[t] = v;
            } else {
                int v = __shfl_sync(0xffff0000u, t, 20);
                __syncwarp(0xffff0000u);
                out[t] = -v;
            }
        }
        """,
        mode,
    )
    out = np.zeros(64, np.int32)
    run(module, (1,), (64,), out)
    assert out.tolist() == [120] * 16 + [-20] * 16 + [120 + 16 * 32] * 16 + [-52] * 16


@each_mode
def test_atomics_of_many_blocks(compiled, mode):
    module = compiled(
        """
        __global__ void count(int* sum, float* total, unsigned* most, unsigned* ring, int* last) {
            atomicAdd(sum, 1);
            atomicAdd(total, 0.5f);
            atomicMax(most, blockIdx.x * blockDim.x + threadIdx.x);
            atomicInc(ring, 9);
            if (atomicCAS(last, -1, 7) == -1) atomicExch(last, 8);
        }
        """,
        mode,
    )
    total, (sum_, last) = np.zeros(1, np.float32), np.array([[0], [-1]], np.int32)
    most, ring = np.zeros((2, 1), np.uint32)
    run(module, (50,), (33,), sum_, total, most, ring, last)
    assert (sum_[0], total[0], most[0], ring[0], last[0]) == (1650, 825, 1649, 0, 8)


@each_mode
def test_constants_globals_vectors_and_structures(compiled, mode):
    module = compiled(
        """
        struct Scale { float factor; int shift; };
        __constant__ float table[4] = {1, 2, 3, 4};
        __device__ int calls = 0;
        __global__ void apply(const float4* x, float4* y, Scale s, bool negative, long long big) {
            float4 v = x[threadIdx.x];
            v.x *= table[threadIdx.x % 4] * s.factor;
            v.w += s.shift + (negative ? -1 : 1) * (float)(big >> 40);
            y[threadIdx.x] = v;
            atomicAdd(&calls, 1);
        }
        """,
        mode,
    )
    x = np.arange(32, dtype=np.float32).reshape(8, 4)
    y = np.zeros_like(x)
    scale = np.array((0.5, 3), np.dtype([("factor", "f4"), ("shift", "i4")]))
    run(module, (1,), (8,), x, y, scale, True, 2**41)
    expected = x.copy()
    expected[:, 0] *= 0.5 * np.tile([1, 2, 3, 4], 2)
    expected[:, 3] += 3 - 2
    assert (y == expected).all()


@each_mode
def test_templates_are_launched_as_instances(compiled, mode):
    module = compiled(
        """
        namespace deep { template <int n, class T> __global__ void fill(T* y) { y[threadIdx.x] = n; } }
        """,
        mode,
        instances=["deep::fill<3, float>", "deep::fill<5, int>"],
    )
    floats, ints = np.zeros(4, np.float32), np.zeros(4, np.int32)
    run(module, (1,), (4,), floats, name="deep::fill<3, float>")
    run(module, (1,), (4,), ints, name="deep::fill<5, int>")
    assert (floats.tolist(), ints.tolist()) == ([3] * 4, [5] * 4)


@each_mode
def test_asynchronous_copies_arrive_when_they_are_waited_for(compiled, mode):
    module = compiled(
        """
        #include <cuda_pipeline.h>
        __global__ void stream(const float4* x, float4* y) {
            __shared__ float4 s[2][32];
            int t = threadIdx.x;
            for (int i = 0; i < 2; i++) {
                __pipeline_memcpy_async(&s[i][t], &x[32 * i + t], 16);
                __pipeline_commit();
            }
            for (int i = 0; i < 2; i++) {
                if (i) __pipeline_wait_prior(0);
                else __pipeline_wait_prior(1);
                __syncthreads();
                y[32 * i + t] = s[i][31 - t];
            }
        }
        """,
        mode,
    )
    x = np.arange(256, dtype=np.float32).reshape(2, 32, 4)
    y = np.zeros_like(x)
    run(module, (1,), (32,), x, y)
    assert (y == x[:, ::-1]).all()


def test_a_file_for_nvcc_with_its_host_code_compiles_and_its_kernels_are_found(compiled):
    module = compiled(
        """
        #include <cuda_runtime.h>
        #include <device_launch_parameters.h>
        #include <cstdio>
        // __global__ void not_this(int*)
        #define BLOCK 8
        extern "C" {
        __global__ void __launch_bounds__(BLOCK) plain(float* __restrict__ y) { y[threadIdx.x] = 1; }
        }
        template <int N> __global__ void generic(float* y) { y[0] = N; }
        static const char* text = "__global__ void nor_this(int*)";
        namespace a { namespace b { __global__ void nested(float* y) { y[0] = 2; } } }
        #define MAKE(name, value) __global__ void name(float* y) { y[0] = value; }
        MAKE(made, 5)
        #if 0
        __global__ void left_out(float* y) {}
        #endif
        int main() {
            float* y;
            cudaMalloc(&y, 32);
            plain<<<1, BLOCK>>>(y);
            generic<4><<<dim3(1), dim3(8), 0, 0>>>(y);
            cudaError_t error = cudaDeviceSynchronize();
            if (error != cudaSuccess) printf("%s\\n", cudaGetErrorString(error));
            cudaFree(y);
        }
        """
    )
    assert module.kernels == ("plain", "a::b::nested", "made")
    y = np.zeros(8, np.float32)
    run(module, (1,), (8,), y, name="made")
    assert y[0] == 5


def test_macros_and_headers_beside_the_file_are_used(compiled, tmp_path):
    (tmp_path / "deep.cuh").write_text("#define DEEP 100\n")
    (tmp_path / "beside.cuh").write_text('#include "deep.cuh"\nconst int BESIDE = DEEP + 1;\n')
    source = '#include "beside.cuh"\n__global__ void f(int* y) { y[0] = BESIDE + MORE; }\n'
    y = np.zeros(1, np.int32)
    run(compiled(source, defines=["MORE=7"]), (1,), (1,), y)
    assert y[0] == 108
    (tmp_path / "deep.cuh").write_text("#define DEEP 200\n")  # which makes it another library
    run(compiled(source, defines=["MORE=7"]), (1,), (1,), y)
    assert y[0] == 208


def test_many_lanes_and_many_blocks_on_several_threads_give_what_one_thread_gives(compiled):
    module = compiled(
        """
        __global__ void sums(const float* x, float* y) {
            __shared__ float s[256];
            int t = threadIdx.x;
            s[t] = x[blockIdx.x * 256 + t];
            for (int n = 128; n; n /= 2) {
                __syncthreads();
                if (t < n) s[t] += s[t + n];
            }
            if (t == 0) y[blockIdx.x] = s[0];
        }
        """
    )
    x = np.random.default_rng(0).standard_normal((300, 256), dtype=np.float32)
    results = []
    for threads in (1, 2, 5):
        results.append(np.zeros(300, np.float32))
        run(module, (300,), (256,), x, results[-1], threads=threads)
    np.testing.assert_allclose(results[0], x.sum(axis=1), atol=1e-4)
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_launches_of_several_python_threads_do_not_disturb_each_other(compiled):
    module = compiled(
        "__global__ void add(int* y, int n) { for (int i = 0; i < n; i++) y[threadIdx.x] += 1; }"
    )
    arrays = [np.zeros(64, np.int32) for _ in range(8)]
    threads = [
        threading.Thread(target=run, args=(module, (1,), (64,), a, 1000 + i))
        for i, a in enumerate(arrays)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.tolist() for a in arrays] == [[1000 + i] * 64 for i in range(8)]


# ---------------------------------------------------------------------- what goes wrong

NOTHING = "__global__ void nothing(float* y, int n) {}"


def test_an_error_of_the_compiler_comes_with_the_users_file_and_line(compiled, tmp_path):
    with pytest.raises(KernelError, match=r"kernels\.cu does not compile") as caught:
        compiled("__global__ void f(int* y) {\n    y[0] = missing;\n}\n")
    assert f"{tmp_path / 'kernels.cu'}:2:" in str(caught.value)
    assert "missing" in str(caught.value)


@pytest.mark.parametrize(
    ("grid", "block", "shared", "words"),
    [
        ((0,), (1,), 0, r"grid is \(0,\)"),
        ((1,), (0,), 0, r"block is \(0,\)"),
        ((1,), (1, 1, 65), 0, r"block is \(1, 1, 65\)"),
        ((1,), (33, 32), 0, r"1056 threads; it needs at most 1024"),
        ((1, 1, 1, 1), (1,), 0, "grid is"),
        ((1, 70000), (1,), 0, "grid is"),
        ((1,), (1,), 300_000, "shared_mem is 300000"),
        ((1,), (1,), -1, "shared_mem is -1"),
    ],
)
def test_a_launch_that_no_gpu_takes_is_refused(compiled, grid, block, shared, words):
    with pytest.raises(ArgumentError, match=f"nothing: .*{words}"):
        compiled(NOTHING)["nothing"](grid, block, (np.zeros(1, np.float32), 1), shared_mem=shared)


def test_arguments_that_do_not_fit_are_refused(compiled):
    kernel = compiled(NOTHING)["nothing"]
    with pytest.raises(ArgumentError, match=r"nothing: argument 1 is 0\.5; it needs int32"):
        kernel((1,), (1,), (np.zeros(1, np.float32), 0.5))
    with pytest.raises(ArgumentError, match="order is 'sideways'"):
        kernel((1,), (1,), (np.zeros(1, np.float32), 1), order="sideways")


def test_an_unknown_kernel_or_mode_is_refused_with_those_there_are(compiled):
    with pytest.raises(ArgumentError, match=r"kernels\.cu has no kernel 'other'; it has nothing"):
        compiled(NOTHING)["other"]
    with pytest.raises(ArgumentError, match="mode is 'slow'; it needs to be one of fast, check"):
        compiled(NOTHING, "slow")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(KernelError, match="cannot read the kernel file"):
        Module(tmp_path / "none.cu")


def test_a_missing_compiler_is_one_sentence(compiled, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match="compiler, and no-such-compiler is not there"):
        compiled(NOTHING)


@each_mode
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("y[(1LL << 44) * n] = 1;", "memory that is not there"),
        ("y[0] = (blockIdx.x + 7) / (n - 1);", "division by zero"),
        ("__trap();", "trap"),
    ],
)
def test_a_fault_ends_the_launch_and_not_the_program(compiled, mode, body, words):
    module = compiled(f"__global__ void f(int* y, int n) {{ {body} }}", mode)
    y = np.zeros(4, np.int32)
    if mode == "fast":
        with pytest.raises(KernelError, match=f"f: .*{words}"):
            module["f"]((3,), (40,), (y, 1))
    else:
        found = module["f"]((3,), (40,), (y, 1)).findings
        assert found[-1].kind == "stopped"
        assert words in found[-1].message or found[0].kind == "out-of-bounds"
    again = compiled("__global__ void g(int* y) { y[threadIdx.x] = 7; }", mode)
    run(again, (1,), (4,), y)
    assert y.tolist() == [7] * 4


@each_mode
def test_a_kernel_that_never_ends_is_stopped(compiled, mode):
    module = compiled(
        "__global__ void f(volatile int* y) { while (y[0] == 0) { __syncthreads(); } }"
        "__global__ void g(volatile int* y) { while (y[0] == 0) {} }",
        mode,
    )
    y = np.zeros(1, np.int32)
    for name in module.kernels:
        start = time.monotonic()
        if mode == "fast":
            with pytest.raises(KernelError, match=r"stopped after 0\.3 seconds"):
                module[name]((4,), (32,), (y,), seconds=0.3)
        else:
            report = module[name]((4,), (32,), (y,), seconds=0.3)
            assert report.findings[-1].kind == "stopped"
        assert time.monotonic() - start < 10


def test_a_checked_kernel_that_never_ends_meets_its_limit_of_steps(compiled):
    module = compiled("__global__ void f(int* y) { for (;;) y[threadIdx.x] += 1; }", "check")
    counts = [np.zeros(4, np.int32) for _ in range(2)]
    for y in counts:
        report = module["f"]((1,), (4,), (y,), steps=1000)
        assert "more accesses to memory" in report.findings[-1].message
    assert counts[0].tolist() == counts[1].tolist()  # at the same step each time


def test_a_deadlock_is_told_and_ends(compiled):
    module = compiled(
        "__global__ void f(int* y) { if (threadIdx.x < 16) y[0] = __shfl_sync(0xffffffffu, 1, 0);"
        " __syncthreads(); }"
    )
    with pytest.raises(KernelError, match="deadlock"):
        module["f"]((1,), (32,), (np.zeros(1, np.int32),))


def test_ctrl_c_stops_a_kernel(tmp_path):
    (tmp_path / "k.cu").write_text("__global__ void f(volatile int* y) { while (y[0] == 0) {} }")
    code = (
        "import signal\n"
        "import numpy as np\n"
        "from minigan.devices.emulator import Module\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it\n"
        "f = Module('k.cu')['f']\n"
        "print('begins', flush=True)\n"
        "try: f((2,), (32,), (np.zeros(1, np.int32),))\n"
        "except KeyboardInterrupt: print('stopped', flush=True)\n"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "begins\n"
    time.sleep(0.3)
    program.send_signal(2)
    try:
        output, _ = program.communicate(timeout=20)
    finally:
        program.kill()
    assert output == "stopped\n"
    assert program.returncode == 0


def test_several_processes_may_build_the_same_file_at_once(tmp_path):
    (tmp_path / "k.cu").write_text("__global__ void f(int* y) { y[0] = 42; }")
    code = (
        "import numpy as np\n"
        "from minigan.devices.emulator import Module\n"
        "y = np.zeros(1, np.int32)\n"
        "Module('k.cu')['f']((1,), (1,), (y,))\n"
        "print(y[0])\n"
    )
    environment = {**os.environ, "MINIGAN_CACHE": str(tmp_path / "cache")}
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [p.communicate(timeout=120)[0] for p in programs] == ["42\n"] * 4
    left = {path.suffix for path in (tmp_path / "cache" / "emulator").iterdir()}
    assert left == {".so", ".json"}


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here" / "emulator"
    monkeypatch.delenv("MINIGAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "minigan" / "emulator"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "file"))
    assert cache_folder().is_dir()


# ---------------------------------------------------------------------- arguments under the checker


def test_a_race_between_two_arguments_that_overlap_is_found(compiled):
    module = compiled(
        "__global__ void shift(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }",
        "check",
    )
    x = np.arange(9, dtype=np.float32)
    report = module["shift"]((1,), (8,), (x[:8], x[1:]))
    assert {f.kind for f in report.findings} == {"global-race"}
    assert "arguments 0 and 1" in report.findings[0].message
    x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    run(module, (1,), (8,), x, y)
    assert y.tolist() == list(range(8))


def test_what_a_kernel_only_reads_is_not_written_back(compiled, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(8, dtype=np.float32))
    x = np.load(path, mmap_mode="r")  # writing there would end the program
    y = np.zeros(8, np.float32)
    source = "__global__ void copy(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }"
    run(compiled(source, "check"), (1,), (8,), x, y)
    assert y.tolist() == list(range(8))
