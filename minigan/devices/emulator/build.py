"""From a .cu file to a library: compile it with the system's C++ compiler, and keep the result.

Two builds of the same source exist. The fast one is plain optimised code. The checked one calls the
checker at every load and store: `g++ -fsanitize=thread` puts those calls in, and the emulator's runtime
takes the place of the sanitizer's. In both, floating-point arithmetic is strict (no -ffast-math).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from minigan.core.errors import ArgumentError, DeviceError, KernelError
from minigan.devices.emulator.source import kernels_in, rewritten

RUNTIME = Path(__file__).parent / "runtime"
MODES = ("fast", "check")

_COMMON = ["-std=gnu++17", "-fPIC", "-fvisibility=hidden"]
# gnu-unique symbols are merged over the whole process: two libraries would share their shared arrays.
_KERNEL = [
    *_COMMON,
    "-w",
    "-fno-gnu-unique",
    f"-I{RUNTIME / 'include'}",
    "-include",
    str(RUNTIME / "language.h"),
]
# (TLS descriptors would find shared arrays faster, but before glibc 2.40 the first use of one may lose
# vector registers: sourceware.org, bug 31372.)
_KERNEL_MODE = {
    "fast": ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-plt"],
    "check": [
        *("-O1", "-g", "-DEMULATOR_CHECK"),
        *(
            "-fsanitize=thread",
            "-fsanitize=bounds-strict",
            "--param=tsan-instrument-func-entry-exit=0",
        ),
        # One source access, one access: a wider one made of several would hide a fault, or count less.
        *("-fno-tree-vectorize", "-fno-store-merging", "-fno-inline-small-functions"),
        "-fno-tree-loop-im",
        *("-fno-builtin-memset", "-fno-builtin-memcpy", "-fno-builtin-memmove"),  # see language.h
    ],
}
_RUNTIME_MODE = {"fast": ["-O2"], "check": ["-O2", "-g", "-DEMULATOR_CHECK"]}

# Free space behind each shared array of a checked build, so that a stray access does not land in another.
REDZONE = 16 << 10


@dataclass(frozen=True)
class Library:
    """A built library.

    path     the library itself
    runtime  the library that schedules and checks it
    kernels  what can be launched in it, by name; the position is the number it is exported under
    shared   the sizes in bytes of its shared arrays, by symbol (of checked builds)
    """

    path: Path
    runtime: Path
    kernels: tuple[str, ...]
    shared: dict[str, int]


def build(
    path: Path,
    mode: str,
    defines: Sequence[str] = (),
    instances: Sequence[str] = (),
    include: Sequence[Path] = (),
) -> Library:
    """Compile the file at `path`, or find what an earlier call made of the same source.

    instances  templates to instantiate, as in "gemm<64, 64>"

    Raises KernelError with the compiler's own message where it does not compile, DeviceError without
    a compiler.
    """
    if mode not in MODES:
        raise ArgumentError(f"emulator: mode is {mode!r}; it needs to be one of {', '.join(MODES)}")
    try:
        source = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise KernelError(f"cannot read the kernel file {path}: {error}") from error
    include = (path.parent, *include)
    options = [f"-D{d}" for d in defines] + [f"-I{folder}" for folder in include]
    key = _hash(
        mode, *options, *instances, str(path), *_with_headers(source, include), _runtime_key(mode)
    )
    folder = cache_folder()
    target = folder / f"{path.stem}-{mode}-{key}.so"
    if not target.exists():
        runtime = _runtime(mode)
        with _scratch(folder) as scratch:
            kernels, shared = _compile(path, source, instances, mode, options, runtime, scratch)
            record = {"kernels": kernels, "shared": shared, "runtime": str(runtime)}
            (scratch / "record").write_text(json.dumps(record))
            os.replace(scratch / "record", target.with_suffix(".json"))  # before what it describes
            os.replace(scratch / "library.so", target)
    record = json.loads(target.with_suffix(".json").read_text())
    return Library(target, Path(record["runtime"]), tuple(record["kernels"]), record["shared"])


def cache_folder() -> Path:
    """Where built kernels are kept: $MINIGAN_CACHE, or minigan's folder in the user's cache."""
    chosen = os.environ.get("MINIGAN_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen or Path(base) / "minigan") / "emulator"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written to
        folder = Path(tempfile.gettempdir()) / f"minigan-{os.getuid()}" / "emulator"
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def compiler() -> str:
    """The C++ compiler: $CXX, or g++. Raises DeviceError where it is missing."""
    name = os.environ.get("CXX", "g++")
    if shutil.which(name) is None:
        raise DeviceError(
            f"the emulator needs a C++ compiler, and {name} is not there; install it "
            "(Debian and Ubuntu: apt install g++), or name another with the variable CXX"
        )
    if platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"):
        raise DeviceError(
            f"the emulator runs on x86-64 and aarch64, and this machine is {platform.machine()}"
        )
    return name


@cache
def _version(name: str) -> str:
    return subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout


def _compile(
    path: Path,
    source: str,
    instances: Sequence[str],
    mode: str,
    options: Sequence[str],
    runtime: Path,
    scratch: Path,
) -> tuple[list[str], dict[str, int]]:
    """Make scratch/library.so; give the names of its kernels and the sizes of its shared arrays."""
    flags = [*_KERNEL, *_KERNEL_MODE[mode], *options]
    text = f'#line 1 "{path}"\n{rewritten(source)}\n'
    (scratch / path.name).write_text(text)
    listing = [
        *flags,
        "-DEMULATOR_LIST_KERNELS",
        "-E",
        "-P",
        "-x",
        "c++",
        path.name,
        "-o",
        "listing",
    ]
    _run(listing, scratch, path)
    kernels = [*kernels_in((scratch / "listing").read_text()), *instances]
    exports = "".join(f"EMULATOR_KERNEL({i}, {name})\n" for i, name in enumerate(kernels))
    (scratch / path.name).write_text(text + exports)
    _run([*flags, "-S", "-x", "c++", path.name, "-o", "kernels.s"], scratch, path)
    shared: dict[str, int] = {}
    if mode == "check":
        assembly, shared = _with_redzones((scratch / "kernels.s").read_text())
        (scratch / "kernels.s").write_text(assembly)
    _run(["-shared", "-fPIC", "kernels.s", str(runtime), "-o", "library.so"], scratch, path)
    return kernels, shared


# How GCC lays out a static array of a function: as a common symbol, or in a section of a template's.
_COMMON_SYMBOL = re.compile(r"^(\s+\.comm\s+(_ZZ\w+),)(\d+)", re.M)
_ZEROED_SYMBOL = re.compile(r"^((_ZZ\w+):\n\s+\.zero\s+)(\d+)", re.M)


def _with_redzones(assembly: str) -> tuple[str, dict[str, int]]:
    sizes: dict[str, int] = {}

    def widen(match: re.Match[str]) -> str:
        sizes[match[2]] = int(match[3])
        return f"{match[1]}{int(match[3]) + REDZONE}"

    return _ZEROED_SYMBOL.sub(widen, _COMMON_SYMBOL.sub(widen, assembly)), sizes


def _runtime(mode: str) -> Path:
    """The runtime's library for `mode`, built if it is not there."""
    folder = cache_folder()
    target = folder / f"runtime-{mode}-{_runtime_key(mode)}.so"
    if not target.exists():
        with _scratch(folder) as scratch:
            files = [str(f) for f in sorted(RUNTIME.glob("*.cpp"))]
            command = [
                *_COMMON,
                *_RUNTIME_MODE[mode],
                "-shared",
                *files,
                "-o",
                "library.so",
                "-lpthread",
            ]
            _run(command, scratch, RUNTIME)
            os.replace(scratch / "library.so", target)
    return target


def _run(arguments: Sequence[str], folder: Path, source: Path) -> None:
    done = subprocess.run(
        [compiler(), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise KernelError(f"{source} does not compile:\n{done.stderr.strip()}")


@cache
def _runtime_key(mode: str) -> str:
    """What a library depends on besides its source: compiler, flags, runtime, and this very code."""
    ours = [Path(__file__), Path(__file__).with_name("source.py")]
    files = ours + sorted(f for f in RUNTIME.rglob("*") if f.is_file())
    flags = [*_KERNEL, *_KERNEL_MODE[mode], *_RUNTIME_MODE[mode]]
    return _hash(_version(compiler()), *flags, *(f.read_text() for f in files))


_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def _with_headers(source: str, include: Sequence[Path]) -> list[str]:
    """The source and the text of all headers that it includes by "name", directly or through others."""
    texts, pending, seen = [], [source], set()
    while pending:
        texts.append(pending.pop())
        for name in _INCLUDE.findall(texts[-1]):
            found = next((folder / name for folder in include if (folder / name).is_file()), None)
            if found is not None and found not in seen:
                seen.add(found)
                pending.append(found.read_text())
    return texts


def _hash(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(f"{len(part)} {part}".encode())
    return digest.hexdigest()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder of one's own on the same file system: several processes may build at once."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)
