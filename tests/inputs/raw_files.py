"""Oddities of Siemens twix files and GE P-files, which are made (`twix_files.py`, `p_files.py`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import p_files
import twix_files
from given import Given
from signals import Oddity
from written import PERSON


def _twix(scan: dict | None = None, ref: dict | None = None) -> Callable[[Given], None]:
    """Twix files of scan and reference written otherwise."""

    def change(given: Given) -> None:
        def write(data):
            for column, fids, how in (("mrs", given.fids, scan), ("ref", given.reference, ref)):
                made = twix_files.Written(person=PERSON, **(how or scan or {}))
                twix_files.write_twix(fids, data / given.row[column], made)

        given.edits.append(write)

    return change


def _p_file(**how) -> Callable[[Given], None]:
    """The P-file written otherwise."""

    def change(given: Given) -> None:
        made = p_files.Written(person=PERSON, **how)
        given.edits.append(
            lambda data: p_files.write_p_file(
                given.fids, data / given.row["mrs"], given.reference, made
            )
        )

    return change


def _cut(share: float) -> Callable[[Given], None]:
    return lambda given: given.edit("mrs", lambda content: content[: int(share * len(content))])


def _cut_between(given: Given) -> None:
    """The last two transients lost, where the converter takes those before."""
    readout = 192 + 32 + 8 * given.fids.n_points
    given.edit("mrs", lambda content: content[: -192 - 2 * readout])


def _stopped(lost: int, more: int = 0) -> Callable[[Given], None]:
    """A file of VB without its end and its last transients, and bytes of the first of these."""

    def change(given: Given) -> None:
        how = {"line": "VB", "counter": "Set"}
        _twix(how)(given)
        readout = 128 + 8 * given.fids.n_points
        whole = len(twix_files.measurement(given.fids, twix_files.Written(**how, person=PERSON)))
        given.edit("mrs", lambda content: content[: whole - 128 - lost * readout + more])

    return change


def _two_p_files(given: Given) -> None:
    """The reference in a P-file of its own, with the receiver set 6 dB lower."""
    given.row["ref"] = given.row["mrs"].replace("_svs", "_mrsref")

    def write(data):
        low = p_files.Written(person=PERSON, gains=(9, 15))
        water = given.reference
        both = np.repeat(0.5 * water.mean().data, 4, axis=0)
        noise = np.random.default_rng(16).normal(size=both.shape) * 1e-6 * np.abs(both).max()
        scan = given.fids.with_data(both + noise)
        p_files.write_p_file(scan, data / given.row["ref"], water, low)

    given.edits.append(write)


SLASER = {"psd": "slaser", "nex": 2}

TWIX = [
    Oddity("as it is", lambda given: None, True),
    Oddity("of the VB line", _twix({"line": "VB", "counter": "Set"}), True),
    Oddity("of the VB line, stopped", _stopped(0), True),
    Oddity("of the VB line, stopped before its last two", _stopped(2), False),
    Oddity("of the VB line, cut within a transient", _stopped(1, 500), False),
    Oddity("counted by Rep", _twix({"counter": "Rep"}), True),
    Oddity("low gain in both", _twix({"gain": 0}), True),
    Oddity("low gain in the reference", _twix({}, {"gain": 0}), False),
    Oddity("cut to a half", _cut(0.5), False),
    Oddity("cut between two transients", _cut_between, False),
    Oddity(
        "named after editing",
        _twix({"sequence": "svs_edit", "file": "%CustomerSeq%\\svs_edit_859f"}),
        False,
    ),
    Oddity("named STEAM", _twix({"sequence": "svs_st", "file": "%SiemensSeq%\\svs_st"}), False),
]

P_FILES = [
    Oddity("as it is", lambda given: None, True),
    *(Oddity(f"of revision {one:g}", _p_file(revision=one), True) for one in (20.006, 28.003, 31)),
    Oddity("frames of two excitations", _p_file(nex=2), False),
    Oddity("stopped early by its header", _p_file(count=40), False),
    Oddity("a count that divides nothing", _p_file(count=75), False),
    Oddity("cut to a half", _cut(0.5), False),
    Oddity("last bytes cut", _cut(0.999), False),
    Oddity("of an edited sequence", _p_file(psd="gaba"), False),
    Oddity("of sLASER, two references, said PRESS", _p_file(**SLASER), False),
    Oddity("of an unknown sequence", _p_file(psd="epi2"), False),
    Oddity("reference of another P-file, lower gain", _two_p_files, False),
]

RAW_FILES = {"twix": TWIX, "pfile": P_FILES}
"""By format."""
