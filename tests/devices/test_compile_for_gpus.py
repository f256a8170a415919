"""Every kernel compiles to machine code for every GPU, within bounds and without spilling."""

import pytest

from minigan.core.errors import KernelError
from minigan.devices.cuda.compile import (
    CAPABILITIES,
    compile_for,
    disassemble,
    parse_log,
)
from minigan.devices.launch.kernel import kernels_folder

pytest.importorskip(
    "cuda.bindings.nvrtc", reason="NVRTC is not installed: pip install 'minigan[nvrtc]'"
)

FILES = sorted(path.name for path in kernels_folder().glob("*.cu"))
BUILDS = [
    (f, real) for f in FILES for real in ("float", "double") if "tf32" not in f or real == "float"
]
ALWAYS = (75, 120)  # the oldest and the newest; the others with `pytest -m slow`
# Of 255: two blocks of 256 threads still fit on a multiprocessor. Doubles are there to verify.
MOST_REGISTERS = {"float": 128, "double": 255}

# Files that are compiled for a shape: some that layers of images need.
THIN = [
    {"KERNEL": "7", "OUTPUTS": "3"},
    {"KERNEL": "9", "OUTPUTS": "4"},
    {"KERNEL": "3", "OUTPUTS": "1"},
]
MACROS = {"conv2d_thin.cu": [*THIN, {"KERNEL": "7", "OUTPUTS": "16"}], "conv2d_dw_thin.cu": THIN}

each_build = pytest.mark.parametrize(("file", "real"), BUILDS)


def check(file, real, capability):
    for macros in MACROS.get(file, [{}]):
        compiled = compile_for(kernels_folder() / file, capability, {"REAL": real, **macros})
        assert compiled.code.startswith(b"\x7fELF")
        assert compiled.kernels
        for name, used in compiled.kernels.items():
            assert used.spilled == 0, name
            assert used.registers <= MOST_REGISTERS[real], name
            assert used.shared <= 48 << 10, name


@each_build
@pytest.mark.parametrize("capability", ALWAYS)
def test_kernels_compile_for_the_oldest_and_the_newest_gpu(file, real, capability):
    check(file, real, capability)


@pytest.mark.slow
@each_build
@pytest.mark.parametrize("capability", sorted(set(CAPABILITIES) - set(ALWAYS)))
def test_kernels_compile_for_every_gpu(file, real, capability):
    check(file, real, capability)


# ---------------------------------------------------------------------- what the machine code contains


def instructions(file, version, capability):
    """Those of the kernels of a file whose names end in a version."""
    compiled = compile_for(kernels_folder() / file, capability, {"REAL": "float"})
    found = {k: names for k, names in disassemble(compiled.code).items() if version in k}
    assert found
    return found.values()


# Newest first: the oldest GPU with tensor cores for TF32 and asynchronous copies is 80.
@pytest.mark.parametrize("capability", [80, 120])
@pytest.mark.parametrize("file", ["matmul.cu", "conv2d.cu"])
def test_pipelined_kernels_load_16_bytes_at_once_and_copy_meanwhile(file, capability):
    for names in instructions(file, "_v4", capability):
        assert names.count("LDS.128") >= 16  # two or four for each of eight values of k
        assert any(name.startswith("LDGSTS") for name in names)  # cp.async
        assert not any(name.startswith(("LDL", "STL")) for name in names)  # nothing is spilled


@pytest.mark.parametrize("capability", [80, 120])
@pytest.mark.parametrize("file", ["matmul_tf32.cu", "conv2d_tf32.cu"])
def test_tensor_core_kernels_use_tensor_cores(file, capability):
    for names in instructions(file, "_v5", capability):
        assert any(name.startswith("HMMA.1688.F32.TF32") for name in names)
        assert "FFMA" not in names
        assert any(name.startswith("LDGSTS") for name in names)


def test_thin_kernels_load_16_bytes_at_once():
    (names,) = instructions("conv2d_thin.cu", "conv2d_thin", 80)
    assert names.count("LDS.128") >= 7


# ---------------------------------------------------------------------- the compiler


def test_an_error_comes_with_the_compilers_message_and_line(tmp_path):
    path = tmp_path / "wrong.cu"
    path.write_text('extern "C" __global__ void f(int* x) {\n    x[0] = nothing;\n}\n')
    with pytest.raises(
        KernelError, match=r"wrong\.cu.* does not compile for sm_80[^$]*\(2\).*nothing"
    ):
        compile_for(path, 80)


def test_the_assemblers_log_is_read():
    log = (
        "ptxas info    : Compiling entry function 'sum' for 'sm_80'\n"
        "ptxas         .     0 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads\n"
        "ptxas info    : Used 40 registers, used 1 barriers, 1024 bytes smem, 400 bytes cmem[0]\n"
        "ptxas info    : Compiling entry function 'copy' for 'sm_80'\n"
        "ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
        "ptxas info    : Used 8 registers, used 0 barriers, 360 bytes cmem[0]\n"
    )
    parsed = parse_log(log)
    assert (parsed["sum"].registers, parsed["sum"].spilled, parsed["sum"].shared) == (40, 8, 1024)
    assert (parsed["copy"].registers, parsed["copy"].spilled, parsed["copy"].shared) == (8, 0, 0)
