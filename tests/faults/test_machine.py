"""Faults of the machine during the conversion of a scan are no property of the data."""

from __future__ import annotations

import signal

import machine
import pytest
from surroundings import Unavailable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Scratch with converted studies, made once."""
    return tmp_path_factory.mktemp("machine")


def reported(fault) -> bool:
    print(fault)
    return fault.harmless and fault.outcome == "reported, then the same bytes"


def test_a_limit_of_file_size_is_none_of_the_data(work):
    assert reported(machine.file_size(work))


@pytest.mark.parametrize("size_mb", machine.MEMORY_MB)
def test_too_little_memory_is_none_of_the_data(work, size_mb):
    (fault,) = machine.memory(work, [size_mb])
    assert fault.harmless, fault
    if size_mb == max(machine.MEMORY_MB):
        assert fault.outcome == "converted"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_converter_is_none_of_the_data(work, number):
    assert reported(machine.killed(work, number))


@pytest.mark.parametrize(
    "make", [machine.full_tmpdir, machine.full_results, machine.read_only_results]
)
def test_a_disk_that_is_full_or_read_only_is_none_of_the_data(work, make):
    try:
        assert reported(make(work))
    except Unavailable as reason:
        pytest.skip(str(reason))
