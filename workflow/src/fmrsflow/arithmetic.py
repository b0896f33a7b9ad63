"""The same arithmetic in every process, whatever the processor: set before numpy is imported.

OpenBLAS and numpy choose among kernels by what a processor can do, and kernels differ in the order
of their sums. AVX2 is the widest that all present x86 servers and laptops share.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
AVX2_KERNELS = {"OPENBLAS_CORETYPE": "Haswell", "NPY_ENABLE_CPU_FEATURES": "X86_V3"}


def fix() -> None:
    """One thread a process, since Snakemake starts as many jobs as cores, and kernels of AVX2.

    What the environment sets already stays. Processors without AVX2, and other systems than Linux,
    keep the kernels that they choose; their tables differ in the last digits.
    """
    for name, value in (ONE_THREAD | (AVX2_KERNELS if has_avx2() else {})).items():
        os.environ.setdefault(name, value)


def has_avx2() -> bool:
    """Whether this is Linux on an x86 processor with AVX2 and FMA."""
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = next((line.split() for line in told.splitlines() if line.startswith("flags")), [])
    return platform.machine() == "x86_64" and {"avx2", "fma"} <= set(flags)
