"""The tiny study on a real one-node Slurm: the same bytes as on this machine, and a killed job.

Needs root and Debian's slurm-wlm and munge (`slurm_local.sh install`); skips with a reason else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chain_tools import ROOT, command, environment, tables, write_config

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("slurm_local.sh")
FAST = [
    *("--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2"),
    *("--default-resources", "slurm_partition=test", "mem_mb=800", "runtime=10"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A running cluster and an environment with the executor plugin; ended afterwards."""
    if os.geteuid() != 0:
        pytest.skip("a Slurm of its own needs root")
    if not shutil.which("slurmctld") or not shutil.which("munged"):
        pytest.skip("slurm-wlm and munge are not installed (tests/cluster/slurm_local.sh install)")
    state = tmp_path_factory.mktemp("slurm")
    plugins = tmp_path_factory.mktemp("plugins")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    lock = ROOT / "envs" / "slurm-lock.txt"
    # Beside the environment, not in it: each installed executor slows the start of every run.
    done = subprocess.run([*pip, "--no-deps", "--target", str(plugins), "-r", str(lock)])
    if done.returncode:
        pytest.skip("the executor plugin cannot be installed here (no pip, or no package index)")
    subprocess.run(["bash", str(SCRIPT), "start", str(state)], check=True, timeout=60)
    path = f"{plugins}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    yield {**environment(), "PYTHONPATH": path, "SLURM_TEST_STATE": str(state)}
    subprocess.run(["bash", str(SCRIPT), "stop", str(state)], check=True, timeout=60)


def killed_once(run: subprocess.Popen, pattern: str) -> bool:
    """Kill -9 the first process whose command line matches; False where the run ends before."""
    while run.poll() is None:
        found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True).stdout
        for pid in found.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
        time.sleep(0.1)
    return False


def test_slurm_gives_the_same_bytes_and_retries_a_killed_job(slurm, tiny_data, tiny_run, tmp_path):
    shutil.copytree(tiny_data, tmp_path / "data")
    write_config(tmp_path)
    profile = str(ROOT / "workflow" / "profiles" / "slurm")
    arguments = ["--workflow-profile", profile, "--latency-wait", "10", *FAST]
    log = tmp_path / "snakemake.log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            command(tmp_path, *arguments), env=slurm, stdout=file, stderr=subprocess.STDOUT
        ) as run,
    ):
        # The stage's own process on the node, whatever Snakemake wraps round it.
        killed = killed_once(run, f"fmrsflow preprocess --study .*{'alpha'}")
    assert run.returncode == 0, log.read_text()[-4000:]
    assert killed
    assert "Trying to restart job" in log.read_text()
    assert tables(tmp_path / "results") == tables(tiny_run / "results")


def test_a_killed_node_daemon_costs_no_scan(slurm, tiny_data, tiny_run, tmp_path):
    """Jobs go on without it, and the one that starts next takes them over."""
    shutil.copytree(tiny_data, tmp_path / "data")
    write_config(tmp_path)
    profile = str(ROOT / "workflow" / "profiles" / "slurm")
    stage = Path("results/preprocess-robust/alpha")
    target = str(stage / "sub-01" / "mrs" / "sub-01_task-visual_desc-preprocess_record.json")
    arguments = [target, "--workflow-profile", profile, "--latency-wait", "10", *FAST]
    state = Path(slurm["SLURM_TEST_STATE"])
    log = tmp_path / "snakemake.log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            command(tmp_path, *arguments), env=slurm, stdout=file, stderr=subprocess.STDOUT
        ) as run,
    ):
        # The moment at which a job runs on the node.
        seen = ["pgrep", "-f", "fmrsflow convert "]
        while run.poll() is None and subprocess.run(seen, stdout=subprocess.DEVNULL).returncode:
            time.sleep(0.1)
        os.kill(int((state / "slurmd.pid").read_text()), signal.SIGKILL)
        time.sleep(3)
        subprocess.run(["/usr/sbin/slurmd", "-f", str(state / "slurm.conf")], check=True)
    if run.returncode:  # its jobs were given up: the same command again, as docs/scale.md says
        done = subprocess.run(
            command(tmp_path, *arguments), env=slurm, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-4000:]
    found, wanted = tables(tmp_path / stage), tables(tiny_run / stage)
    assert len(found) == 2 and found == wanted
