"""Radio-frequency pulses made here: Shinnar-Le Roux excitation and refocusing, GOIA-WURST.

No vendor's pulse is in this file. All are of the families in use: linear-phase pulses, for
refocusing of 1.2 kHz as in PRESS on clinical scanners, and the gradient-modulated adiabatic pulse
of semi-LASER (Andronesi et al. 2010, J Magn Reson 203:283-293).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SHORTEST_ADIABATIC_S, LONGEST_ADIABATIC_S = 0.0035, 0.0045
"""Length of the adiabatic pulse as published, and where a sequence has the room, s."""


@dataclass(frozen=True)
class ShapedPulse:
    """Samples of a pulse.

    Attributes
    ----------
    rf_hz : complex array (n,)
        B1 as nutation frequency, Hz; its phase holds any frequency sweep.
    gradient : array (n,)
        Slice gradient relative to its largest value.
    dwell_s : float
        Length of a sample, s.
    bandwidth_hz : float
        Width of the slice at full gradient, Hz.
    half_s : float
        From the moment at which the pulse acts, as seen by its slice, to its end, s: where a
        scanner's gradients rephase, and delays begin. Half of its length where it refocuses.
    positions_per_slice : int
        Points over that width at which the pulse is simulated.
    """

    name: str
    rf_hz: np.ndarray
    gradient: np.ndarray
    dwell_s: float
    bandwidth_hz: float
    half_s: float
    positions_per_slice: int = 20

    @property
    def duration_s(self) -> float:
        """Length of the pulse, s."""
        return len(self.rf_hz) * self.dwell_s

    def describe(self) -> dict:
        """What a record of the basis says about the pulse."""
        return {
            "name": self.name,
            "duration_s": self.duration_s,
            "bandwidth_hz": self.bandwidth_hz,
            "peak_b1_hz": float(np.abs(self.rf_hz).max()),
            "positions_per_slice": self.positions_per_slice,
        }


def rotations(pulse: ShapedPulse, offset_hz: np.ndarray, position_hz: np.ndarray, steps: slice):
    """Rotation of a spin 1/2 by some samples of a pulse.

    Parameters
    ----------
    pulse : ShapedPulse
    offset_hz, position_hz : arrays of one shape
        Chemical shift against the pulse's centre; place along the slice gradient, in Hz at full
        gradient.
    steps : slice
        Samples.

    Returns
    -------
    alpha, beta : complex arrays of that shape
        Cayley-Klein parameters: the operator is [[alpha, -conj(beta)], [beta, conj(alpha)]] in
        the basis (up, down).
    """
    shape = (-1,) + (1,) * np.broadcast(offset_hz, position_hz).ndim
    rf, gradient = pulse.rf_hz[steps].reshape(shape), pulse.gradient[steps].reshape(shape)
    z = offset_hz + gradient * position_hz
    angle = np.pi * pulse.dwell_s * np.sqrt(np.abs(rf) ** 2 + z**2)
    # sin(angle) / size, finite where nothing turns.
    sine = np.pi * pulse.dwell_s * np.sinc(angle / np.pi)
    alpha, beta = np.cos(angle) - 1j * sine * z, -1j * sine * rf
    while len(alpha) > 1:
        alpha, beta = _by_pairs(alpha, beta)
    return alpha[0], beta[0]


def _by_pairs(alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations of successive samples (axis 0), each two made one; a last one alone stays."""
    end = len(alpha) // 2 * 2
    a, b = alpha[:end:2], beta[:end:2]
    then_a, then_b = alpha[1:end:2], beta[1:end:2]
    joined = then_a * a - then_b.conj() * b, then_b * a + then_a.conj() * b
    return (
        np.concatenate([joined[0], alpha[end:]]),
        np.concatenate([joined[1], beta[end:]]),
    )


def refocusing(bandwidth_hz: float = 1200.0, time_bandwidth: float = 6.0) -> ShapedPulse:
    """Linear-phase Shinnar-Le Roux refocusing pulse (Pauly 1991, IEEE Trans Med Imaging 10:53-65).

    The polynomial B is a least-squares low-pass filter, A the minimum-phase polynomial with
    |A|^2 + |B|^2 = 1 (least energy), and the pulse follows by the inverse recursion. With ideal
    crushers the refocused share of the magnetisation is |B|^2; `bandwidth_hz` is its width at half
    height.

    Parameters
    ----------
    bandwidth_hz : float
    time_bandwidth : float
        Duration times bandwidth: 5 ms by default.
    """
    # The filter falls to a half at the edge where |B|^2 falls to a quarter: widen it for 1/2.
    rf, dwell_s = _shinnar_le_roux(bandwidth_hz, time_bandwidth, 0.9999, 1.18)
    half_s = len(rf) * dwell_s / 2
    return ShapedPulse(
        "Shinnar-Le Roux refocusing", rf, np.ones(len(rf)), dwell_s, bandwidth_hz, half_s, 16
    )


def excitation(bandwidth_hz: float = 2400.0, time_bandwidth: float = 6.0) -> ShapedPulse:
    """Linear-phase Shinnar-Le Roux pulse of 90 degrees, as `refocusing`: |B| is sin 45 degrees.

    The magnetisation that it excites is 2 conj(A) B; `bandwidth_hz` is the width of that at half
    height, and `half_s` what rephases it: B is symmetric about the middle, A leads a little.
    """
    # At half height |2 A B| = 1/2, |B| is 0.37 of its largest, beyond the filter's edge of 1/2.
    rf, dwell_s = _shinnar_le_roux(bandwidth_hz, time_bandwidth, np.sqrt(0.5), 0.93)
    pulse = ShapedPulse(
        "Shinnar-Le Roux excitation", rf, np.ones(len(rf)), dwell_s, bandwidth_hz, 0.0, 16
    )
    position = np.linspace(-0.3, 0.3, 61) * bandwidth_hz
    alpha, beta = rotations(pulse, np.zeros_like(position), position, slice(None))
    phase = np.unwrap(np.angle(alpha.conj() * beta))
    return replace(pulse, half_s=float(np.abs(np.polyfit(position, phase, 1)[0]) / (2 * np.pi)))


def _shinnar_le_roux(bandwidth_hz: float, time_bandwidth: float, largest: float, widened: float):
    """Samples (Hz) and their length (s) of a linear-phase pulse whose |B| is at most `largest`; its
    filter's edge lies at half of the bandwidth times `widened`."""
    from scipy.signal import firls

    n = 255
    edge = widened * time_bandwidth / n
    width = 0.35 * edge + 0.6 / n
    bands = [0, edge - width, edge + width, 1]
    b = firls(n, bands, [1, 1, 0, 0], weight=[1, 4])
    spectrum = np.fft.fft(b, 32 * n)
    b = (b * largest / np.abs(spectrum).max()).astype(complex)
    rf = _inverse_slr(_minimum_phase_partner(b), b)
    dwell_s = time_bandwidth / bandwidth_hz / n
    return rf / (2 * np.pi * dwell_s), dwell_s


def goia_wurst(
    bandwidth_hz: float = 20000.0,
    duration_s: float = LONGEST_ADIABATIC_S,
    peak_b1_hz: float = 1000.0,
) -> ShapedPulse:
    """Gradient-modulated adiabatic inversion GOIA-W(16, 4) (Andronesi 2010).

    B1 = peak (1 - |sin(pi t / 2)|^16) and G = 1 - 0.9 (1 - |sin(pi t / 2)|^4) for t in -1..1; the
    frequency sweep keeps the adiabatic condition equal over the slice:
    f(t) = G(t) integral of B1^2 / G, scaled to the bandwidth. At the published 3.5 ms and this B1 a
    singlet 1.5 ppm off the pulse's centre loses 5 % at 7T; at 4.5 ms 1.6 %.
    """
    n = 700
    t = (np.arange(n) + 0.5) / n * 2 - 1
    sine = np.abs(np.sin(np.pi * t / 2))
    b1 = 1 - sine**16
    gradient = 1 - 0.9 * (1 - sine**4)
    place = np.cumsum(b1**2 / gradient)
    place = (place - place[0] / 2 - place[-1] / 2) / (place[-1] / 2)
    dwell_s = duration_s / n
    sweep_hz = gradient * place * bandwidth_hz / 2
    phase = 2 * np.pi * np.cumsum(sweep_hz) * dwell_s
    rf = peak_b1_hz * b1 * np.exp(-1j * phase)
    return ShapedPulse("GOIA-W(16,4)", rf, gradient, dwell_s, bandwidth_hz, duration_s / 2)


def _minimum_phase_partner(b: np.ndarray) -> np.ndarray:
    n = 64 * 256
    magnitude = np.sqrt(1 - np.abs(np.fft.fft(b, n)) ** 2)
    cepstrum = np.fft.ifft(np.log(magnitude))
    fold = np.zeros(n)
    fold[0] = fold[n // 2] = 1
    fold[1 : n // 2] = 2
    return np.fft.ifft(np.exp(np.fft.fft(cepstrum * fold)))[: len(b)]


def _inverse_slr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    rf = np.zeros(len(a), complex)
    for k in range(len(a) - 1, -1, -1):
        ratio = b[0] / a[0]
        angle = 2 * np.arctan(np.abs(ratio))
        phase = np.angle(-1j * ratio)
        rf[k] = angle * np.exp(1j * phase)
        c, s = np.cos(angle / 2), 1j * np.exp(1j * phase) * np.sin(angle / 2)
        a, b = (c * a + np.conj(s) * b)[:-1] if k else a, (c * b - s * a)[1:] if k else b
    return rf[::-1]
