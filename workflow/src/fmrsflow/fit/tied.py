"""Amplitudes that are tied across the scans of a unit, and the search for them.

Unknowns of all scans in one vector (`Tied`): what the scans have in common once, the rest a scan
each. The scans come as quadratic forms (`scan_form`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmrsflow.fit.scan_form import Form, Part, form_at
from fmrsflow.fit.solve import NO_CONVERGENCE
from fmrsflow.fit.step import bounded_step

CHEMISTRY = ("shift_hz:", "lorentz_hz:", "broad_", "kernel:")
"""Starts of the names of parameters that the scans of a voxel share: lines of one chemistry under
one field."""

BROAD_SD = 0.3
"""SD of the prior of the logarithm of a factor that macromolecules and lipids of a scan have beside
its gain: their lines are those of the model, and what these miss differs with the width."""

MAX_STEPS = 40
TOLERANCE = 1e-3
"""Predicted gain of a step, in units of the residual's variance, below which the search ends: no
parameter would move by more than a thirtieth of its standard error."""


class Tied:
    """Places of the unknowns: levels (mean over the scans, so that priors on them pull all scans
    alike and no difference), responses of some signals to each task, logarithms of gains,
    parameters of lines (those of the chemistry once, the others a scan each)."""

    def __init__(self, parts: Sequence[Part], respond: np.ndarray):
        model = parts[0].model
        self.parts, self.respond = parts, respond
        self.broad, names = model.broad, model.parameters
        sizes = np.array([part.size for part in parts])
        self.share = sizes / sizes.sum()
        self.courses = np.array([part.mean_courses for part in parts])
        self.middle = self.share @ self.courses
        scales = np.array([part.series.mean.scale for part in parts])
        self.ratio_of_scales = scales[0] / scales
        k, c, s = len(model.names), self.courses.shape[1], len(parts)
        shared = np.array([name.startswith(CHEMISTRY) for name in names])
        p, own = len(names), int((~shared).sum())
        self.levels = slice(0, k)
        self.gains = slice(k + c * len(respond), k + c * len(respond) + s - 1)
        self.broads = slice(self.gains.stop, self.gains.stop + s - 1)
        self.thetas = slice(self.broads.stop, self.broads.stop + int(shared.sum()) + s * own)
        self.size = self.thetas.stop
        self.lines = np.empty((s, p), int)
        self.lines[:, shared] = self.broads.stop + np.arange(int(shared.sum()))
        first = self.broads.stop + int(shared.sum())
        self.lines[:, ~shared] = first + np.arange(s * own).reshape(s, own)
        self.low, self.high = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        self.low[self.levels] = 0.0
        self.precision = np.zeros(self.size)
        self.precision[self.broads] = BROAD_SD**-2.0
        for s, part in enumerate(parts):
            # Parameters in common have the limits and the prior of one scan.
            self.low[self.lines[s]] = part.model.lower
            self.high[self.lines[s]] = part.model.upper
            moves = part.model.upper > part.model.lower
            self.precision[self.lines[s]] = np.where(moves, part.model.prior_sd, np.inf) ** -2.0
        self.ratios = parts[0].target.ratios / parts[0].variance

    def response(self, task: int) -> np.ndarray:
        """Places of the responses to a task."""
        return self.levels.stop + task * len(self.respond) + np.arange(len(self.respond))

    def start(self) -> np.ndarray:
        """From the fits of the scans by themselves, nothing responding."""
        parts, share = self.parts, self.share
        states = [part.series.directions.state for part in parts]
        own = np.array([state.amplitudes for state in states])
        # Gains from what the fits have in common.
        size = own[0] @ own.T / (own[0] @ own[0])
        point = np.zeros(self.size)
        point[self.gains] = np.log(np.maximum(size[1:] / self.ratio_of_scales[1:], 1e-6))
        point[self.levels] = np.exp(share[1:] @ point[self.gains]) * (share @ (own / size[:, None]))
        lines = np.zeros(self.size)
        weights = np.zeros(self.size)
        for s, (part, state) in enumerate(zip(parts, states)):
            theta = state.theta
            if len(part.model.kernel) and part.model.upper[-1] > 0 and part.model.is_voigt(theta):
                theta = part.model.with_kernel(theta)
            np.add.at(lines, self.lines[s], share[s] * theta)
            np.add.at(weights, self.lines[s], share[s])
        point[self.thetas] = lines[self.thetas] / weights[self.thetas]
        return np.clip(point, self.low, self.high)

    def start_from(self, other: Tied, point: np.ndarray) -> np.ndarray:
        """The same point under another choice of responses."""
        found = np.zeros(self.size)
        for name in ("levels", "gains", "broads", "thetas"):
            found[getattr(self, name)] = point[getattr(other, name)]
        both = np.intersect1d(self.respond, other.respond, return_indices=True)
        for task in range(len(self.middle)):
            found[self.response(task)[both[1]]] = point[other.response(task)[both[2]]]
        return found

    def free(self, point: np.ndarray, active: np.ndarray, held: np.ndarray | None = None):
        """Which unknowns have an error: signals that are there, lines that may move and are no
        weights at their limit of zero."""
        free = self.high > self.low
        free[self.levels] &= active
        names = np.array([one.startswith("kernel:") for one in self.parts[0].model.parameters])
        for lines in self.lines:
            weights = lines[names]
            free[weights] &= point[weights] > self.low[weights] + 1e-6
        return free if held is None else free & ~held

    def of_scan(self, point: np.ndarray, s: int) -> tuple[np.ndarray, np.ndarray]:
        """Amplitudes of a scan in its own unit, and its parameters."""
        return self._gain(point, s) * self._level(point, s), point[self.lines[s]]

    def _weights(self, s: int) -> np.ndarray:
        """Of the logarithms of gains in that of a scan, which counts from the mean over scans:
        priors on levels would pull at gains that count from one of them."""
        own = np.arange(1, len(self.parts)) == s
        return own - self.share[1:]

    def _gain(self, point: np.ndarray, s: int) -> float:
        log = self._weights(s) @ point[self.gains]
        return float(self.ratio_of_scales[s] * np.exp(log))

    def _factors(self, point: np.ndarray, s: int) -> np.ndarray:
        """Of each signal beside the gain."""
        return np.where(self.broad, np.exp(self._weights(s) @ point[self.broads]), 1.0)

    def _level(self, point: np.ndarray, s: int) -> np.ndarray:
        level = point[self.levels].copy()
        for task in range(len(self.middle)):
            off = self.courses[s, task] - self.middle[task]
            level[self.respond] += off * point[self.response(task)]
        return level * self._factors(point, s)

    def slopes(self, point: np.ndarray, s: int) -> np.ndarray:
        """Derivatives of amplitudes and parameters of a scan by the unknowns."""
        k, p = len(self.broad), self.lines.shape[1]
        gain, turn = self._gain(point, s), np.zeros((k + p, self.size))
        turn[:k, self.levels] = gain * np.diag(self._factors(point, s))
        for task in range(len(self.middle)):
            off = self.courses[s, task] - self.middle[task]
            turn[self.respond, self.response(task)] = gain * off
        amplitudes = gain * self._level(point, s)
        turn[:k, self.gains] = np.outer(amplitudes, self._weights(s))
        turn[:k, self.broads] = np.outer(self.broad * amplitudes, self._weights(s))
        turn[k + np.arange(p), self.lines[s]] = 1.0
        return turn

    def normal(self, point, forms: Sequence[Form], gains, free):
        """Information, score, and covariance of the score under noise, of the free unknowns."""
        n = self.size
        information, score, scatter = np.zeros((n, n)), np.zeros(n), np.zeros((n, n))
        for s, form in enumerate(forms):
            turn = self.slopes(point, s)
            here = np.concatenate(self.of_scan(point, s))
            information += turn.T @ form.information @ turn
            score += turn.T @ (form.score - form.information @ (here - form.at))
            if form.scatter is not None:
                scatter += turn.T @ form.scatter @ turn
            for one in self._differences(point, s):
                information += one[0]
                score += one[1]
                scatter += one[0]
        pull = self.ratios @ point[self.levels]
        information[self.levels, self.levels] += self.ratios
        score[self.levels] -= pull
        information += np.diag(self.precision)
        score -= self.precision * point
        if gains is not None:
            center, sd = gains
            weight = np.diag(1.0 / sd**2)
            information[self.gains, self.gains] += weight
            # The water that told it was measured: its errors scatter as noise does.
            scatter[self.gains, self.gains] += weight
            score[self.gains] += (center - point[self.gains]) / sd**2
        # What these factors stand for differs from scan to scan: where no gain is known, their
        # prior tells it, and is as uncertain as it says.
        scatter[self.broads, self.broads] += np.diag(self.precision[self.broads])
        inside = np.ix_(free, free)
        return information[inside], score[free], scatter[inside]

    def _differences(self, point: np.ndarray, s: int):
        """What a scan of several conditions tells of the responses."""
        within = self.parts[s].within
        if within is None:
            return
        signals, courses, values, weight = within
        gain = self._gain(point, s)
        both = np.intersect1d(signals, self.respond, return_indices=True)
        m, n = len(courses), len(signals)
        turn = np.zeros((m * n, self.size))
        for row in range(m):
            for task in range(len(self.middle)):
                columns = self.response(task)[both[2]]
                turn[row * n + both[1], columns] = gain * courses[row, task]
        expected = turn @ point
        turn[:, self.gains] = np.outer(expected, self._weights(s))
        yield turn.T @ weight @ turn, turn.T @ weight @ (values - expected)

    def cost(self, point: np.ndarray, forms: Sequence[Form], gains) -> float:
        """Squares of the residuals, priors included."""
        level = point[self.levels]
        total = sum(form.cost for form in forms)
        total += float(level @ self.ratios @ level + self.precision @ point**2)
        for s, part in enumerate(self.parts):
            if part.within is not None and len(self.respond):
                total += self._misfit_within(point, s)
        if gains is not None:
            total += float(np.sum(((point[self.gains] - gains[0]) / gains[1]) ** 2))
        return total

    def _misfit_within(self, point: np.ndarray, s: int) -> float:
        signals, courses, values, weight = self.parts[s].within
        responses = np.zeros((len(self.middle), len(self.broad)))
        for task in range(len(responses)):
            responses[task, self.respond] = point[self.response(task)]
        expected = self._gain(point, s) * (courses @ responses[:, signals]).ravel()
        rest = values - expected
        return float(rest @ weight @ rest)


def minimise(
    parts: Sequence[Part], layout: Tied, point: np.ndarray, gains
) -> tuple[np.ndarray, str]:
    """Levenberg-Marquardt on the means of all scans together.

    Parameters
    ----------
    point : array (layout.size,)
        Where to start.
    gains : pair of arrays (n_scans - 1,), or None
        What is known of the logarithms of gains, and its SD.

    Returns
    -------
    point : array (layout.size,)
    stop : str
        Why the search stopped; it starts with `NO_CONVERGENCE` where it did not settle.
    """

    def forms(at: np.ndarray) -> list[Form]:
        """Each scan near a point."""
        return [
            form_at(part, *layout.of_scan(at, s), scatter=False) for s, part in enumerate(parts)
        ]

    every, damping = np.ones(layout.size, bool), 1e-3
    here = forms(point)
    cost = layout.cost(point, here, gains)
    for _ in range(MAX_STEPS):
        information, score, _ = layout.normal(point, here, gains, every)
        step, predicted = bounded_step(score, information, point, layout.low, layout.high, damping)
        if predicted <= TOLERANCE:
            return point, "converged"
        trial = np.clip(point + step, layout.low, layout.high)
        found = forms(trial)
        reached = layout.cost(trial, found, gains)
        if reached < cost:
            good = cost - reached > 0.25 * predicted
            damping = max(damping * (0.2 if good else 2.0), 1e-9)
            point, here, cost = trial, found, reached
        else:
            damping *= 8.0
            if damping > 1e12:
                return point, "no step lowers the residual further"
    return point, f"{NO_CONVERGENCE} in {MAX_STEPS} steps"
