"""Figures of BOLD in the MRS voxel: response, connectivity, clusters, whole chain, speed."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.ndimage import label

from figure import Figure
from fmrsflow.bold import clusters, combine, connectivity, fir, glm, group
from fmrsflow.bold.blocks import blocks_of
from fmrsflow.bold.mask import with_data
from fmrsflow.events import events_of
from fmrsflow.results import Results, read_record
from fmrsflow.synthetic.bold import BoldTruth, block_design, region_series

LOCALISER = Path(__file__).resolve().parents[2] / "shared" / "data" / "bold-localiser"
ROOT = Path(__file__).resolve().parents[1]
Z = 3.0902


def figures(quick: bool) -> Iterator[Figure]:
    """Every figure of the issue; quick: fewer runs and maps, the BOLD part of the chain alone."""
    yield noise_free()
    yield from several_runs(1000)
    yield from localiser()
    yield from co_activation(16 if quick else 100)
    yield interaction(25 if quick else 100)
    for fwhm in (6.0, 8.0) if quick else (3.0, 4.0, 6.0, 8.0):
        # 300 maps would leave an error of 1.3 %: as wide as the target.
        yield family_wise(fwhm, 100 if quick else 1000)
    yield group_noise(40 if quick else 300)
    yield from speed()
    yield from chain(quick)


TIMES = np.arange(190) * 2.0 + 1.0
BLOCKS = {
    "a": np.array([[10.0, 12], [97, 12], [184, 12], [271, 12]]),
    "b": np.array([[53.0, 12], [140, 12], [228, 12], [315, 12]]),
}


def curve(lag):
    """A response in closed form, over after 28 s."""
    inside = (lag >= 0) & (lag <= 28)
    return np.where(inside, np.sin(np.pi * lag / 14) * np.exp(-lag / 9), 0)


AREA = float(np.trapezoid(curve(np.arange(31.0))))


def known_percent(heights: tuple[float, float]) -> np.ndarray:
    """Percent signal of a run with responses of known height to both conditions."""
    return sum(
        height * curve(TIMES - onset)
        for name, height in zip(BLOCKS, heights)
        for onset, _ in BLOCKS[name]
    )


def noise_free() -> Figure:
    """Area of a response known in closed form, no noise."""
    data = 900 * (1 + known_percent((1.3, -0.7))[:, None] / 100)
    found = fir.areas(data, fir.fir_design(TIMES, BLOCKS, glm.nuisance(190, 2.0)))
    error = float(np.abs(found.area[:, 0] - AREA * np.array([1.3, -0.7, 0.6])).max())
    return Figure("noise-free area, largest error (% s)", error, "<= 1e-6", error <= 1e-6)


def several_runs(n: int) -> Iterator[Figure]:
    """Three runs of one person with noise of 0.5, 1 and 2 % and AR(1) of 0.3, combined."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(15)
    design = fir.fir_design(TIMES, BLOCKS, glm.nuisance(190, 2.0))
    for what, heights in (("known response", (1.0, 0.5)), ("null", (0.0, 0.0))):
        runs = []
        for sd in (0.5, 1.0, 2.0):
            fresh = sd * np.sqrt(1 - 0.3**2) * rng.standard_normal((240, n))
            noise = lfilter([1.0], [1.0, -0.3], fresh, axis=0)[50:]
            data = 900 * (1 + (known_percent(heights)[:, None] + noise) / 100)
            runs.append(fir.areas(data, design))
        found = combine.combined_areas(runs)
        error = found.area[-1] - AREA * sum(heights)
        se = np.sqrt(found.variance[-1])
        ratio, covered = float(error.std() / se.mean()), float(np.mean(np.abs(error) < 1.96 * se))
        bias = float(error.mean() / error.std() * np.sqrt(n))
        draws = f"{n} draws"
        yield Figure(f"three runs, {what}: bias (its SE)", bias, "-3 to 3", abs(bias) <= 3,
                     f"mean {error.mean():+.3f} % s; {draws}")  # fmt: skip
        yield Figure(f"three runs, {what}: SD / SE", ratio, "0.95 to 1.05",
                     0.95 - 1.4 / n**0.5 <= ratio <= 1.05 + 1.4 / n**0.5,
                     f"+- {0.7 / n**0.5:.3f}, {draws}")  # fmt: skip
        yield Figure(f"three runs, {what}: coverage (%)", 100 * covered, "93 to 97",
                     0.93 - 0.44 / n**0.5 <= covered <= 0.97 + 0.44 / n**0.5,
                     f"+- {22 / n**0.5:.1f}, {draws}")  # fmt: skip


def group_noise(n: int) -> Figure:
    """Activation over six persons who have none: share of studies with a significant cluster."""
    import nibabel as nib

    rng = np.random.default_rng(16)
    setting, wrong = {"voxel_p": 0.01, "permutations": 100}, 0
    for _ in range(n):
        noise = [nib.Nifti1Image(rng.standard_normal((10, 10, 10)), np.eye(4)) for _ in range(6)]
        maps = {str(i): [group.smoothed(one, 2.0)] for i, one in enumerate(noise)}
        rows = group.group_map(maps, "", group.ACTIVATION, setting).rows
        wrong += any(row["p_fwe"] < 0.05 for row in rows)
    share, error = wrong / n, float(np.sqrt(0.05 * 0.95 / n))
    return Figure("group activation, FWE of noise (%)", 100 * share, "<= 5 (conservative)",
                  share <= 0.05 + 2 * error, f"{n} studies, SE {100 * error:.1f}")  # fmt: skip


def localiser() -> Iterator[Figure]:
    """Real data: z of the task, and the curve of the best voxel as a picture."""
    import nibabel as nib

    from fmrsflow.report.bold_figures import response

    if not LOCALISER.is_dir():
        yield Figure("real localiser, max z", "absent", ">= 10", False, "no ../shared/data")
        return
    series = nib.load(next(LOCALISER.glob("*bold.nii.gz"))).get_fdata(dtype=np.float32)
    with next(LOCALISER.glob("*events.tsv")).open() as file:
        rows = events_of(list(csv.DictReader(file, delimiter="\t")), "events.tsv")
    data = series[with_data(series)].T
    times = np.arange(len(data)) * 2.0 + 1.0
    for name in (None, "task"):
        blocks = blocks_of([{**row, "trial_type": name or row["trial_type"]} for row in rows])
        design = fir.fir_design(times, blocks, glm.nuisance(len(data), 2.0), 22.0, 2.0)
        found = fir.areas(data, design)
        z = float(found.z[-1].max())
        what = "one condition" if name else "six conditions, their sum"
        yield Figure(f"real localiser, max z ({what}, AR(1))", z, ">= 10", z >= 10)
    yield _halves(data, blocks, found)
    best = np.argsort(found.z[-1])[-20:]
    mean = fir.mean_response(data[:, best], found.baseline[best], design)
    peak = float(mean.lags_s[np.argmax(mean.percent[0])])
    picture = Path(tempfile.gettempdir()) / "bold_localiser.png"
    response(mean.lags_s, mean.percent, mean.se, ["task, 20 best voxels"], 16.0).savefig(picture)
    yield Figure(
        "real localiser, peak of the curve (s; blocks of 16 s)", peak, "6 to 18", 6 <= peak <= 18,
        str(picture),
    )  # fmt: skip


def _halves(data: np.ndarray, blocks: dict, whole: fir.Area) -> Figure:
    """The run cut into two, analysed as two runs and combined, against the run as one."""
    half = len(data) // 2
    runs = []
    for part, start_s in ((data[:half], 0.0), (data[half:], 2.0 * half)):
        times = np.arange(len(part)) * 2.0 + 1.0
        own = {name: one - np.array([start_s, 0]) for name, one in blocks.items()}
        inside = {
            name: one[(one[:, 0] >= 0) & (one[:, 0] < 2 * len(part))] for name, one in own.items()
        }
        design = fir.fir_design(times, inside, glm.nuisance(len(part), 2.0), 22.0, 2.0)
        runs.append(fir.areas(part, design))
    z = (combine.combined_areas(runs).area[0] - whole.area[0]) / np.sqrt(whole.variance[0])
    value = float(np.sqrt(np.mean(z**2)))
    return Figure(
        "real localiser, two halves combined against the whole (RMS of SE)", value, "<= 1",
        value <= 1, f"{100 * np.mean(np.abs(z) < 1.96):.1f} % of {z.size} voxels within 1.96",
    )  # fmt: skip


def co_activation(n: int) -> Iterator[Figure]:
    """No interaction, both regions driven strongly by the task, more by one condition."""
    truth = BoldTruth(
        peak_percent={"a": 3.0, "b": 0.9},
        shared_percent=0.5,
        target_ratio={"a": 1.0, "b": 1.0},
        hrf_delay_s=7.0,
        target_hrf_delay_s=7.5,
    )
    both = np.array([_estimates(seed, truth) for seed in range(n)])
    mean, se = both.mean(axis=0), both.std(axis=0, ddof=1) / np.sqrt(n)
    note = f"mean {mean[0]:+.3f} +- {se[0]:.3f}, {n} runs"
    yield Figure(
        "gPPI-FIR under co-activation, |mean| in SE", float(abs(mean[0]) / se[0]), "<= 2",
        bool(abs(mean[0]) <= 2 * se[0]), note,
    )  # fmt: skip
    yield Figure(
        "canonical gPPI under co-activation, |mean| in SE", float(abs(mean[1]) / se[1]),
        "> 2 (biased)", bool(abs(mean[1]) > 2 * se[1]), f"mean {mean[1]:+.3f} +- {se[1]:.3f}",
    )  # fmt: skip


def interaction(n: int, size: float = 0.6) -> Figure:
    """A true interaction beside co-activation."""
    truth = BoldTruth(
        peak_percent={"a": 1.0, "b": 0.5},
        shared_percent=0.5,
        ppi={"a": size},
        target_ratio={"a": 1.0, "b": 1.0},
    )
    found = np.array([_estimates(1000 + seed, truth)[0] for seed in range(n)])
    ratio = float(found.mean() / size)
    error = found.std(ddof=1) / np.sqrt(n) / size
    return Figure(
        "true PPI, mean estimate / truth", ratio, "0.9 to 1.1", abs(ratio - 1) <= 0.1,
        f"+- {error:.3f}, {n} runs; SD of one run {found.std(ddof=1) / size:.2f}",
    )  # fmt: skip


def family_wise(fwhm: float, n: int) -> Figure:
    """Smooth noise in an ellipsoid: how often any cluster is called significant."""
    shape = (48, 56, 44)
    centre = (np.array(shape) - 1) / 2
    grid = (np.indices(shape).reshape(3, -1).T - centre) / (np.array(shape) / 2)
    mask = ((grid**2).sum(axis=1) <= 1).reshape(shape)
    maps = np.array([field[mask] for field in _fields(shape, fwhm, n, int(10 * fwhm))])
    maps /= maps.std()
    smooth = clusters.smoothness(maps[:100], mask)
    wrong = 0
    volume = np.full(shape, -np.inf)
    for one in maps:
        volume[mask] = one
        parts, found = label(volume > Z, structure=clusters.CONNECTED)
        largest = np.bincount(parts.ravel())[1:].max() if found else 0
        wrong += found > 0 and clusters.extent_p(largest, smooth, int(mask.sum()), Z) < 0.05
    share = 100 * wrong / n
    return Figure(
        f"random-field FWE (%), FWHM {fwhm:g} voxels", float(share), "3 to 7",
        bool(3 <= share <= 7), f"{n} maps, SE {np.sqrt(5 * 95 / n):.1f}",
    )  # fmt: skip


def speed() -> Iterator[Figure]:
    """CPU and memory of one person, each in a process of its own."""
    for what, seconds in (("fir", 10), ("gppi", 180)):
        done = subprocess.run(
            [sys.executable, __file__, what], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
        )  # fmt: skip
        cpu, peak = map(float, done.stdout.split())
        name = "FIR GLM, areas, AR(1)" if what == "fir" else "whole gPPI with maps and clusters"
        size = "42,000 voxels x 400 volumes"
        yield Figure(f"{name} (CPU s)", cpu, f"<= {seconds}", cpu <= seconds, size)
        if what == "fir":
            yield Figure(f"{name} (GB)", peak, "<= 2", peak <= 2, "peak of the process")


def chain(quick: bool) -> Iterator[Figure]:
    """The preset korotkov2026: signs of the areas, percent changes in their intervals."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _run(["fmrsflow", "demo", "--preset", "korotkov2026", "data"], root)
        config = json.dumps(_config())
        (root / "config.yaml").write_text(config)
        targets = _bold_records(root) if quick else []
        snakemake = ["snakemake", "-s", str(ROOT / "Snakefile"), "--configfile", "config.yaml"]
        _run([*snakemake, "-c1", "--scheduler", "greedy", *targets], root)
        records = sorted((root / "results" / "bold").rglob("*_desc-bold_record.json"))
        right = inside = 0
        notes = []
        for path in records:
            record = read_record(path)
            subject, acq = re.search(r"(sub-\w+?)_.*_acq-(\w+?)_", path.name).groups()
            runs = sorted((root / "data" / "truth").rglob(f"{subject}_ses-fmri*_bold.json"))
            truth = json.loads(runs[0].read_text())[acq]
            mean, se = (record[f"area_mean_{name}percent_s"] for name in ("", "se_"))
            right += record["status"] == "ok" and record["sign"] == truth["sign"]
            right -= record["n_runs"] != 3
            inside += abs(mean - truth["area_sum_percent_s"]) < 1.96 * se
            notes.append(f"{mean:.1f}+-{se:.1f}({truth['area_sum_percent_s']:.1f})")
        yield Figure("korotkov, three runs: signs of the areas right", right, "4 of 4", right == 4,
                     " ".join(notes))  # fmt: skip
        # Four intervals of 95 %: all hold the truth in 81 % of studies, three or more in 99 %.
        yield Figure("korotkov, three runs: areas inside their intervals", inside, ">= 3 of 4",
                     inside >= 3)  # fmt: skip
        if not quick:
            inside, notes = _changes(root)
            yield Figure("korotkov: changes inside their intervals", inside, ">= 3 of 4",
                         inside >= 3, " ".join(notes))  # fmt: skip
            yield from _quality(root)


def _quality(root: Path) -> Iterator[Figure]:
    """Figures of the average spectra beside those of the paper."""
    records = [
        read_record(path)
        for path in (root / "results" / "preprocess-robust").rglob("*_desc-preprocess_record.json")
    ]
    for name, mean, sd in (("fwhm_tcr_hz", 5.26, 0.48), ("snr_tcr", 50.4, 5.8)):
        found = np.array([one[name] for one in records])
        yield Figure(
            f"korotkov: {name}", float(found.mean()), f"{mean - sd:.1f} to {mean + sd:.1f}",
            bool(abs(found.mean() - mean) <= sd), f"SD {found.std(ddof=1):.2f}, 8 scans",
        )  # fmt: skip


def _bold_records(root: Path) -> list[str]:
    """Records of the BOLD stage of every scan that has a run."""
    with (root / "data" / "config" / "scans.tsv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["bold"] != "n/a"]
    return [
        f"results/bold/{row['site']}/sub-{row['subject']}/mrs/"
        f"sub-{row['subject']}_task-{row['task']}_acq-{row['acq']}_desc-bold_record.json"
        for row in rows
    ]


def _changes(root: Path) -> tuple[int, list[str]]:
    with (root / "data" / "truth" / "response.tsv").open() as file:
        truth = {
            (row["subject"], row["acq"]): float(row["change_percent"])
            for row in csv.DictReader(file, delimiter="\t")
            if row["metabolite"] == "Glu" and row["task"] != "rest"
        }
    inside, notes = 0, []
    results = Results.below(root / "results")
    names = results.study.config["analyses"][results.study.config["primary"]]
    for unit in results.study.units():
        true = truth[unit.scan.subject, unit.scan.acq]
        rows = [
            row
            for row in results.of("response", names, unit).table("change")
            if (row["metabolite"], row["estimator"], row["quantity"]) == ("Glu", "blocks", "molal")
        ]
        row = next((one for one in rows if one["matched"]), rows[0])
        inside += row["low_percent"] <= true <= row["high_percent"]
        notes.append(f"{row['change_percent']:.1f}+-{row['se_percent']:.1f}({true})")
    return inside, notes


def _config() -> dict:
    names = {
        "preprocess": "robust", "basis": "simulated", "fit": "spline", "concentration": "osprey",
        "response": "blocks",
    }  # fmt: skip
    sheets = {f"{one}_sheet": f"data/config/{one}.tsv" for one in ("sites", "scans")}
    return {
        "results": "results", "data_root": "data", "batch": 4, **sheets,
        "analyses": {"main": names}, "primary": "main",
        **{stage: {name: {}} for stage, name in names.items()},
    }  # fmt: skip


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stderr[-2000:]}")


def _estimates(seed: int, truth: BoldTruth) -> tuple[float, float]:
    """Interaction a - b by gPPI-FIR and by canonical gPPI, one run."""
    rng = np.random.default_rng(seed)
    events = block_design(("a", "b"), 8, 20.0, 44.0)
    n = int((events[-1]["onset"] + 60) / 2)
    series = region_series(rng, events, n, 2.0, truth)
    seeds = series.seed[:, None] + 0.5 * rng.standard_normal((n, 100))
    target = (series.target + 0.1 * rng.standard_normal(n))[:, None]
    timing, blocks = connectivity.Timing(n, 2.0, 1.0), blocks_of(events)
    nuisance = glm.nuisance(n, 2.0)
    other = connectivity.orthonormal(connectivity.task_space(timing, blocks), nuisance)
    clean = connectivity.eigenvariate(glm.residualised(seeds, other))
    clean = glm.residualised(clean, other)
    ours = connectivity.ppi_design(
        clean, timing, blocks, other, connectivity.Deconvolution(timing, other)
    )
    plain = connectivity.eigenvariate(glm.residualised(seeds, nuisance))
    usual = connectivity.canonical_design(plain, timing, blocks, nuisance)
    return tuple(
        float(glm.fit(target, one.matrix).contrast(one.weights({"a": 1, "b": -1})).effect[0])
        for one in (ours, usual)
    )


def _fields(shape, fwhm: float, n: int, seed: int):
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    sigma = fwhm / np.sqrt(8 * np.log(2))
    pad = int(np.ceil(4 * sigma))
    cut = tuple(slice(pad, -pad) for _ in shape)
    for _ in range(n):
        noise = rng.standard_normal([k + 2 * pad for k in shape])
        yield gaussian_filter(noise, sigma)[cut]


def _timed(what: str) -> tuple[float, float]:
    """CPU seconds and peak memory (GB) of one person's work, imports not counted in the time."""
    import nilearn.glm.contrasts  # noqa: F401, I001

    from fmrsflow.bold.inputs import smoothed

    rng = np.random.default_rng(0)
    shape, n = (40, 40, 40), 400
    centre = np.indices(shape).reshape(3, -1).T - 19.5
    radius = np.sort((centre**2).sum(axis=1))[41_999]
    mask = ((centre**2).sum(axis=1) <= radius).reshape(shape)
    data = (1000 + 10 * rng.standard_normal((n, int(mask.sum())), dtype=np.float32)).astype("f4")
    blocks = blocks_of(block_design(("a", "b"), 9, 14.0, 43.0))
    nuisance = glm.nuisance(n, 2.0, rng.standard_normal((n, 14)))
    timing = connectivity.Timing(n, 2.0, 1.0)
    start = time.process_time()
    if what == "fir":
        design = fir.fir_design(timing.frame_times_s, blocks, nuisance)
        fir.areas(data, design)
    else:
        other = connectivity.orthonormal(connectivity.task_space(timing, blocks), nuisance)
        percent = data / 10 - 100
        clean = glm.residualised(percent[:, :300].astype(float), other)
        seed = glm.residualised(connectivity.eigenvariate(clean), other)
        design = connectivity.ppi_design(
            seed, timing, blocks, other, connectivity.Deconvolution(timing, other)
        )
        model = glm.fit(smoothed(percent, mask, np.full(3, 2.0)), design.matrix)
        smooth = clusters.smoothness(model.residuals(), mask)
        found = np.zeros(shape)
        found[mask] = model.contrast(design.weights({"a": 1, "b": -1})).z
        clusters.clusters_of(found, mask, smooth)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return time.process_time() - start, used


if __name__ == "__main__":
    print(*_timed(sys.argv[1]))
