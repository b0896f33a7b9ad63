"""BOLD runs with a known response in MRS voxels, each with a known connectivity with a distant
region of its own.

Activity is made on a grid of 0.1 s and convolved with a haemodynamic response whose shape the
analysis does not know; everything is in percent of a voxel's own baseline.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmrsflow.files import write_bytes, write_json
from fmrsflow.haemodynamics import kernel
from fmrsflow.tables import write_table

STEP_S = 0.1
"""Grid of the neural activity."""

RESPONSE_LENGTH_S = 40.0

NOISE_SIGMA_VOXELS = 0.8


@dataclass(frozen=True)
class BoldTruth:
    """What a run holds, in percent of the baseline.

    Attributes
    ----------
    peak_percent : dict of float
        Height of the response of the MRS voxel to a block of each condition.
    shared_percent : float
        SD of the ongoing fluctuation of the MRS voxel as BOLD.
    coupling : float
        Share of that fluctuation in the target region at all times.
    ppi : dict of float
        What is added to it while a condition runs.
    target_ratio : dict of float
        Response of the target over that of the MRS voxel, by condition: co-activation.
    hrf_delay_s, target_hrf_delay_s : float
        Delay of the haemodynamic response (`haemodynamics.DELAY_S` is 6 s; it peaks 1 s earlier).
    own_percent : float
        SD of the target's own ongoing fluctuation.
    """

    peak_percent: dict[str, float]
    shared_percent: float = 0.2
    coupling: float = 0.3
    ppi: dict[str, float] | None = None
    target_ratio: dict[str, float] | None = None
    hrf_delay_s: float = 5.5
    target_hrf_delay_s: float = 5.5
    own_percent: float = 0.1


@dataclass(frozen=True)
class Series:
    """Series of both regions, percent of the baseline, free of noise.

    Attributes
    ----------
    times_s : array (n_scans,)
    seed, target : arrays (n_scans,)
    response : dict
        Condition to the response of the seed to one block, on whole seconds from its onset,
        0 to 40 s.
    """

    times_s: np.ndarray
    seed: np.ndarray
    target: np.ndarray
    response: dict[str, np.ndarray]

    def area(self, condition: str, window_s: int = 30) -> float:
        """Trapezoid of the true response at whole seconds, percent s."""
        return float(np.trapezoid(self.response[condition][: window_s + 1]))


def block_design(
    conditions: tuple[str, ...],
    n_each: int,
    block_s: float,
    distance_s: float,
    lead_s: float = 12.0,
) -> list[dict]:
    """Rows of events.tsv: conditions take turns, in the reverse order every other round."""
    rows, onset = [], lead_s
    for round_number in range(n_each):
        turn = conditions if round_number % 2 == 0 else conditions[::-1]
        for name in turn:
            rows.append({"onset": onset, "duration": block_s, "trial_type": name})
            onset += distance_s
    return rows


def region_series(
    rng: np.random.Generator, events: list[dict], n_scans: int, tr_s: float, truth: BoldTruth
) -> Series:
    """Both regions of one run; volume i is taken at (i + 0.5) tr_s."""
    lead = int(RESPONSE_LENGTH_S / STEP_S)
    n = int(np.ceil(n_scans * tr_s / STEP_S)) + 1
    time = np.arange(-lead, n) * STEP_S
    frames = np.rint((np.arange(n_scans) + 0.5) * tr_s / STEP_S).astype(int) + lead
    on = {
        name: _boxcar(time, [row for row in events if row["trial_type"] == name])
        for name in truth.peak_percent
    }
    shared = _ongoing(rng, len(time))
    own_kernel, target_kernel = (
        _own_kernel(truth.hrf_delay_s),
        _own_kernel(truth.target_hrf_delay_s),
    )
    shared *= truth.shared_percent / _convolve(shared, own_kernel)[lead:].std()
    own = _ongoing(rng, len(time))
    own *= truth.own_percent / _convolve(own, own_kernel)[lead:].std()
    gain = truth.coupling + sum((truth.ppi or {}).get(name, 0.0) * on[name] for name in on)
    unit = {}
    for name in on:
        length = next(row["duration"] for row in events if row["trial_type"] == name)
        block = _boxcar(time, [{"onset": 0.0, "duration": length}])
        unit[name] = _convolve(block, own_kernel)[lead:]
    scale = {name: truth.peak_percent[name] / unit[name].max() for name in on}
    ratio = truth.target_ratio or {}
    evoked = sum(scale[name] * on[name] for name in on)
    target_evoked = sum(ratio.get(name, 0.0) * scale[name] * on[name] for name in on)
    # What the regions share goes through the same response, whatever the shape of the evoked one.
    seed = _convolve(shared + evoked, own_kernel)
    target = _convolve(gain * shared + own, own_kernel) + _convolve(target_evoked, target_kernel)
    seconds = np.rint(np.arange(0, RESPONSE_LENGTH_S + 1) / STEP_S).astype(int)
    seconds = seconds[seconds < min(len(one) for one in unit.values())]
    return Series(
        times_s=time[frames],
        seed=seed[frames],
        target=target[frames],
        response={name: scale[name] * unit[name][seconds] for name in on},
    )


@dataclass(frozen=True)
class BoldRegion:
    """An MRS voxel in a run, and the region that it is connected with.

    Attributes
    ----------
    truth : BoldTruth
    mrs_affine : array (4, 4)
        Of the MRS voxel, in the space of the run.
    target_mm : array (3,)
        Centre of the connected region.
    target_radius_mm : float
    """

    truth: BoldTruth
    mrs_affine: np.ndarray
    target_mm: np.ndarray
    target_radius_mm: float = 12.0


@dataclass(frozen=True)
class BoldRun:
    """A run as fMRIPrep would leave it.

    Attributes
    ----------
    data : int16 array (x, y, z, n_scans)
    affine : array (4, 4)
    tr_s : float
    events, confounds : list of dict
    truths : tuple of dict
        Areas (percent s), interaction, place of the target; one a region.
    """

    data: np.ndarray
    affine: np.ndarray
    tr_s: float
    events: list[dict]
    confounds: list[dict]
    truths: tuple[dict, ...]


def bold_run(
    rng: np.random.Generator,
    brain: np.ndarray,
    affine: np.ndarray,
    regions: Sequence[BoldRegion],
    events: list[dict],
    tr_s: float = 2.0,
    noise_percent: float = 0.8,
) -> BoldRun:
    """Make a run of a whole brain.

    Parameters
    ----------
    rng : Generator
    brain : array (x, y, z)
        Signal of each voxel relative to the brightest, 0 outside the head.
    affine : array (4, 4)
        Of the grid.
    regions : sequence of BoldRegion
        No two of which share a place.
    noise_percent : float
        SD of a voxel's noise: spatially smooth, AR(1) of 0.3.
    """
    from scipy.ndimage import gaussian_filter

    last = max(row["onset"] + row["duration"] for row in events)
    n_scans = int(np.ceil((last + 34.0) / tr_s))
    series = [region_series(rng, events, n_scans, tr_s, region.truth) for region in regions]
    points = np.indices(brain.shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    places = [_places(region, points, brain.shape) for region in regions]
    confounds, motion = _motion(rng, n_scans)
    sensitivity = gaussian_filter(rng.standard_normal((6, *brain.shape)), (0, 3, 3, 3))
    sensitivity *= 0.3 / sensitivity.std()
    drift = np.cos(np.pi * (np.arange(n_scans) + 0.5) / n_scans)
    data = np.empty((*brain.shape, n_scans), np.int16)
    left = _sd_left()
    noise = np.zeros(brain.shape)
    for i in range(n_scans):
        fresh = gaussian_filter(rng.standard_normal(brain.shape), NOISE_SIGMA_VOXELS)
        fresh *= noise_percent / left
        noise = fresh if i == 0 else 0.3 * noise + np.sqrt(1 - 0.3**2) * fresh
        percent = noise + 0.5 * drift[i] + np.tensordot(motion[i], sensitivity, 1)
        for one, (inside, ball) in zip(series, places):
            percent = percent + one.seed[i] * inside + one.target[i] * ball
        data[..., i] = np.rint(10_000 * brain * (1 + percent / 100))
    return BoldRun(
        data,
        affine,
        tr_s,
        events,
        confounds,
        tuple(
            _truth_of(region, one) | {"noise_percent": noise_percent}
            for region, one in zip(regions, series)
        ),
    )


def _places(region: BoldRegion, points: np.ndarray, shape) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of the MRS voxel and of its target."""
    index = (points - region.mrs_affine[:3, 3]) @ np.linalg.inv(region.mrs_affine[:3, :3]).T
    # A little larger than the MRS voxel, so that voxels at its edge respond like the others.
    inside = (np.abs(index) <= 0.65).all(axis=1)
    ball = np.linalg.norm(points - region.target_mm, axis=1) <= region.target_radius_mm
    return inside.reshape(shape), (ball & ~inside).reshape(shape)


def _truth_of(region: BoldRegion, series: Series) -> dict:
    truth = region.truth
    return {
        "area_percent_s": {name: series.area(name) for name in truth.peak_percent},
        "area_sum_percent_s": sum(series.area(name) for name in truth.peak_percent),
        "coupling": truth.coupling,
        "ppi": truth.ppi or {},
        "target_mm": [float(one) for one in region.target_mm],
        "target_radius_mm": region.target_radius_mm,
        "hrf_delay_s": truth.hrf_delay_s,
    }


def write_bold_runs(plan, visit, head, root: Path) -> None:
    """Write the runs of a person, one a session, and their truth below `truth/`.

    Every region of the plan responds in every run, alike in all sessions: noise, motion, drift and
    ongoing activity are those of the session. A writer for `consortium.make`.
    """
    from fmrsflow.synthetic.people import generator, place
    from fmrsflow.synthetic.rows import bold_runs

    conditions = (f"{plan.design.task}A", f"{plan.design.task}B")
    regions = _regions(plan, visit, head, conditions)
    brain, affine = _coarse(head, 4.0)
    for number, stem in enumerate(bold_runs(plan, visit), start=1):
        # 43 s: odd, so that volumes of 2 s sample every second after an onset.
        turn = conditions if number % 2 else conditions[::-1]
        events = block_design(turn, n_each=6, block_s=14.0, distance_s=43.0)
        rng = generator(plan, "bold", place(plan, visit), visit.drawn, str(number))
        run = bold_run(rng, brain, affine, list(regions.values()), events)
        truth = {
            label: one | {"sign": int(np.sign(one["area_sum_percent_s"]))}
            for label, one in zip(regions, run.truths)
        }
        _write(run, plan.design.task, root, stem, truth)


def _regions(plan, visit, head, conditions) -> dict[str, BoldRegion]:
    """Each region of the plan by its label.

    The response goes the way of glutamate: negative where glutamate falls in this person and
    region, larger where it changes more.
    """
    from fmrsflow.synthetic.head import voxel_affine
    from fmrsflow.synthetic.people import generator, identity, scans, true_changes

    regions = {}
    for scan in scans(plan, visit):
        region = scan.region
        if region.acq in regions:
            continue  # of the task scan, or of another session
        operator = generator(plan, "voxel", *identity(plan, scan)[:4])
        glutamate = true_changes(plan, scan).get("Glu", 1.0)
        height = (1.0 if glutamate >= 0 else -1.0) * (0.8 + 0.05 * abs(glutamate))
        truth = BoldTruth(
            peak_percent={conditions[0]: height, conditions[1]: 0.8 * height},
            shared_percent=0.3,
            ppi={conditions[0]: 2.0},
            target_ratio={name: 0.5 for name in conditions},
        )
        # Prefrontal, on the side of the voxel.
        target_mni = [0.5 * region.centre_mni_mm[0], 48.0, 8.0, 1.0]
        regions[region.acq] = BoldRegion(
            truth,
            voxel_affine(head, region.centre_mni_mm, region.size_mm, operator),
            (head.from_mni @ target_mni)[:3],
        )
    return regions


def _write(run: BoldRun, task: str, root: Path, stem: str, truth: dict) -> None:
    """Files of a run, named as in a sheet row, and its truth (region -> values)."""
    import nibabel as nib

    from fmrsflow.synthetic.rows import BOLD_FILES

    paths = {column: root / f"{stem}_{ending}" for column, ending in BOLD_FILES.items()}
    path = paths["bold"]
    image = nib.Nifti1Image(run.data, run.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((*image.header.get_zooms()[:3], run.tr_s))
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))
    sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
    write_json(
        sidecar,
        {
            "RepetitionTime": run.tr_s,
            "TaskName": task,
            "SliceTimingCorrected": True,
            "StartTime": run.tr_s / 2,
        },
    )
    write_table(paths["bold_events"], run.events)
    write_table(paths["bold_confounds"], run.confounds)
    write_json(root / "truth" / sidecar.relative_to(root), truth)


def _sd_left() -> float:
    """SD that white noise of SD 1 keeps under the spatial filter."""
    from scipy.ndimage import gaussian_filter1d

    delta = np.zeros(33)
    delta[16] = 1
    return float((gaussian_filter1d(delta, NOISE_SIGMA_VOXELS) ** 2).sum() ** 1.5)


def _boxcar(time: np.ndarray, rows: list[dict]) -> np.ndarray:
    found = np.zeros(len(time))
    for row in rows:
        after = np.round(time - row["onset"], 6)
        found[(after >= 0) & (after < row["duration"])] = 1.0
    return found


def _own_kernel(delay_s: float) -> np.ndarray:
    """Response whose delays are those of one person; the undershoot comes 10 s later."""
    return kernel(STEP_S, length_s=RESPONSE_LENGTH_S, delay_s=delay_s, undershoot_s=delay_s + 10)


def _convolve(activity: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    from scipy.signal import fftconvolve

    return fftconvolve(activity, kernel)[: len(activity)]


def _ongoing(rng: np.random.Generator, n: int, memory_s: float = 2.0) -> np.ndarray:
    """Stationary activity of unit variance that forgets within `memory_s`."""
    from scipy.signal import lfilter

    keep = np.exp(-STEP_S / memory_s)
    fresh = np.sqrt(1 - keep**2) * rng.standard_normal(n)
    fresh[0] /= np.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], fresh)


def _motion(rng: np.random.Generator, n_scans: int) -> tuple[list[dict], np.ndarray]:
    """fMRIPrep's columns of head motion, and the same standardised, (n_scans, 6)."""
    walk = np.cumsum(rng.standard_normal((n_scans, 6)), axis=0)
    walk -= walk.mean(axis=0)
    walk /= walk.std(axis=0)
    names = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    scale = np.array([0.1] * 3 + [0.002] * 3)
    rows = []
    for i in range(n_scans):
        row: dict = dict(zip(names, (walk[i] * scale).tolist()))
        step = (walk[i] - walk[i - 1]) * scale if i else None
        for k, name in enumerate(names):
            row[f"{name}_derivative1"] = None if step is None else float(step[k])
        rows.append(row)
    return rows, walk


def _coarse(head, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Brain signal on an EPI grid (left to right reversed, as scanners do) and its affine."""
    from scipy.ndimage import map_coordinates

    extent = np.array(head.t1w.shape) * np.linalg.norm(head.affine[:3, :3], axis=0)
    shape = tuple(int(one) for one in np.ceil(extent / spacing_mm))
    affine = head.affine.copy()
    affine[:3, :3] = np.diag([-spacing_mm, spacing_mm, spacing_mm])
    affine[0, 3] = head.affine[0, 3] + spacing_mm * (shape[0] - 1)
    to_head = np.linalg.inv(head.affine) @ affine
    index = np.indices(shape).reshape(3, -1)
    where = (to_head[:3, :3] @ index + to_head[:3, 3:]).reshape(3, *shape)
    maps = [map_coordinates(head.maps[name], where, order=1) for name in ("gm", "wm", "csf")]
    # EPI: grey matter brighter than white, fluid brightest but partly saturated.
    brain = 0.85 * maps[0] + 0.7 * maps[1] + 1.0 * maps[2]
    return np.where(sum(maps) > 0.5, brain, 0.0), affine
