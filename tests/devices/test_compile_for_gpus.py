"""Every kernel compiles to machine code for every GPU, within bounds and without spilling."""

import pytest

from minigan.core.errors import KernelError
from minigan.devices.cuda.compile import CAPABILITIES, compile_for, parse_log
from minigan.devices.launch.kernel import kernels_folder

pytest.importorskip(
    "cuda.bindings.nvrtc", reason="NVRTC is not installed: pip install 'minigan[nvrtc]'"
)

FILES = sorted(path.name for path in kernels_folder().glob("*.cu"))
ALWAYS = (75, 120)  # the oldest and the newest; the others with `pytest -m slow`
MOST_REGISTERS = 128  # of 255: two blocks of 256 threads still fit on a multiprocessor

each_file = pytest.mark.parametrize("file", FILES)
each_type = pytest.mark.parametrize("real", ["float", "double"])


def check(file, real, capability):
    compiled = compile_for(kernels_folder() / file, capability, {"REAL": real})
    assert compiled.code.startswith(b"\x7fELF")
    assert compiled.kernels
    for name, used in compiled.kernels.items():
        assert used.spilled == 0, name
        assert used.registers <= MOST_REGISTERS, name
        assert used.shared <= 48 << 10, name


@each_file
@each_type
@pytest.mark.parametrize("capability", ALWAYS)
def test_kernels_compile_for_the_oldest_and_the_newest_gpu(file, real, capability):
    check(file, real, capability)


@pytest.mark.slow
@each_file
@each_type
@pytest.mark.parametrize("capability", sorted(set(CAPABILITIES) - set(ALWAYS)))
def test_kernels_compile_for_every_gpu(file, real, capability):
    check(file, real, capability)


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
