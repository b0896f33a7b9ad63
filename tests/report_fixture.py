"""Results of a made-up study in the form of docs/outputs.md, for the tests of the pages.

The spectra are sums of Lorentzian lines at the textbook shifts, so that a picture of a page looks
like one; the fit "found" what was put in, and the tables follow from the same numbers.
"""

from __future__ import annotations

import numpy as np

from fmrsflow.edge import Job
from fmrsflow.fids import Fids
from fmrsflow.files import write_bytes
from fmrsflow.metabolites import SUMS
from fmrsflow.sheets import check_config
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import columns_of

ANALYSIS = {
    "preprocess": "robust",
    "basis": "simulated",
    "fit": "spline",
    "concentration": "osprey",
    "response": "blocks",
}
CONDITIONS = ["rest", "task"]

LINES = {
    "Cr": (6.0, ((3.03, 3.0), (3.91, 2.0))),
    "PCr": (4.0, ((3.03, 3.0), (3.93, 2.0))),
    "GABA": (1.8, ((2.28, 2.0), (1.89, 2.0), (3.01, 2.0))),
    "GPC": (1.0, ((3.21, 9.0), (3.66, 2.0))),
    "PCh": (0.6, ((3.20, 9.0),)),
    "GSH": (1.6, ((3.77, 1.0), (2.95, 1.0), (2.55, 2.0))),
    "Gln": (3.5, ((2.42, 1.0), (2.46, 1.0), (2.13, 2.0), (3.75, 1.0))),
    "Glu": (11.0, ((2.33, 1.0), (2.36, 1.0), (2.08, 1.0), (2.12, 1.0), (3.74, 1.0))),
    "Lac": (0.9, ((1.29, 1.5), (1.34, 1.5))),
    "NAA": (12.0, ((2.01, 3.0), (2.49, 0.9), (2.65, 0.9))),
    "NAAG": (1.5, ((2.045, 3.0),)),
    "mI": (7.0, ((3.52, 2.0), (3.61, 2.0), (3.27, 1.0), (4.05, 1.0))),
    "MM09": (6.0, ((0.91, 3.0),)),
}
WIDE = {"MM09": 18.0}
POINTS, DWELL_S = 1024, 1 / 2000


def make_study(root, n_sites: int = 4, n_subjects: int = 3, site_names=None) -> Study:
    """A study of equal sites without any results."""
    vendors = ("Philips", "Siemens", "GE", "Siemens")
    names = site_names or [f"site{chr(65 + n)}" if n < 26 else f"site{n}" for n in range(n_sites)]
    sites = {
        name: Site(
            name,
            vendors[n % 4],
            7.0 if n % 4 == 3 else 3.0,
            ("PRESS", "PRESS", "PRESS", "sLASER")[n % 4],
            0.03,
            2.0,
            ("standardised", "own")[n % 2],
            transients=128,
        )
        for n, name in enumerate(names)
    }
    scans = tuple(
        Scan(
            name,
            f"{subject + 1:02d}",
            mrs=f"{name}/sub-{subject + 1:02d}_svs.nii.gz",
            task="visual",
            t1w=f"{name}/t1w.nii.gz",
            events=f"{name}_events.tsv",
        )
        for name in names
        for subject in range(n_subjects)
    )
    config = {
        "results": str(root / "results"),
        "batch": 4,
        "data_root": str(root / "data"),
        "analyses": {"main": ANALYSIS},
        "primary": "main",
        "preprocess": {"robust": {"align": "robust", "outlier_z": 3.0, "max_removed_share": 0.2}},
        "basis": {"simulated": {"pulses": "ideal"}},
        "fit": {"spline": {"range_low_ppm": 0.2, "range_high_ppm": 4.2, "baseline": "spline"}},
        "concentration": {"osprey": {"constants": "osprey", "tissue": "assumed"}},
        "response": {"blocks": {"rest": "rest", "metabolites": ["Glu", "Gln", "tNAA", "tCr"]}},
        "quality": {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0},
        "sites": {
            "metabolite": "Glu",
            "estimator": "blocks",
            "quantity": "molal",
            "bootstraps": 0,
            "equivalence_percent": 2.0,
            "effect_percent": 3.0,
            "power": 0.8,
        },
    }
    software = {"Name": "fmrsflow", "Version": "0.1.0", "Dependencies": {"numpy": "2.4.6"}}
    for name in names:
        write_bytes(
            root / "data" / f"{name}_events.tsv",
            b"onset\tduration\ttrial_type\n64\t64\ttask\n192\t64\ttask\n",
        )
    problems: list[str] = []
    # With every default, as a run freezes it: records that lack a setting are of another version.
    complete = check_config(config, "config.yaml", problems)
    assert not problems
    return Study(complete, sites, scans, (), software)


def write_scan(
    study: Study, scan: Scan, seed: int, n_transients: int = 128, picture: bool = True
) -> None:
    """Results of every stage for one scan; `picture` False leaves the anatomy out."""
    make = _Maker(study, scan, seed, n_transients)
    stages = ("convert", "anatomy", "preprocess", "fit", "quantify", "response")
    for stage in stages if picture else (*stages[:1], *stages[2:]):
        getattr(make, stage)()


def fail_scan(study: Study, scan: Scan, stage: str, reason: str) -> None:
    """Records of a scan that failed at a stage, and of the stages after it."""
    later = ("convert", "preprocess", "fit", "quantify", "response")
    for name in later[later.index(stage) :]:
        _job(study, scan, name).finish("failed", reason, stage, {})


def _job(study: Study, scan: Scan, stage: str) -> Job:
    return Job(stage, study, scan, ANALYSIS)


class _Maker:
    def __init__(self, study: Study, scan: Scan, seed: int, n_transients: int):
        self.study, self.scan, self.n = study, scan, n_transients
        self.site = study.site(scan)
        self.rng = np.random.default_rng(seed)
        self.frequency = 42.577 * self.site.field_t
        self.width = float(self.rng.uniform(4.5, 7.5)) * self.site.field_t / 3
        self.change = {"Glu": float(self.rng.normal(3.0, 1.5)), "Lac": 20.0}
        self.noise = 60.0
        self.time = np.arange(POINTS) * DWELL_S
        self.amount = {
            name: amount * float(self.rng.normal(1, 0.07)) for name, (amount, _) in LINES.items()
        }
        block = min(32, self.n // 2)
        self.labels = ["task" if (j // block) % 2 else "rest" for j in range(self.n)]

    def signal(self, name: str) -> np.ndarray:
        """FID of a metabolite per unit of concentration."""
        width = self.width + WIDE.get(name, 0.0)
        total = np.zeros(POINTS, complex)
        for ppm, protons in LINES[name][1]:
            hertz = (ppm - 4.65) * self.frequency
            total += protons * np.exp((2j * np.pi * hertz - np.pi * width) * self.time)
        return total

    def fid(self, condition: str) -> np.ndarray:
        """Noise-free FID of a condition."""
        raised = {
            name: 1 + (condition == "task") * self.change.get(name, 0) / 100 for name in LINES
        }
        return sum(self.amount[name] * raised[name] * self.signal(name) for name in LINES)

    def fids(self, data) -> Fids:
        return Fids(np.asarray(data)[:, None, :], DWELL_S, self.frequency, 0.03, 2.0, np.eye(4))

    def water_fids(self, eddy: float) -> Fids:
        phase = eddy * np.exp(-self.time / 0.05)
        decay = np.exp(1j * phase - np.pi * self.width * self.time)
        noise = self.rng.normal(size=(2, POINTS)) * 10
        return self.fids((4e4 * decay + noise[0] + 1j * noise[1])[None])

    def convert(self) -> None:
        job = _job(self.study, self.scan, "convert")
        job.save("mrsref", self.water_fids(1.2))
        body = {
            "te_s": 0.03,
            "tr_s": 2.0,
            "frequency_mhz": self.frequency,
            "spectral_width_hz": 1 / DWELL_S,
            "n_points": POINTS,
            "n_transients": self.n,
            "n_coils": 1,
            "voxel_mm": [20.0, 20.0, 20.0],
            "vendor": self.site.vendor,
            "model": {"Philips": "Achieva", "GE": "MR750"}.get(self.site.vendor, "Prisma"),
            "software": "n/a" if self.site.vendor == "GE" else "R5.7",
            "sequence": self.site.sequence,
            "format": "sdat",
            "reference": {"te_s": 0.03, "tr_s": 2.0, "n_transients": 1},
            "sources": {self.scan.mrs: "0" * 64},
        }
        job.finish("ok", None, None, body)

    def anatomy(self) -> None:
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        job = _job(self.study, self.scan, "anatomy")
        picture = Figure(figsize=(7.5, 2.6))
        grid = np.hypot(*np.mgrid[-1:1:64j, -1:1:64j])
        for n, plane in enumerate(("sagittal", "coronal", "axial")):
            axes = picture.add_subplot(1, 3, n + 1)
            axes.imshow(np.where(grid < 0.9, 1 - grid / 2, 0), cmap="gray")
            axes.add_patch(Rectangle((24, 20), 14, 14, fill=False, ec="orange"))
            axes.set_title(plane)
            axes.axis("off")
        job.save("voxel", picture)
        gm = float(self.rng.uniform(0.5, 0.65))
        body = {
            "v_gm": gm,
            "v_wm": 0.93 - gm,
            "v_csf": 0.07,
            "sum": 0.998,
            "coverage": 1.0,
            "method": "builtin",
            "volume_ml": 8.0,
            "systematic_sd": 0.05,
        }
        job.finish("ok", None, None, body)

    def preprocess(self) -> None:
        job = _job(self.study, self.scan, "preprocess")
        rng = self.rng
        clean = np.array([self.fid(label) for label in self.labels])
        noise = rng.normal(size=(2, *clean.shape)) * self.noise
        data = clean + noise[0] + 1j * noise[1]
        moved = np.cumsum(rng.normal(0, 0.12, self.n)) + 3 * (np.arange(self.n) > self.n * 0.6)
        kept = rng.uniform(size=self.n) > 0.04
        rows = [
            {
                "transient": j,
                "time_s": 2.0 * j,
                "condition": self.labels[j],
                "shift_hz": moved[j],
                "phase_deg": 4 * np.sin(j / 9) + rng.normal(0, 1.5),
                "linewidth_hz": self.width + rng.normal(0, 0.3),
                "snr": 12 + rng.normal(0, 0.8),
                "distance": 1.0 if kept[j] else 4.2,
                "weight": 1.0 if kept[j] else 0.0,
                "kept": bool(kept[j]),
                "cause": "" if kept[j] else "distance to the median spectrum: z = 4.2",
            }
            for j in range(self.n)
        ]
        job.save("transients", rows, columns_of("preprocess", "transients"))
        labels = np.array(self.labels)
        average = np.array([data[(labels == c) & kept].mean(axis=0) for c in CONDITIONS])
        job.save("svs", self.fids(data))
        job.save("mrsref", self.water_fids(0.0))
        job.save("average", self.fids(average))
        job.save("matched", self.fids(average))
        self.snr = float(rng.uniform(25, 60))
        body = {
            "conditions": CONDITIONS,
            "n_kept": {c: int(np.sum((labels == c) & kept)) for c in CONDITIONS},
            "n_removed": {c: int(np.sum((labels == c) & ~kept)) for c in CONDITIONS},
            "snr_tcr": self.snr,
            "snr_definition": "height of tCr / SD of the real noise in -2..0 ppm",
            "fwhm_tcr_hz": self.width,
            "fwhm_tcr_ppm": self.width / self.frequency,
            "fwhm_water_hz": self.width + 0.8,
            "residual_water": 0.003,
            "drift_hz": float(np.ptp(moved)),
            "matching_hz": {"rest": 0.2, "task": 0.0},
            "frequency_reference_hz": 0.4,
            "parameters": {"eddy": {"applied": True}, "align": {"method": "robust"}},
        }
        self.average = average
        job.finish("ok", None, None, body)

    def fit(self) -> None:
        job = _job(self.study, self.scan, "fit")
        spectra = ["all", "rest", "rest:matched", "task", "task:matched"]
        source = {
            "all": self.average.mean(axis=0),
            "rest": self.average[0],
            "task": self.average[1],
        }
        axes = self.fids(self.average)
        window = (axes.ppm > 0.2) & (axes.ppm < 4.2)
        data, fit, parts, amounts = [], [], [], []
        for name in spectra:
            condition = name.partition(":")[0]
            raised = {
                one: 1 + {"task": 1, "all": 0.5}.get(condition, 0) * self.change.get(one, 0) / 100
                for one in LINES
            }
            amount = {one: self.amount[one] * raised[one] for one in LINES}
            lines = np.array([amount[one] * self.signal(one) for one in LINES])
            spectrum = self.fids(lines).spectra[:, 0, window].real
            baseline = 900 * np.exp(-((axes.ppm[window] - 2.2) ** 2))
            fit.append(spectrum.sum(axis=0) + baseline)
            noisy = self.fids(source[condition][None]).spectra[0, 0, window].real
            data.append(noisy + baseline)
            parts.append(spectrum)
            amounts.append([amount[one] for one in LINES])
        data, fit = np.array(data), np.array(fit)
        self.amplitudes = np.array(amounts)
        self.covariance = np.array([np.diag((0.02 * row + 0.05) ** 2) for row in self.amplitudes])
        self.spectra = spectra
        job.save(
            "result",
            {
                "ppm": axes.ppm[window],
                "spectra": np.array(spectra),
                "data": data,
                "fit": fit,
                "baseline": np.tile(baseline, (len(spectra), 1)),
                "residual": data - fit,
                "names": np.array(list(LINES)),
                "metabolites": np.array(parts),
                "amplitudes": self.amplitudes,
                "covariance": self.covariance,
            },
        )
        job.save(
            "timecourse",
            [
                {
                    "block": block,
                    "condition": ("rest", "task")[block % 2],
                    "time_s": 32.0 + 64 * block,
                    "metabolite": name,
                    "amplitude": amount * (1 + (block % 2) * 0.03 * (name == "Glu")),
                    "se": 0.3,
                }
                for block in range(4)
                for name, amount in (("Glu", 11.0), ("tNAA", 13.5), ("tCr", 10.0))
            ],
            columns_of("fit", "timecourse"),
        )
        body = {
            "fqn": {name: 1.1 for name in spectra},
            "n_models": {name: 9 for name in spectra},
            "mrar_percent": {name: 1.6 for name in spectra},
            "fitted_fwhm_tcr_hz": {name: self.width for name in spectra},
            "fitted_snr_tcr": {name: self.snr for name in spectra},
            "stop_reason": {name: "converged" for name in spectra},
            "water_amplitude": 4e4,
            "water_amplitude_se": 20.0,
            "water_amplitude_model_sd": 60.0,
            "joint": {"status": "ok", "bold_narrowing_hz": 0.2, "reason": None},
        }
        job.finish("ok", None, None, body)

    def quantify(self) -> None:
        job = _job(self.study, self.scan, "quantify")
        names = list(LINES)
        rows = []
        for s, spectrum in enumerate(self.spectra):
            condition, _, matched = spectrum.partition(":")
            values = {
                name: (
                    self.amplitudes[s, names.index(name)],
                    self.covariance[s].diagonal()[m] ** 0.5,
                )
                for m, name in enumerate(names)
            }
            for total, members in SUMS.items():
                values[total] = (
                    sum(values[one][0] for one in members),
                    sum(values[one][1] ** 2 for one in members) ** 0.5,
                )
            for name, (value, error) in values.items():
                for quantity, unit, scale in (
                    ("molal", "mmol/kg", 1.2),
                    ("ratio_tcr", "1", 1 / values["tCr"][0]),
                    ("raw", "1", 1.0),
                ):
                    rows.append(
                        {
                            "metabolite": name,
                            "condition": condition,
                            "matched": matched == "matched",
                            "quantity": quantity,
                            "value": value * scale,
                            "se": error * scale,
                            "se_percent": 100 * error / value,
                            "water_se": 0.0,
                            "total_se": error * scale,
                            "unit": unit,
                            "method": "osprey 3T 1",
                        }
                    )
        job.save("concentrations", rows, columns_of("quantify", "concentrations"))
        body = {
            "constants": "osprey 3T 1",
            "tissue": {"gm": 0.6, "wm": 0.33, "csf": 0.07, "origin": "builtin"},
            "water": {"amplitude": 4e4, "te_s": 0.03},
        }
        job.finish("ok", None, None, body)

    def response(self) -> None:
        job = _job(self.study, self.scan, "response")
        rows = []
        for name, truth in (("Glu", self.change["Glu"]), ("Gln", 0.5), ("tNAA", 0.0), ("tCr", 0.1)):
            for estimator, matched in (("blocks", True), ("blocks", False), ("joint", True)):
                for quantity in ("molal", "ratio_tcr", "raw"):
                    error = 1.4 if name != "Gln" else 4.0
                    value = truth + self.rng.normal(0, 0.3) + 0.9 * (not matched)
                    rows.append(
                        {
                            "metabolite": name,
                            "estimator": estimator,
                            "matched": matched,
                            "quantity": quantity,
                            "contrast": "task-rest",
                            "rest": "rest",
                            "task": "task",
                            "change_percent": value,
                            "se_percent": error,
                            "low_percent": value - 1.96 * error,
                            "high_percent": value + 1.96 * error,
                        }
                    )
        job.save("change", rows, columns_of("response", "change"))
        controls = [
            {
                "control": control,
                "value": value,
                "se": error,
                "unit": unit,
                "limit": limit,
                "flag": flag,
            }
            for control, value, error, unit, limit, flag in (
                ("tCr change", 0.1, 1.4, "percent", 2.8, ""),
                ("tNAA change", 0.0, 1.2, "percent", 2.4, ""),
                ("linewidth change", -0.21, 0.05, "Hz", 0.5, ""),
            )
        ]
        job.save("controls", controls, columns_of("response", "controls"))
        job.finish("ok", None, None, {})


def write_tables(study: Study) -> None:
    """Tables of the sites stage, by that stage."""
    from fmrsflow.stages import sites

    sites.write_tables(study, "main")
    sites.write_multiverse(study)
