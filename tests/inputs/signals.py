"""Oddities of what was measured or exported, whatever the format: each changes scan and reference.

Good ones leave the truth of the scan as it is, so that it has to be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from given import Given
from scipy.signal import resample

from fmrsflow.fids import Fids, to_spectrum

SEED = 16


@dataclass(frozen=True)
class Oddity:
    """A change of what is given, by its name; see `kit.Case` for the rest.

    `series` says that it needs several transients.
    """

    name: str
    change: Callable[[Given], None]
    good: bool
    less_noise: bool = False
    series: bool = False


def both(function: Callable[[np.ndarray, Fids], np.ndarray]) -> Callable[[Given], None]:
    """An oddity of the samples of scan and reference alike."""

    def change(given: Given) -> None:
        given.fids = given.fids.with_data(function(given.fids.data, given.fids))
        if given.reference is not None:
            samples = function(given.reference.data, given.reference)
            given.reference = given.reference.with_data(samples)

    return change


def scan(function: Callable[[np.ndarray, Fids], np.ndarray]) -> Callable[[Given], None]:
    """An oddity of the scan's samples alone."""

    def change(given: Given) -> None:
        given.fids = given.fids.with_data(function(given.fids.data, given.fids))

    return change


def reference(function: Callable[[np.ndarray, Fids], np.ndarray]) -> Callable[[Given], None]:
    """An oddity of the reference's samples alone."""

    def change(given: Given) -> None:
        samples = function(given.reference.data, given.reference)
        given.reference = given.reference.with_data(samples)

    return change


def shifted(hz: float) -> Callable[[Given], None]:
    """Scan and reference at another frequency of the carrier."""
    return both(lambda x, fids: fids.shifted(hz).data)


def set_first(value) -> Callable:
    """One sample of one transient replaced."""

    def change(x, fids):
        x = np.array(x)
        x[x.shape[0] // 2, 0, 40] = value
        return x

    return change


def _cut(n: int):
    return lambda x, fids: x[..., n:]


def _zeroed(n: int):
    def change(x, fids):
        x = np.array(x)
        x[..., :n] = 0
        return x

    return change


def _filled(times: int):
    return lambda x, fids: np.concatenate(
        [x, np.zeros_like(x)] + [np.zeros_like(x)] * (times - 2), axis=-1
    )


def _interpolated(x, fids):
    """Twice the points by a spectrum of twice the points: zeros to rounding alone."""
    return np.fft.ifft(np.fft.fft(x, 2 * x.shape[-1], axis=-1), axis=-1).astype(np.complex64)


def _apodised(hz: float):
    return lambda x, fids: x * np.exp(-np.pi * hz * fids.time_s)


def _gaussian(hz: float):
    return lambda x, fids: x * np.exp(-((np.pi * hz * fids.time_s) ** 2) / (4 * np.log(2)))


def _transients(function):
    """Applied to the numbers of the transients of a series."""
    return lambda x, fids: x * function(np.arange(len(x)))[:, None, None]


def _blank(x, fids):
    x = np.array(x)
    x[3:6] = 0
    return x


def _spectra(x, fids):
    return to_spectrum(x)


def _clipped(share: float):
    def change(x, fids):
        limit = share * np.abs(x).max()
        return np.clip(x.real, -limit, limit) + 1j * np.clip(x.imag, -limit, limit)

    return change


def _wrapped(x, fids):
    """16-bit integers that ran over at the strongest samples."""
    step = max(np.abs(x.real).max(), np.abs(x.imag).max()) / 40000.0
    parts = [np.round(part / step).astype(np.int64).astype(np.int16) for part in (x.real, x.imag)]
    return step * (parts[0] + 1j * parts[1])


def _whole_numbers(x, fids):
    step = np.abs(x).max() / 2.0**15
    return step * (np.round(x.real / step) + 1j * np.round(x.imag / step))


def _noise(fids: Fids) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    late = fids.data[..., 3 * fids.n_points // 4 :]
    size = fids.data.shape
    return np.std(late.real) * (rng.normal(size=size) + 1j * rng.normal(size=size))


def _lipids(times: float):
    def change(x, fids):
        size = times * np.abs(x).max()
        lines = sum(
            share * np.exp((2j * np.pi * fids.hz_at(ppm) - np.pi * 30) * fids.time_s)
            for ppm, share in ((1.3, 1.0), (0.9, 0.5))
        )
        return x + size * lines

    return change


def _water_in(share: float):
    """That share of the unsuppressed water in the scan."""

    def change(given: Given) -> None:
        water = share * given.reference.data.mean(axis=0, keepdims=True)
        given.fids = given.fids.with_data(given.fids.data + water)

    return change


def coils(given: Given) -> None:
    """Four receivers of different gain and phase, noise of each its own."""
    gains = np.array([1.0, 0.7 * np.exp(1j), 0.5 * np.exp(-2j), 0.3 * np.exp(2.5j)])
    extra = [_noise(given.fids) for _ in gains[1:]]
    rng = np.random.default_rng(SEED)
    extra = [np.take(one, rng.permutation(one.shape[-1]), axis=-1) for one in extra]
    parts = [given.fids.data * gains[0]]
    parts += [given.fids.data * gain + noise for gain, noise in zip(gains[1:], extra)]
    given.fids = replace(given.fids, data=np.concatenate(parts, axis=1))
    given.reference = replace(
        given.reference,
        data=np.concatenate([given.reference.data * gain for gain in gains], axis=1),
    )


def _one_more_reference(given: Given) -> None:
    water = given.reference.data[:1]
    given.fids = given.fids.with_data(np.concatenate([water, given.fids.data]))


def _swap(given: Given) -> None:
    given.fids, given.reference = given.reference, given.fids


def _own_reference(given: Given) -> None:
    given.reference = given.fids.with_data(given.fids.data * 1.0)


def _scaled_own_reference(given: Given) -> None:
    given.reference = given.fids.mean().with_data(given.fids.mean().data * 20)


def _no_reference(given: Given) -> None:
    given.reference = None
    given.row["ref"] = ""


def _edited(given: Given) -> None:
    """Every other transient without NAA, as a pulse at 1.9 ppm leaves it."""
    fids = given.fids
    ppm = fids.carrier_ppm + np.fft.fftfreq(fids.n_points, fids.dwell_s) / fids.frequency_mhz
    spectra = np.fft.fft(fids.data, axis=-1)
    inside = (ppm > 1.9) & (ppm < 2.15)
    level = np.abs(spectra[..., (ppm > 0) & (ppm < 0.4)]).mean()
    spectra[1::2][..., inside] *= level / np.abs(spectra[1::2][..., inside])
    given.fids = fids.with_data(np.fft.ifft(spectra, axis=-1))


def _resampled(given: Given) -> None:
    """Twice the samples in the same time, with the noise of the wider band, as a raw file has."""
    rng = np.random.default_rng(SEED)
    for name in ("fids", "reference"):
        fids = getattr(given, name)
        data = resample(fids.data, 2 * fids.n_points, axis=-1)
        # Differences are free of the water's tail.
        late = np.diff(fids.data[..., 3 * fids.n_points // 4 :], 6, axis=-1) / np.sqrt(924)
        noise = rng.normal(size=data.shape) + 1j * rng.normal(size=data.shape)
        # White over the whole band, and of it what lies outside the old one.
        spectrum = np.fft.fft(np.sqrt(2) * np.std(late.real) * noise, axis=-1)
        spectrum[..., np.abs(np.fft.fftfreq(data.shape[-1])) < 0.25] = 0
        data = data + np.fft.ifft(spectrum, axis=-1)
        setattr(given, name, replace(fids, data=data, dwell_s=fids.dwell_s / 2))
    given.site["spectral_width_hz"] = None


def _pairs_averaged(given: Given) -> None:
    data = given.fids.data
    given.fids = given.fids.with_data(0.5 * (data[0::2] + data[1::2]))
    given.site["transients"] = None


def _last_lost(given: Given) -> None:
    given.fids = given.fids.with_data(given.fids.data[:-7])


def _dummies(given: Given) -> None:
    """The first transients before the steady state, stronger by their recovery."""
    gain = 1 + 0.4 * np.exp(-np.arange(given.fids.n_transients) / 0.8)
    given.fids = given.fids.with_data(given.fids.data * gain[:, None, None])


def _drift(given: Given) -> None:
    given.fids = given.fids.shifted(np.linspace(-6, 6, given.fids.n_transients))


def _repeated(given: Given) -> None:
    given.fids = given.fids.with_data(np.repeat(given.fids.data, 2, axis=0)[: len(given.fids.data)])


def _written_twice(given: Given) -> None:
    given.fids = given.fids.with_data(np.concatenate([given.fids.data] * 2))
    given.site["transients"] = None


def _last_twice(given: Given) -> None:
    data = np.array(given.fids.data)
    data[-1] = data[-2]
    given.fids = given.fids.with_data(data)


def _only_one(given: Given) -> None:
    given.fids = given.fids.with_data(given.fids.data.mean(axis=0, keepdims=True))


def _jump(given: Given) -> None:
    """A jump of 15 Hz in the middle, as after a new shim."""
    step = np.where(np.arange(given.fids.n_transients) < given.fids.n_transients // 2, 0.0, 15.0)
    given.fids = given.fids.shifted(step)


def _moved_reference(given: Given) -> None:
    affine = np.array(given.reference.affine)
    affine[0, 3] += 8.0
    given.reference = replace(given.reference, affine=affine)


def _inverted_reference(given: Given) -> None:
    given.reference = given.reference.with_data(-0.5 * given.reference.data)


def _conjugated_reference(given: Given) -> None:
    """With the metabolites that an unsuppressed FID holds: the scanner's is water alone."""
    whole = given.reference.data + given.fids.data.mean(axis=0)
    given.reference = given.reference.with_data(np.conj(whole))


def _short_reference(given: Given) -> None:
    given.reference = given.reference.with_data(given.reference.data[..., :512])


def _other_dwell(given: Given) -> None:
    given.reference = replace(given.reference, dwell_s=given.reference.dwell_s / 2)


def _averages(given: Given) -> None:
    """Eight transients of the reference."""
    data = given.reference.data
    noise = [np.roll(data[0], 0, axis=-1) for _ in range(8)]
    given.reference = given.reference.with_data(np.array(noise))


OFF_CARRIER_HZ = (3.0 - 4.65) * 123.25

SIGNALS = (
    Oddity("undisturbed", lambda given: None, True),
    Oddity("scaled by 1e-12", both(lambda x, fids: x * 1e-12), True),
    Oddity("scaled by 1e-25", both(lambda x, fids: x * 1e-25), True),
    Oddity("scaled by 1e12", both(lambda x, fids: x * 1e12), True),
    Oddity("phase of 180 degrees", both(lambda x, fids: -x), True),
    Oddity("scan alone at 180 degrees", scan(lambda x, fids: -x), True),
    Oddity("scan alone at 90 degrees", scan(lambda x, fids: 1j * x), True),
    Oddity(
        "every other transient negative",
        scan(_transients(lambda n: (-1.0) ** n)),
        True,
        series=True,
    ),
    Oddity("phase cycle of four", scan(_transients(lambda n: 1j**n)), True, series=True),
    Oddity("frequency 20 Hz up", shifted(20.0), True),
    Oddity("frequency 50 Hz down", shifted(-50.0), True),
    Oddity("frequency 50 Hz up", shifted(50.0), True),
    Oddity(
        "scan alone 30 Hz up", lambda given: setattr(given, "fids", given.fids.shifted(30.0)), True
    ),
    Oddity("carrier at 3 ppm, unsaid", shifted(-OFF_CARRIER_HZ), False),
    Oddity("carrier at 2 ppm, unsaid", shifted(2.65 * 123.25), False),
    Oddity("drift of 12 Hz", _drift, True, series=True),
    Oddity("jump of 15 Hz", _jump, True, series=True),
    Oddity("first transients before steady state", _dummies, False, series=True),
    Oddity("constant offset", both(lambda x, fids: x + 0.02 * np.abs(x).max()), False),
    Oddity(
        "constant offset of the scan alone", scan(lambda x, fids: x + 0.1 * np.abs(x).max()), False
    ),
    Oddity("one spike", scan(set_first(1e6)), False),
    Oddity("a point that is no number", scan(set_first(np.nan)), False),
    Oddity("a point that is infinite", scan(set_first(np.inf)), False),
    Oddity("a reference with NaN", reference(set_first(np.nan)), False),
    Oddity("zeros only", scan(lambda x, fids: 0 * x), False),
    Oddity("a reference of zeros", reference(lambda x, fids: 0 * x), False),
    Oddity("three blank transients", scan(_blank), True, series=True),
    Oddity(
        "noise only",
        lambda given: setattr(given, "fids", given.fids.with_data(_noise(given.fids))),
        False,
    ),
    Oddity("ones only", scan(lambda x, fids: 0 * x + 1), False),
    Oddity("reference clipped at 90 percent", reference(_clipped(0.9)), False),
    Oddity("reference clipped at 60 percent", reference(_clipped(0.6)), False),
    Oddity("scan clipped at 60 percent", scan(_clipped(0.6)), False),
    Oddity("scan of wrapped integers", scan(_wrapped), False),
    Oddity("reference of wrapped integers", reference(_wrapped), False),
    Oddity("whole numbers of 16 bits", both(_whole_numbers), True),
    Oddity("unsuppressed water in the scan", _water_in(1.0), False),
    Oddity("2 percent of water left", _water_in(0.02), True),
    Oddity("lipids as high as the water left", scan(_lipids(1.0)), False),
    Oddity("lipids ten times that", scan(_lipids(10.0)), False),
    Oddity("conjugated", both(lambda x, fids: np.conj(x)), False),
    Oddity("scan alone conjugated", scan(lambda x, fids: np.conj(x)), False),
    Oddity("reference alone conjugated", _conjugated_reference, False),
    Oddity("real and imaginary part swapped", both(lambda x, fids: 1j * np.conj(x)), False),
    Oddity("real parts only", both(lambda x, fids: x.real + 0j), False),
    Oddity("spectra in place of FIDs", both(_spectra), False),
    Oddity("reversed in time", both(lambda x, fids: x[..., ::-1]), False),
    Oddity("3 first points cut", both(_cut(3)), False),
    Oddity("8 first points cut", both(_cut(8)), False),
    Oddity(
        "3 first points of the scan cut",
        scan(lambda x, fids: np.concatenate([x[..., 3:], 0 * x[..., :3]], axis=-1)),
        False,
    ),
    Oddity("3 first points zeroed", both(_zeroed(3)), False),
    Oddity("20 points before the echo", both(lambda x, fids: np.roll(x, 20, axis=-1)), False),
    Oddity(
        "20 points of noise before the echo",
        both(lambda x, fids: np.concatenate([x[..., -20:], x[..., :-20]], axis=-1)),
        False,
    ),
    Oddity("half the points", both(lambda x, fids: x[..., :512]), True),
    Oddity("a quarter of the points", both(lambda x, fids: x[..., :256]), False),
    Oddity("63 points", both(lambda x, fids: x[..., :63]), False),
    Oddity("an odd number of points", both(lambda x, fids: x[..., :1001]), True),
    Oddity("zero-filled twice", both(_filled(2)), True),
    Oddity("zero-filled four times", both(_filled(4)), True),
    Oddity("zero-filled through the spectrum", both(_interpolated), True),
    Oddity(
        "zero-filled and 3 Hz wider",
        both(lambda x, fids: _filled(2)(_apodised(3.0)(x, fids), fids)),
        False,
        less_noise=False,
    ),
    Oddity("filtered by 2 Hz", both(_apodised(2.0)), False),
    Oddity("filtered by 5 Hz", both(_apodised(5.0)), False),
    Oddity("filtered by 4 Hz, Gaussian", both(_gaussian(4.0)), False),
    Oddity("scan alone filtered by 5 Hz", scan(_apodised(5.0)), False),
    Oddity("oversampled twice", _resampled, True),
    Oddity("named as its own reference", _own_reference, False),
    Oddity("its mean, scaled, as reference", _scaled_own_reference, False),
    Oddity("scan and reference swapped", _swap, False),
    Oddity("no reference", _no_reference, True),
    Oddity("reference a sum of 16", reference(lambda x, fids: 16 * x), False),
    Oddity("reference of double gain", reference(lambda x, fids: 2 * x), False),
    Oddity("reference of half gain", reference(lambda x, fids: x / 2), False),
    Oddity("scan a sum of 8", scan(lambda x, fids: 8 * x), False),
    Oddity("reference after an inversion", _inverted_reference, False),
    Oddity("reference elsewhere", _moved_reference, False),
    Oddity("reference of half the points", _short_reference, False),
    Oddity("reference of another dwell time", _other_dwell, False),
    Oddity("eight transients of the reference", _averages, True),
    Oddity("the reference as first transient", _one_more_reference, False, series=True),
    Oddity("edited, unsaid", _edited, False, series=True),
    Oddity("pairs of transients averaged, TR unsaid", _pairs_averaged, False, series=True),
    Oddity("seven transients lost", _last_lost, False, series=True),
    Oddity("each transient twice", _repeated, False, series=True),
    Oddity("the series written twice", _written_twice, False, series=True),
    Oddity("the last transient twice", _last_twice, False, series=True),
    Oddity("one average where events need a series", _only_one, False, series=True),
    Oddity("four receivers", coils, True, series=True),
)
