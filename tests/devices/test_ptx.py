"""Inline assembly, which the emulator does not run: its operands, read from the compiler's PTX."""

from __future__ import annotations

import re

import pytest

from minigan.devices.cuda.compile import compile_to_ptx
from minigan.devices.launch.kernel import kernels_folder

pytest.importorskip(
    "cuda.bindings.nvrtc", reason="NVRTC is not installed: pip install 'minigan[nvrtc]'"
)

MMA = """
#include "ptx.cuh"
extern "C" __global__ void f(const unsigned* a, const unsigned* b, float* c) {
    unsigned ra[4] = {a[0], a[1], a[2], a[3]}, rb[2] = {b[0], b[1]};
    float rc[4] = {c[0], c[1], c[2], c[3]};
    mma_tf32(rc, ra, rb);
    for (int i = 0; i < 4; i++) c[i] = rc[i];
}
"""
COPY = """
#include "ptx.cuh"
extern "C" __global__ void f(const float4* from, int inside, float* to) {
    __shared__ float4 s[64];
    copy_async(&s[threadIdx.x], &from[threadIdx.x], inside != 0);
    copies_commit();
    copies_wait<1>();
    to[threadIdx.x] = s[threadIdx.x].x + __uint_as_float(to_tf32(s[threadIdx.x].y));
}
"""


def ptx_of(tmp_path, source):
    path = tmp_path / "f.cu"
    path.write_text(source)
    return compile_to_ptx(path, 80, include=[kernels_folder()])


def test_the_tensor_cores_get_each_operand_in_its_place(tmp_path):
    """Each register is followed from where it was loaded to where the result is stored."""
    ptx = ptx_of(tmp_path, MMA)
    loads = {
        register: int(offset or 0) // 4
        for register, offset in re.findall(r"ld\.global\S*\s+(%\w+), \[%rd\d+(?:\+(\d+))?\]", ptx)
    }
    stores = {
        register: int(offset or 0) // 4
        for offset, register in re.findall(r"st\.global\S*\s+\[%rd\d+(?:\+(\d+))?\], (%\w+)", ptx)
    }
    instruction = re.search(
        r"mma\.sync\.aligned\.m16n8k8\.row\.col\.f32\.tf32\.tf32\.f32 ([^;]*);", ptx
    )
    assert instruction
    d, a, b, c = (re.findall(r"%\w+", part) for part in re.findall(r"{([^}]*)}", instruction[1]))
    # A register may be copied on its way.
    copied = dict(re.findall(r"mov\.\w+\s+(%\w+), (%\w+);", ptx))

    def source(register):
        return loads[copied.get(register, register)]

    assert [source(r) for r in a] == [0, 1, 2, 3]
    assert [source(r) for r in b] == [0, 1]
    assert [source(r) for r in c] == [0, 1, 2, 3]
    kept = {value: key for key, value in copied.items()}
    assert [stores[r if r in stores else kept[r]] for r in d] == [0, 1, 2, 3]


def test_asynchronous_copies_are_begun_closed_and_waited_for(tmp_path):
    ptx = ptx_of(tmp_path, COPY)
    steps = re.findall(r"cp\.async\.\S+|cvt\.rna\.tf32\.f32", ptx)
    assert steps == [
        "cp.async.ca.shared.global",
        "cp.async.commit_group;",
        "cp.async.wait_group",
        "cvt.rna.tf32.f32",
    ]
    (given,) = re.findall(r"cp\.async\.ca\S+ \[\S+\], \[\S+\], 16, (%\w+);", ptx)
    assert re.search(rf"selp\.\w+\s+{given}, 16, 0, |selp\.\w+\s+{given}, 0, 16, ", ptx)
    assert re.search(r"cp\.async\.wait_group 1;", ptx)
