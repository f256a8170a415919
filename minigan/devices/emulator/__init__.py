"""CUDA kernels on the CPU: the same .cu file, on NumPy arrays, with a C++ compiler and no GPU.

    from minigan.devices.emulator import Module

    module = Module("reduce.cu", mode="check")
    report = module["sum"]((64,), (256,), (x, out, x.size))      # grid, block, arguments
    for finding in report.findings:
        print(finding)             # reduce.cu:18: shared-race: read of part and write by thread 32 ...

Mode "fast" runs a kernel on all processors. Mode "check" looks at every access to memory: it finds
out-of-bounds and misaligned accesses, races, barriers that not all threads reach, and counts what the
accesses would cost on a GPU, line by line.
"""

from minigan.devices.emulator.check import Finding, Report, Traffic
from minigan.devices.emulator.module import Kernel, Module

__all__ = ["Finding", "Kernel", "Module", "Report", "Traffic"]
