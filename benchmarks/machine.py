"""On what a benchmark runs: the first lines that each of them prints."""

import platform
from importlib.metadata import version
from pathlib import Path

from safas.parallel import cores

# Of /proc/cpuinfo.
_ABLE = ["avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"]


def machine(*packages: str) -> str:
    """Processor (by name, and what it multiplies with, where Linux tells it), usable cores, system, Python; below, the
    packages' versions.
    """
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    able = ", ".join(flag for flag in _ABLE if flag in flags)
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    system = f"{cores()} cores, {platform.system()}, Python {platform.python_version()}"
    return f"{processor}{f' ({able})' if able else ''}, {system}\n{versions}"
