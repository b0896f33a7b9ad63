"""Laptop, cluster, consortium: same bytes, kills, mutated inputs, DAG, overhead, merge."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import chain
from figure import Figure, held, skipped
from fmrsflow.files import write_bytes
from many_sites import replicated, replicated_results, write_sheets

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("faults", "chain", "unit/bold", "")]

PEOPLE = 24
"""People at each of the two sites of the study that the overhead is measured on."""

PRUNED = {"": None, "without intermediates, ": ["--intermediates"], "after prune, ": []}
"""Of a scan's space: what is measured -> arguments of `prune` before it."""


def figures(quick: bool) -> Iterator[Figure]:
    """Figures of the scale; `quick` takes 1,000 scans for the DAG and 4 bundles of 10 scans."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _dag(Path(folder), 1000 if quick else 10_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if quick:
            made = _made_results(folder)
            yield from _merge(folder, made, 4, 10)
            yield from _consortium(folder, made, 4, 10)
            yield skipped("MB and files a scan", "<= 5, 40", "a whole run of the demo's data")
            return
        yield from _overhead(folder)
        yield from _merge(folder, folder / "results", 20, 50)
        yield from _consortium(folder, folder / "results", 20, 500)
    with tempfile.TemporaryDirectory() as name:
        yield from _space(Path(name))
    yield _same_bytes("Slurm", "tests/cluster/test_slurm.py")
    yield _same_bytes("container", "tests/container/test_image.py")
    yield held(
        "personal words planted: in pages, tables, records, logs, bundle",
        "0",
        "tests/chain/test_personal_words.py",
    )
    with tempfile.TemporaryDirectory() as folder:
        yield from _faults(Path(folder))
        yield from _one_bad_thing(Path(folder))


def dry_run(folder: Path, *arguments: str) -> tuple[float, float, float]:
    """CPU and wall seconds, peak memory (MB) of `snakemake -n` in a study's folder."""
    return measured(
        *("-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n", "-q", "all"),
        *("--directory", str(folder), "--cores", "2", "--scheduler", "greedy", *arguments),
    )


def measured(*arguments: str) -> tuple[float, float, float]:
    """CPU and wall seconds, peak memory (MB) of a call of Python with these arguments."""
    command = [sys.executable, *arguments]
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        # Of this process alone: `getrusage` has the largest of all children so far.
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {run.returncode}")
    return used.ru_utime + used.ru_stime, time.monotonic() - start, used.ru_maxrss / 1024


def _dag(folder: Path, n_scans: int) -> Iterator[Figure]:
    write_sheets(folder, n_scans, 20, batch=4)
    cpu, wall, peak = dry_run(folder)
    note = f"{wall:.0f} s wall"
    yield Figure(f"DAG of {n_scans} scans, batch 4, CPU s", cpu, "<= 300", cpu <= 300, note)
    yield Figure(f"DAG of {n_scans} scans, peak MB", peak, "<= 4000", peak <= 4000)
    cpu, _, peak = dry_run(folder, "--config", "only_sites=[site00]")
    yield Figure("one of its 20 sites, CPU s", cpu, "told", True, f"{peak:.0f} MB")
    write_sheets(folder, n_scans, 20, batch=50)
    cpu, _, peak = dry_run(folder)
    yield Figure(f"DAG of {n_scans} scans, batch 50, CPU s", cpu, "told", True, f"{peak:.0f} MB")


def _made_results(folder: Path) -> Path:
    """Results of one site as the tests of the pages make them, without a run."""
    from report_fixture import make_study, write_scan

    study = make_study(folder, n_sites=1, n_subjects=4)
    for seed, scan in enumerate(study.scans):
        write_scan(study, scan, seed)
    write_bytes(study.results / "study.json", study.save_text().encode())
    return study.results


def _merge(folder: Path, results: Path, n_sites: int, n_people: int) -> Iterator[Figure]:
    """`fmrsflow merge` of bundles made from the first site of a study's results."""
    from fmrsflow.bundle_merge import unpack
    from fmrsflow.bundles import pack
    from fmrsflow.study import Study

    study = Study.load(results / "study.json")
    study = replace(study, config={**study.config, "results": str(results)})
    (folder / "measured.zip").write_bytes(pack(study, min(study.sites))[0])
    paths = replicated(unpack(folder / "measured.zip"), folder, n_sites, n_people)
    command = [sys.executable, "-m", "fmrsflow.cli", "merge", *map(str, paths)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    merged = folder / "merged"
    done = subprocess.run([*command, "--results", str(merged)], capture_output=True, text=True)
    wall = time.monotonic() - start
    cpu = _cpu_s() - before.ru_utime - before.ru_stime
    there = done.returncode == 0 and (merged / "main" / "report" / "index.html").exists()
    note = f"{wall:.0f} s wall, {sum(path.stat().st_size for path in paths) / 1e6:.0f} MB"
    if not there:
        note = (done.stderr.strip().splitlines() or ["ended without a word"])[-1]
    # CPU time bounds the wall time of an idle machine, and another's load does not change it.
    name = f"merge of {n_sites} bundles x {n_people} scans to the page, CPU s"
    yield Figure(name, cpu, "<= 120", there and cpu <= 120, note)


def _consortium(folder: Path, results: Path, n_sites: int, n_people: int) -> Iterator[Figure]:
    """Tables and pages of a consortium, participants given; unpacking its bundles in the note."""
    from fmrsflow.bundle_merge import unpack
    from fmrsflow.bundles import pack
    from fmrsflow.study import Study

    study = Study.load(results / "study.json")
    study = replace(study, config={**study.config, "results": str(results)})
    (folder / "one.zip").write_bytes(pack(study, min(study.sites))[0])
    bundle = unpack(folder / "one.zip")
    frozen = str(replicated_results(bundle, folder / "many", n_sites, n_people))
    (folder / "some").mkdir()
    paths = replicated(bundle, folder / "some", 1, min(n_people, 50))
    made = time.process_time()
    for content in unpack(paths[0]).files.values():
        len(content)
    each = (time.process_time() - made) / min(n_people, 50)
    n = n_sites * n_people
    calls = {
        "sites": measured("-m", "fmrsflow", "sites", "--study", frozen, "main"),
        "pages": measured("-m", "fmrsflow", "report", "--study", frozen, "main"),
    }
    cpu, peak = (sum(one[0] for one in calls.values()), max(one[2] for one in calls.values()))
    cpu += each * n
    note = "; ".join(f"{name} {one[0]:.0f} s, {one[2]:.0f} MB" for name, one in calls.items())
    note += f"; bundles {each * n:.0f} s (from one of {min(n_people, 50)} scans)"
    name = f"bundles, sites, site and consortium pages of {n} scans, participants given"
    limit = 0.18 * n if n >= 10_000 else max(60.0, 0.18 * n)
    yield Figure(f"{name}, CPU s", cpu, f"<= {limit:.0f}", cpu <= limit, note)
    yield Figure(f"{name}, peak MB", peak, "<= 4000", peak <= 4000)
    keys = [scan.key for scan in Study.load(frozen).scans[:50]]
    cpu = measured("-m", "fmrsflow", "report", "--study", frozen, "main", *keys)[0] / len(keys)
    name = f"page of a scan, batch of {len(keys)}, CPU s each"
    yield Figure(name, cpu, "<= 0.4", cpu <= 0.4, f"one of {n} scans")


def _space(folder: Path) -> Iterator[Figure]:
    """Bytes and files of a scan of the demo under one analysis, before and after `prune`, and what
    Snakemake keeps of it. Bases, tables and pages of sites and consortium are not of a scan."""
    from chain_tools import snakemake, write_config

    subprocess.run(
        [sys.executable, "-m", "fmrsflow", "demo", "data"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    write_config(folder, batch=4, only_sites=["siemens3t"])
    snakemake(folder, "--cores", "2")
    for name, options in PRUNED.items():
        if options is not None:
            prune = [sys.executable, "-m", "fmrsflow", "prune", *options]
            subprocess.run(prune, cwd=folder, check=True, capture_output=True)
        files = [path for path in (folder / "results").rglob("sub-*") if path.is_file()]
        scans = len({path.name.split("_desc-")[0] for path in files if "_desc-" in path.name})
        size = sum(path.stat().st_size for path in files) / scans / 1e6
        count = len(files) / scans
        if options:
            yield Figure(f"{name}MB a scan", size, "reported", True, f"{count:.0f} files")
            continue
        most_mb = 5.0 if options is None else 0.5
        yield Figure(f"{name}MB a scan, page in it", size, f"<= {most_mb:g}", size <= most_mb)
        yield Figure(f"{name}files a scan", count, "<= 40", count <= 40)
    kept = [path for path in (folder / ".snakemake").rglob("*") if path.is_file()]
    note = f"batch 4; {sum(path.stat().st_size for path in kept) / scans / 1e3:.1f} kB"
    yield Figure("files of .snakemake a scan", len(kept) / scans, "reported", True, note)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _overhead(folder: Path) -> Iterator[Figure]:
    """CPU time of the whole run less that of the stages' work, and of the consortium's tables.

    Work is what a job spends on a scan; lazy imports fall on its first scan, which therefore counts
    as the median of the others. Data are made before.
    """
    from chain_tools import PLAN, environment, snakemake, write_config

    (folder / "plan.yaml").write_text(PLAN.replace("per_site: 2", f"per_site: {PEOPLE}"))
    demo = [sys.executable, "-m", "fmrsflow.cli", "demo", "--preset", "plan.yaml", "data"]
    subprocess.run(demo, cwd=folder, check=True, capture_output=True)
    write_config(folder, batch=4)
    before = _cpu_s()
    snakemake(folder, "--cores", "2")
    whole = _cpu_s() - before
    work = jobs = 0.0
    for log in (folder / "results" / "logs").rglob("*.log"):
        text = log.read_text(errors="replace")
        jobs += sum(float(cpu) for cpu, _ in chain.JOB_CPU.findall(text))
        scans = [float(cpu) for _, _, cpu in chain.SCAN_CPU.findall(text)]
        if scans:
            work += min(scans[0], median(scans[1:] or scans)) + sum(scans[1:])
    # The answer over sites is science: its command once more (with its imports, 1 s of the run).
    before = _cpu_s()
    again = [sys.executable, "-m", "fmrsflow.cli", "sites", "main"]
    subprocess.run(again, cwd=folder, check=True, capture_output=True, env=environment())
    answer = _cpu_s() - before
    scans = 2 * PEOPLE
    each = (whole - work - answer) / scans
    note = (
        f"run {whole:.0f} s, work of stages {work:.0f} s, answer {answer:.0f} s; "
        f"imports and edges of the scans' jobs {(jobs - work) / scans:.2f} s a scan"
    )
    yield Figure(f"overhead a scan, {scans} scans, CPU s", each, "<= 3", each <= 3, note)


def _same_bytes(where: str, test: str) -> Figure:
    """The test that runs the tiny study there and compares every table with the local run."""
    name = f"tables, local and {where}"
    if not (ROOT / test).exists():
        return Figure(name, "not measured", "byte-identical", False, f"{test} is not there")
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode or "skipped" in last:
        said = [line for line in done.stdout.splitlines() if line.startswith(("SKIP", "FAILED"))]
        value = "other" if done.returncode else "not measured"
        return Figure(name, value, "byte-identical", False, (said or [last])[0])
    return Figure(name, "identical", "byte-identical", True, last)


def _faults(work: Path) -> Iterator[Figure]:
    import faults

    killed = faults.kills(20, work, seed=17)
    good = killed.number("same bytes")
    note = "; ".join(f"{n} {outcome}" for outcome, n in killed.outcomes.items())
    yield Figure("kills resumed to the same bytes", f"{good} of {killed.tried}", "20 of 20",
                 good == killed.tried == 20, note)  # fmt: skip
    mutated = faults.mutations(400, work, seed=17)
    note = "; ".join(f"{n} {outcome}" for outcome, n in mutated.outcomes.items())
    yield Figure("mutated inputs that did harm", f"{len(mutated.harm)} of {mutated.tried}", "0",
                 not mutated.harm and mutated.tried == 400, note)  # fmt: skip


def _one_bad_thing(work: Path) -> Iterator[Figure]:
    """One bad thing stops nothing and is not believed (docs/scale.md#when-something-breaks)."""
    from bad_inputs import KINDS, N_SCANS, bad_inputs
    from hostile_bundles import hostile_bundles
    from hostile_texts import run
    from image_mutations import mutated_images
    from small_study import finished_study

    from fmrsflow.bundle_merge import unpack
    from fmrsflow.bundles import pack
    from fmrsflow.study import Study

    images = mutated_images(200, work, seed=1)
    yield _of_faults("mutated images and participants that did harm", images, 200)
    bad = bad_inputs(work)
    name = f"bad inputs of {len(KINDS)} kinds among {N_SCANS} scans: others lost, or no reason"
    yield _of_faults(name, bad, len(KINDS) + 1)
    base, _ = finished_study(work)
    study = Study.load(base / "results" / "study.json")
    study = replace(study, config={**study.config, "results": str(base / "results")})
    (work / "measured.zip").write_bytes(pack(study, min(study.sites))[0])
    first, second = replicated(unpack(work / "measured.zip"), work, 2, 2)
    hostile = hostile_bundles(first, second, work)
    name = "hostile bundles not refused by name, nor merged rightly in 10 s"
    yield _of_faults(name, hostile, 38, more=True)
    slowest = max(run(100_000), key=lambda one: one[1])
    faults = [what for what, _, ended in run(1000) if ended.startswith(("fault", "message"))]
    note = f"{slowest[0]}; {len(faults)} ended in a fault of the program"
    yield Figure("longest parser on 100 kB of hostile text, CPU s", slowest[1], "<= 1",
                 slowest[1] <= 1 and not faults, note)  # fmt: skip


def _of_faults(name: str, counts, tried: int, more: bool = False) -> Figure:
    """Figure of a series of faults, none of which may do harm."""
    note = "; ".join(f"{n} {outcome}" for outcome, n in counts.outcomes.items())
    whole = counts.tried >= tried if more else counts.tried == tried
    value = f"{len(counts.harm)} of {counts.tried}"
    return Figure(name, value, "0", whole and not counts.harm, note)
