"""Kernels of numpy and OpenBLAS, as the libraries themselves report them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fmrsflow import arithmetic

REPORT = """
import json
from fmrsflow import arithmetic
arithmetic.fix()
import numpy, scipy.linalg
from numpy._core._multiarray_umath import __cpu_baseline__, __cpu_dispatch__, __cpu_features__
from threadpoolctl import threadpool_info
print(json.dumps({
    "blas": sorted({pool["architecture"] for pool in threadpool_info()}),
    "threads": sorted({pool["num_threads"] for pool in threadpool_info()}),
    "numpy": [name for name in __cpu_dispatch__ if __cpu_features__[name]],
}))
"""


def report(**told: str) -> dict:
    """What a process uses whose environment says nothing of kernels but `told`."""
    names = {*arithmetic.AVX2_KERNELS, *arithmetic.ONE_THREAD}
    silent = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        env=silent | told,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not arithmetic.has_avx2(), reason="a processor without AVX2, or no Linux")
def test_kernels_are_those_of_avx2_on_every_processor_that_has_it():
    assert report() == {"blas": ["Haswell"], "threads": [1], "numpy": ["X86_V3"]}


def test_what_the_environment_says_stays():
    assert report(OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2")["threads"] == [2]
    if arithmetic.has_avx2():
        assert report(OPENBLAS_CORETYPE="Nehalem")["blas"] == ["Nehalem"]
