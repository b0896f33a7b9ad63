"""Oddities of other people's exporters and pipelines: byte orders, namelists of other writers,
corrections that were made before the export, references of another protocol."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from given import Given
from images import fields, put, shaped
from signals import Oddity, both, reference, scan
from texts import edited

from fmrsflow.preprocess.eddy import correct_eddy, eddy_phase
from fmrsflow.preprocess.water import residual_water


def _samples(change) -> callable:
    """Bytes of the samples of scan and reference changed (SDAT: all of the file)."""

    def both_files(given: Given) -> None:
        given.edit("mrs", change)
        given.edit("ref", change)

    return both_files


def _behind_header(function):
    """A change of an RDA's samples alone."""

    def change(content: bytes) -> bytes:
        head, end, samples = content.partition(b">>> End of header <<<\r\n")
        return head + end + function(samples)

    return change


def _swapped_words(content: bytes) -> bytes:
    return np.frombuffer(content, "<u2").reshape(-1, 2)[:, ::-1].tobytes()


def _bytes_reversed(content: bytes) -> bytes:
    return np.frombuffer(content, "<u4").byteswap().tobytes()


def _ieee(given: Given) -> None:
    """IEEE floats where SDAT has those of a VAX."""

    def write(data) -> None:
        for column, fids in (("mrs", given.fids), ("ref", given.reference)):
            samples = np.ascontiguousarray(np.conj(fids.transients), "<c8")
            (data / given.row[column]).write_bytes(samples.tobytes())

    given.edits.append(write)


def _big_endian(image):
    made = image.__class__(
        np.asarray(image.dataobj).astype(">c8"),
        image.affine,
        image.header.as_byteswapped(">"),
    )
    made.header.extensions.clear()
    made.header.extensions.extend(image.header.extensions)
    return made


def _half_zeros(x, fids):
    """The second half of the points zeros, as a filter of the noise leaves them."""
    x = np.array(x)
    x[..., x.shape[-1] // 2 :] = 0
    return x


def _eddy_currents(given: Given) -> None:
    """A phase of 0.8 radian that rises over 50 ms, in both."""
    turn = np.exp(0.8j * (1 - np.exp(-given.fids.time_s / 0.05)))
    given.fids = given.fids.with_data(given.fids.data * turn)
    given.reference = given.reference.with_data(given.reference.data * turn)


def _eddy_corrected(given: Given) -> None:
    """The scan corrected for eddy currents before its export, the reference as measured."""
    _eddy_currents(given)
    given.fids = correct_eddy(given.fids, eddy_phase(given.reference))
    step = {"Time": "2026-11-30T10:00:00", "Program": "other", "Version": "1"}
    given.fields["ProcessingApplied"] = [step | {"Method": "Eddy current correction"}]


def _both_corrected(given: Given) -> None:
    _eddy_corrected(given)
    given.reference = correct_eddy(given.reference, eddy_phase(given.reference))


def _water_removed(given: Given) -> None:
    """Residual water taken out before the export."""
    water = residual_water(given.fids, (4.4, 5.0)).fids
    given.fids = given.fids.with_data(given.fids.transients - water)


def _longer_reference(given: Given) -> None:
    data = given.reference.data
    given.reference = given.reference.with_data(np.concatenate([data, 0 * data], axis=-1))


def _times(name: str, value: float):
    """The reference's own time, with the water that goes with it unchanged."""
    return lambda given: setattr(given, "reference", replace(given.reference, **{name: value}))


def _slow_reference(given: Given) -> None:
    """A reference of TR 10 s: fully relaxed water (T1 of 1.3 s at TR 2 s: 0.785)."""
    full = (1 - np.exp(-10 / 1.3)) / (1 - np.exp(-2 / 1.3))
    given.reference = replace(given.reference.with_data(given.reference.data * full), tr_s=10.0)


def _raw_head(head: str):
    """RAW behind another program's namelists; the points stay."""

    def edit(text: str) -> str:
        return head + text.rpartition("$END\n")[2]

    return edit


FID_A = """ $SEQPAR
 echot= 30.00
 seq= 'PRESS'
 hzpppm= 123.250000
 NumberOfPoints= 1024
 dwellTime= 0.000500
 $END
 $NMID
 id='ANONYMOUS ', fmtdat='(2E16.8)'
 volume=8.0
 tramp=1.0
 $END
"""

OSPREY = """ $NMID
  ID='sub-01', FMTDAT='(2E16.8)', TRAMP= 1.0, VOLUME= 1.0 $END
"""

SPEC2NII = """ $NMID
 FMTDAT = '(2E16.8)'
 VOLUME = 1.0
 TRAMP = 1.0
 $END
"""


def _three_digits(text: str) -> str:
    """Fortran leaves the E out of exponents of three digits."""
    head, end, body = text.rpartition("$END\n")
    numbers = body.splitlines()
    numbers[-2:] = ["  1.00000000-103 -1.00000000-103"] * 2
    return head + end + "\n".join(numbers) + "\n"


def _short_exponents(text: str) -> str:
    head, end, body = text.rpartition("$END\n")
    return head + end + re.sub(r"E([+-])(\d\d)", r"E\g<1>0\2", body)


def _units_behind(text: str) -> str:
    for key, unit in (
        ("echo_time", "ms"),
        ("repetition_time", "ms"),
        ("sample_frequency", "Hz"),
        ("synthesizer_frequency", "Hz"),
        ("ap_size", "mm"),
    ):
        text = re.sub(rf"(?m)^({key} : \S+)$", rf"\1 {unit}", text)
    return text


def _remarks(text: str) -> str:
    return re.sub(r"(?m)^((?:samples|echo_time|rows) : \S+)$", r"\1   ! as exported", text)


def _utf16(given: Given, suffix: str = "") -> None:
    for column in ("mrs", "ref"):
        given.edit(column, lambda content: content.decode("latin-1").encode("utf-16"), suffix)


def _one_transient(given: Given) -> None:
    """One transient of the series, and no events."""
    given.fids = given.fids.select([0])
    given.events, given.row["events"], given.row["condition"] = None, "", "rest"
    given.site["transients"] = None


def _reference_by(format_: str):
    """The reference in another format than the scan."""

    def change(given: Given) -> None:
        from written import FORMATS, averaged

        kind = FORMATS[format_]
        fids = averaged(given.reference) if kind.single else given.reference

        def write(data) -> None:
            given.row["ref"] = given.row["ref"].partition(".")[0] + kind.suffix
            kind.write(fids, data / given.row["ref"])

        given.edits.append(write)

    return change


def _sum_of_halves(x, fids):
    """A FID added to itself one point later, as an interpolation of a half point makes it."""
    late = np.concatenate([0 * x[..., :1], x[..., :-1]], axis=-1)
    return (x + late) / 2


def _conjugate_pairs(x, fids):
    """Doubled points: each written twice."""
    return np.repeat(x, 2, axis=-1)[..., : x.shape[-1]]


def _decimated(x, fids):
    return x[..., ::2]


EXPORTERS = {
    "nifti": [
        Oddity("big-endian", shaped(_big_endian), True),
        Oddity("second half of the points zero", both(_half_zeros), True),
        Oddity("eddy currents", _eddy_currents, True),
        Oddity("scan corrected for eddy currents", _eddy_corrected, False),
        Oddity("both corrected for eddy currents", _both_corrected, True),
        Oddity("residual water removed", _water_removed, True),
        Oddity("reference of twice the points", _longer_reference, True),
        Oddity("reference said at TE 144 ms", _times("te_s", 0.144), False),
        Oddity("reference at TR 10 s", _slow_reference, True),
        Oddity("one transient", _one_transient, True, less_noise=False),
        Oddity("interpolated by half a point", both(_sum_of_halves), False),
        Oddity("each point twice", both(_conjugate_pairs), False),
        Oddity("every other point", both(_decimated), False),
        Oddity("every other point of the scan", scan(_decimated), False),
        Oddity("reference divided by its transients", reference(lambda x, f: x / 8), False),
        Oddity("SpectralWidth in kHz", put(SpectralWidth=2.0), False),
        Oddity("frequency in kHz", put(SpectrometerFrequency=[123250.0]), False),
        Oddity("EchoTime of a millisecond, said s", put(EchoTime=0.00003), True),
        Oddity("scan said at an inversion", fields(reference=False, InversionTime=600), False),
        Oddity("RDA as reference", _reference_by("rda"), True),
        Oddity("RAW as reference", _reference_by("raw"), True),
        Oddity("jMRUI as reference", _reference_by("jmrui"), True),
    ],
    "sdat": [
        Oddity("IEEE floats", _ieee, False),
        Oddity("words of the floats swapped", _samples(_swapped_words), False),
        Oddity("bytes of the floats reversed", _samples(_bytes_reversed), False),
        Oddity("units behind numbers", edited("sdat", _units_behind), True),
        Oddity("remarks behind numbers", edited("sdat", _remarks), True),
        Oddity("UTF-16", lambda given: _utf16(given, ".SPAR"), True),
    ],
    "rda": [
        Oddity("big-endian samples", _samples(_behind_header(_bytes_reversed)), False),
        Oddity(
            "doubles of the other order",
            _samples(_behind_header(lambda s: np.frombuffer(s, "<f8").byteswap().tobytes())),
            False,
        ),
    ],
    "jmrui": [
        Oddity("second half of the points zero", both(_half_zeros), True),
        Oddity("UTF-16", _utf16, True),
    ],
    "raw": [
        Oddity("written by FID-A", edited("raw", _raw_head(FID_A)), True),
        Oddity("written by Osprey", edited("raw", _raw_head(OSPREY)), True),
        Oddity("written by spec2nii", edited("raw", _raw_head(SPEC2NII)), True),
        Oddity("exponents without their letter", edited("raw", _three_digits), True),
        Oddity("exponents of three digits", edited("raw", _short_exponents), True),
        Oddity(
            "VOLUME of the scan alone",
            lambda given: given.edit(
                "mrs", lambda content: content.replace(b"VOLUME=1.0", b"VOLUME=8.0")
            ),
            False,
        ),
    ],
}
