"""What other people's programs and habits do to FIDs and NIfTI-MRS headers: each in NIfTI-MRS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from given import Given
from images import put, remade, shaped
from signals import SEED, Oddity, both, coils, scan

from fmrsflow.exponentials import exponentials


def _own_scale(x, fids):
    """To 16-bit whole numbers of the file's own step, which nobody wrote down."""
    step = max(np.abs(x.real).max(), np.abs(x.imag).max()) / 32767.0
    return np.round(x.real / step) + 1j * np.round(x.imag / step)


def _own_maximum(x, fids):
    return x / np.abs(x).max(axis=-1, keepdims=True)


def _first(factor: float):
    def change(x, fids):
        x = np.array(x)
        x[..., 0] *= factor
        return x

    return change


def _late(points: float):
    """The signal a part of a point later, as a filter leaves it."""
    turn = np.exp(2j * np.pi * np.fft.fftfreq(2048) * points)

    def change(x, fids):
        spectra = np.fft.fft(x, 2048, axis=-1) * turn
        return np.fft.ifft(spectra, axis=-1)[..., : x.shape[-1]]

    return change


def _random(given: Given, width: float) -> np.ndarray:
    return np.random.default_rng(SEED).uniform(-width / 2, width / 2, given.fids.n_transients)


def _scattered(given: Given) -> None:
    """Each transient somewhere within 0.5 ppm."""
    given.fids = given.fids.shifted(_random(given, 0.5) * given.fids.frequency_mhz)


def _drifting(ppm: float):
    def change(given: Given) -> None:
        width = ppm * given.fids.frequency_mhz
        given.fids = given.fids.shifted(np.linspace(0, width, given.fids.n_transients))

    return change


def _any_phase(given: Given) -> None:
    given.fids = given.fids.rotated(_random(given, 360.0))


def _every_other_conjugated(x, fids):
    x = np.array(x)
    x[1::2] = np.conj(x[1::2])
    return x


def _turned_offset(x, fids):
    """A constant that takes turns in sign."""
    signs = (-1.0) ** np.arange(len(x))[:, None, None]
    return x + 0.1 * np.abs(x).max() * signs


def _gain(when: float, factor: float):
    def change(x, fids):
        late = np.arange(len(x)) >= when * len(x)
        return x * np.where(late, factor, 1.0)[:, None, None]

    return change


def _one(number: int, factor: float):
    def change(x, fids):
        x = np.array(x)
        x[number] *= factor
        return x

    return change


def _suppression_fails(given: Given) -> None:
    """A third of the transients with a tenth of the water."""
    water = 0.1 * given.reference.data.mean(axis=0)
    data = np.array(given.fids.data)
    data[::3] += water
    given.fids = given.fids.with_data(data)


def _magnitude_and_phase(x, fids):
    return np.abs(x) + 1j * np.angle(x)


def _parts_apart(x, fids):
    """Pairs of real and imaginary parts that begin one number late."""
    return np.roll(x.real, -1, axis=-1) * 1j + x.imag


def _mean_appended(x, fids):
    return np.concatenate([x, x.mean(axis=0, keepdims=True)])


def _mean_before(x, fids):
    return np.concatenate([x.mean(axis=0, keepdims=True), x])


def _running_sum(x, fids):
    """Each transient the sum of all before it, as some reconstructions store them."""
    return np.cumsum(x, axis=0)


def _running_mean(x, fids):
    return np.cumsum(x, axis=0) / np.arange(1, len(x) + 1)[:, None, None]


def _ramp(x, fids):
    """The first eight points rise as a filter does."""
    ramp = np.ones(x.shape[-1])
    ramp[:8] = np.hanning(17)[1:9]
    return x * ramp


def _eight_bits(x, fids):
    step = np.abs(x).max() / 127.0
    return step * (np.round(x.real / step) + 1j * np.round(x.imag / step))


def _line_between(x, fids):
    """A spurious line between creatine and choline, a third of NAA's height."""
    line = exponentials(
        2j * np.pi * np.array([fids.hz_at(3.12)]) * fids.dwell_s - 3 * np.pi * fids.dwell_s,
        x.shape[-1],
    )
    return x + 0.004 * np.abs(x).max() * line


def _references(n: int, *lost: int, factor: float = 0.0):
    """Several transients of the reference, some of them weaker, each with noise of its own."""

    def change(given: Given) -> None:
        one, rng = given.reference.mean(), np.random.default_rng(SEED)
        tail = given.fids.data[..., 3 * one.n_points // 4 :]
        noise = np.diff(tail, 6, axis=-1).std() / np.sqrt(2 * 924)
        draws = rng.normal(size=(2, n, 1, one.n_points))
        data = np.repeat(one.data, n, axis=0)
        data[list(lost)] *= factor
        given.reference = given.reference.with_data(data + noise * (draws[0] + 1j * draws[1]))

    return change


def _coils_as_transients(given: Given) -> None:
    """Four receivers of one average, tagged as transients."""
    given.fids = given.fids.mean()
    coils(given)
    for name in ("fids", "reference"):
        fids = getattr(given, name)
        setattr(given, name, replace(fids, data=np.swapaxes(fids.data[:1], 0, 1)))
    given.events, given.row["events"], given.row["condition"] = None, "", "rest"
    given.site["transients"] = None


def _coils_last(data, header):
    if data.ndim < 6:
        return data, header
    return np.swapaxes(data, 4, 5), header | {"dim_5": "DIM_DYN", "dim_6": "DIM_COIL"}


def _receivers_last(given: Given) -> None:
    coils(given)
    remade(_coils_last)(given)


def _slope(image):
    """Half the samples, and a slope of 2 in the header."""
    halved = image.__class__(np.asarray(image.dataobj) / 2, image.affine, image.header)
    halved.header.set_slope_inter(2.0, 0.0)
    return halved


def _along(given: Given, **fields) -> None:
    put(dim_5_header=fields)(given)


def _listed(**fields):
    return lambda given: _along(given, **fields)


def _no_intent(image):
    image.header["intent_name"] = b""
    return image


HABITS = [
    Oddity("each file in whole numbers of its own step", both(_own_scale), False),
    Oddity("each FID over its own maximum", both(_own_maximum), False),
    Oddity("first point doubled", both(_first(2.0)), False),
    Oddity("first point halved", both(_first(0.5)), False),
    Oddity("half a point late", both(_late(0.5)), False),
    Oddity("rises over eight points", both(_ramp), False),
    Oddity("drift of 0.5 ppm", _drifting(0.5), False),
    Oddity("drift of 1 ppm", _drifting(1.0), False),
    Oddity("each transient within 0.5 ppm", _scattered, False),
    Oddity("each transient at a phase of its own", _any_phase, True),
    Oddity("every other transient conjugated", scan(_every_other_conjugated), False),
    Oddity("an offset that takes turns", scan(_turned_offset), False),
    Oddity("gain doubled half way", scan(_gain(0.5, 2.0)), False),
    Oddity("gain 5 percent up half way", scan(_gain(0.5, 1.05)), False),
    Oddity("one transient ten times as strong", scan(_one(7, 10.0)), False),
    Oddity("one transient negative", scan(_one(7, -1.0)), True),
    Oddity("water suppression fails now and then", _suppression_fails, False),
    Oddity("magnitude and phase in place of parts", both(_magnitude_and_phase), False),
    Oddity("parts one number apart", both(_parts_apart), False),
    Oddity("the mean appended", scan(_mean_appended), False),
    Oddity("the mean before", scan(_mean_before), False),
    Oddity("sums so far", scan(_running_sum), False),
    Oddity("means so far", scan(_running_mean), False),
    Oddity("eight bits", both(_eight_bits), False),
    Oddity("a spurious line at 3.12 ppm", scan(_line_between), False),
    Oddity("reference of four, one empty", _references(4, 2), False),
    Oddity("reference of four, one of a third", _references(4, 2, factor=0.3), False),
    Oddity("reference of four, one thrice", _references(4, 2, factor=3.0), False),
    Oddity("reference of four", _references(4), True),
    Oddity("receivers as transients", _coils_as_transients, False),
    Oddity("receivers behind transients", _receivers_last, True),
    Oddity("samples with a slope", shaped(_slope), True),
    Oddity("no name of its intent", shaped(_no_intent), True),
    Oddity("echo times along the series", _listed(EchoTime=[0.03, 0.05] * 16), False),
    Oddity(
        "echo times by start and step", _listed(EchoTime={"start": 0.03, "increment": 0.01}), False
    ),
    Oddity("one echo time, listed", _listed(EchoTime=[0.03] * 32), True),
    Oddity("inversion times along the series", _listed(InversionTime=[0.0, 0.6] * 16), False),
    Oddity("flip angles along the series", _listed(ExcitationFlipAngle=[90, 20] * 16), False),
    Oddity("b values along the series", _listed(b_value={"Value": [0, 3000] * 16}), False),
    Oddity("phases along the series", _listed(Phase={"Value": [0, 90] * 16}), True),
    Oddity("tag in mixed letters", put(dim_5="Dim_Dyn"), True),
    Oddity("NumberOfTransients of 100", put(NumberOfTransients=100), False),
    Oddity("NumberOfTransients of 64", put(NumberOfTransients=64), False),
    Oddity("NumberOfTransients of 32", put(NumberOfTransients=32), True),
]
