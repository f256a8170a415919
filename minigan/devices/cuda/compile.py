"""From a .cu file to machine code for a GPU, without a GPU: by NVRTC, NVIDIA's compiler as a library.

What the compiler's assembler (ptxas) says of each kernel comes along: its registers, whether they
spilled to memory, and its shared memory. These move with the version of the compiler: they are bounds,
not constants.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.core.errors import KernelError, MissingExtraError, require

# Turing, Ampere (A100; RTX 30), Ada, Hopper, Blackwell (B200; RTX 50).
CAPABILITIES = (75, 80, 86, 89, 90, 100, 120)


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers and spilled bytes of a thread, shared bytes of a block."""

    registers: int
    spilled: int
    shared: int


@dataclass(frozen=True)
class Compiled:
    """Machine code (a cubin) and what its kernels take, by name."""

    code: bytes
    kernels: Mapping[str, Resources]


def compile_for(
    path: Path,
    capability: int,
    macros: Mapping[str, str] | None = None,
    include: Sequence[Path] = (),
) -> Compiled:
    """Compile the file at `path` for a compute capability such as 80.

    Raises KernelError with the compiler's own message where it does not compile, MissingExtraError
    without NVRTC.
    """
    architecture = [f"--gpu-architecture=sm_{capability}", "--ptxas-options=-v"]
    code, log = _compiled(path, architecture, macros, include, "CUBIN")
    return Compiled(code, parse_log(log))


def compile_to_ptx(
    path: Path,
    capability: int,
    macros: Mapping[str, str] | None = None,
    include: Sequence[Path] = (),
) -> str:
    """The same up to PTX, the assembly language that all GPUs have in common."""
    architecture = [f"--gpu-architecture=compute_{capability}"]
    return _compiled(path, architecture, macros, include, "PTX")[0].rstrip(b"\0").decode()


def _compiled(
    path: Path,
    architecture: Sequence[str],
    macros: Mapping[str, str] | None,
    include: Sequence[Path],
    result: str,
) -> tuple[bytes, str]:
    """What NVRTC makes of a file (its CUBIN or its PTX), and the compiler's log."""
    nvrtc = require("cuda.bindings.nvrtc", "nvrtc", "compile kernels for GPUs")
    options = [
        *architecture,
        "--std=c++17",
        *(f"--include-path={folder}" for folder in (path.parent, *include)),
        *(f"--define-macro={name}={value}" for name, value in (macros or {}).items()),
    ]
    program = _checked(
        nvrtc, nvrtc.nvrtcCreateProgram(path.read_bytes(), str(path).encode(), 0, [], [])
    )
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
        size = _checked(nvrtc, nvrtc.nvrtcGetProgramLogSize(program))
        log = bytearray(size)
        _checked(nvrtc, nvrtc.nvrtcGetProgramLog(program, log))
        text = log.rstrip(b"\0").decode()
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            target = architecture[0].rpartition("=")[2]
            raise KernelError(f"{path} does not compile for {target}:\n{text.strip()}")
        code = bytearray(_checked(nvrtc, getattr(nvrtc, f"nvrtcGet{result}Size")(program)))
        _checked(nvrtc, getattr(nvrtc, f"nvrtcGet{result}")(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return bytes(code), text


def _checked(nvrtc: Any, result: tuple[Any, ...]) -> Any:
    """What an NVRTC function gives besides its status, which must be success."""
    status, *values = result
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise KernelError(f"NVRTC failed: {status.name}")
    return values[0] if values else None


_KERNEL = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?(?P<spilled>\d+) bytes spill stores"
    r".*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.S,
)


def parse_log(log: str) -> dict[str, Resources]:
    """What ptxas -v tells of each kernel."""
    found = {}
    for match in _KERNEL.finditer(log):
        shared = re.search(r"(\d+) bytes smem", match["rest"])
        found[match["name"]] = Resources(
            int(match["registers"]), int(match["spilled"]), int(shared[1]) if shared else 0
        )
    return found


_SECTION = re.compile(r"^\s*\.section\s+\.text\.(?P<kernel>\w+),", re.M)
_INSTRUCTION = re.compile(
    r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?(?P<name>[A-Z][A-Z0-9_.]*)", re.M
)


def disassemble(code: bytes) -> dict[str, list[str]]:
    """The instructions of each kernel of a cubin, in order, by name such as "LDS.128" or "FFMA".

    Raises MissingExtraError without nvdisasm, NVIDIA's disassembler.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        done = subprocess.run(
            [_nvdisasm(), "-c", file.name], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise KernelError(f"nvdisasm failed: {done.stderr.strip()}")
    starts = list(_SECTION.finditer(done.stdout))
    ends = [match.start() for match in starts[1:]] + [len(done.stdout)]
    return {
        match["kernel"]: _INSTRUCTION.findall(done.stdout, match.end(), end)
        for match, end in zip(starts, ends, strict=True)
    }


def _nvdisasm() -> str:
    """On the PATH, or in the package that pip installs."""
    found = shutil.which("nvdisasm")
    for folder in map(Path, sys.path):
        found = found or next(map(str, folder.glob("nvidia/cu*/bin/nvdisasm")), None)
    if found is None:
        raise MissingExtraError(
            "nvdisasm is needed to list a kernel's instructions and is not installed; "
            "install it with: pip install 'minigan[nvrtc]'"
        )
    return found
