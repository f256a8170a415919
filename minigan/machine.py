"""What this machine can do for minigan: devices, compilers, libraries, and how to get what is missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from minigan.core.errors import DeviceError

# Optional libraries by extra; the name to import where it is not the name to install.
EXTRAS = {
    "deblur": ("pillow", "scikit-image", "scikit-learn", "tifffile", "jinja2", "matplotlib"),
    "photos": ("pyvips",),
    "onnx": ("onnx",),
    "tensorboard": ("tensorboard",),
    "nvrtc": ("cuda-bindings", "nvidia-cuda-nvrtc", "nvidia-cuda-nvdisasm"),
}
TOOLS = ("nm", "c++filt", "addr2line")  # what the emulator's checker asks for lines of source


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    name    what it is
    there   whether it can be used
    detail  its version, or why it cannot be used
    remedy  the command that installs it; empty where it is there, or where no command does
    """

    name: str
    there: bool
    detail: str
    remedy: str = ""


def survey() -> list[Finding]:
    """Everything that decides what can run here, the most important first."""
    looks: list[Callable[[], Finding]] = [
        _python,
        _numpy,
        _compiler,
        _tools,
        _emulator,
        _cupy,
        _gpu,
        _cuda,
    ]
    return [look() for look in looks] + [_extra(name) for name in EXTRAS]


def _python() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}"
    detail = f"{platform.python_version()} on {system}, {cores} processors"
    return Finding("Python", True, detail)


def _numpy() -> Finding:
    import numpy
    from threadpoolctl import threadpool_info

    blas = [p for p in threadpool_info() if p.get("user_api") == "blas"]
    libraries = ", ".join(
        f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in blas
    )
    return Finding(
        "NumPy", True, f"{numpy.__version__} ({libraries or 'no BLAS that tells its name'})"
    )


def _compiler() -> Finding:
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        return Finding("C++ compiler", False, f"{name} is not there", "apt install g++")
    version = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
    return Finding("C++ compiler", True, version.stdout.partition("\n")[0])


def _tools() -> Finding:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return Finding("binutils", False, f"{', '.join(missing)} not there", "apt install binutils")
    return Finding("binutils", True, ", ".join(TOOLS))


def _emulator() -> Finding:
    from minigan import devices

    try:
        devices.available("emulator")
    except DeviceError as error:
        return Finding("device emulator", False, str(error))
    return Finding("device emulator", True, "runs kernels/*.cu on the CPU")


def _cupy() -> Finding:
    remedy = "pip install 'minigan[cuda13]'  (for a driver of CUDA 12: 'minigan[cuda12]')"
    try:
        cupy: Any = importlib.import_module("cupy")
    except ImportError:
        return Finding("CuPy", False, "not installed", remedy)
    return Finding("CuPy", True, cupy.__version__)


def _gpu() -> Finding:
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", False, "no driver by NVIDIA is installed")
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    gpus = "; ".join(done.stdout.split("\n")).strip("; ")
    return Finding(
        "GPU", done.returncode == 0 and bool(gpus), gpus or done.stdout.strip() or "none"
    )


def _cuda() -> Finding:
    from minigan import devices

    try:
        gpu: Any = devices.device("cuda")
    except DeviceError as error:
        return Finding("device cuda", False, str(error))
    return Finding("device cuda", True, f"compute capability {gpu.capability / 10}")


def _extra(extra: str) -> Finding:
    found, missing = [], []
    for library in EXTRAS[extra]:
        try:
            found.append(f"{library} {importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(library)
    detail = ", ".join(found) if not missing else f"without {', '.join(missing)}"
    remedy = f"pip install 'minigan[{extra}]'" if missing else ""
    return Finding(f"extra {extra}", not missing, detail, remedy)


def what_decides_bits() -> dict[str, str]:
    """The versions and the processor: where they differ, so may the last bits of what is computed."""
    return {"numpy": np.__version__, "processor": processor(), **blas_kernels()}


def processor() -> str:
    """The processor's name, and how many threads it offers."""
    try:
        with open("/proc/cpuinfo") as info:
            names = [
                line.partition(":")[2].strip() for line in info if line.startswith("model name")
            ]
        return f"{names[0]}, {len(names)} threads"
    except (OSError, IndexError):
        return platform.machine()


def blas_kernels() -> dict[str, str]:
    """What NumPy multiplies matrices with, as far as it tells for which processors."""
    pools = [pool for pool in threadpool_info() if "architecture" in pool]
    return {f"{pool['internal_api']} kernels": pool["architecture"] for pool in pools}
