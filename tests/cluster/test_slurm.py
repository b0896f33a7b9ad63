"""The tiny study on a real one-node Slurm: the same bytes as on this machine, and a killed job.

Needs root and Debian's slurm-wlm and munge (`slurm_local.sh install`); skips with a reason else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chain_tools import ROOT, command, environment, processes, tables, write_config

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
    path = f"{plugins}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    with cluster(state):
        yield {**environment(), "PYTHONPATH": path, "SLURM_TEST_STATE": str(state)}


@contextmanager
def cluster(state: Path, script: Path = SCRIPT) -> Iterator[None]:
    """A running cluster; its daemons are ended whatever happens, a start that fails too."""
    try:
        subprocess.run(["bash", str(script), "start", str(state)], check=True, timeout=60)
        yield
    finally:
        subprocess.run(["bash", str(script), "stop", str(state)], check=True, timeout=90)


def killed_once(run: subprocess.Popen, folder: Path, words: str) -> bool:
    """Kill -9 a process of a study's folder; False where the run ends before there is one."""
    while run.poll() is None:
        for pid in processes(folder, words):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
        time.sleep(0.1)
    return False


def test_a_start_that_fails_is_followed_by_a_stop(tmp_path):
    script = tmp_path / "slurm.sh"
    script.write_text(f'echo "$1" >> {tmp_path}/calls; [ "$1" = stop ]')
    with pytest.raises(subprocess.CalledProcessError), cluster(tmp_path, script):
        pass
    assert (tmp_path / "calls").read_text().split() == ["start", "stop"]


def test_a_stop_waits_until_the_daemons_have_ended(tmp_path):
    slow = "import signal, sys, time\nsignal.signal(15, lambda *_: (time.sleep(1), sys.exit()))\n"
    slow += "print(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", slow], stdout=subprocess.PIPE) as daemon:
        daemon.stdout.readline()
        # A zombie would count as running: somebody has to wait for it, as init does for a daemon.
        waiter = threading.Thread(target=daemon.wait)
        waiter.start()
        (tmp_path / "slurmd.pid").write_text(str(daemon.pid))
        subprocess.run(["bash", str(SCRIPT), "stop", str(tmp_path)], check=True, timeout=60)
        assert daemon.poll() is not None
        waiter.join()


def test_a_process_of_another_run_is_not_taken(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    sleep = [sys.executable, "-c", "import time; time.sleep(60)", "words of a stage"]
    with subprocess.Popen(sleep, cwd=other) as foreign, subprocess.Popen(sleep, cwd=own) as mine:
        assert processes(own, "words of .*stage") == [mine.pid]
        foreign.kill()
        mine.kill()


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
        killed = killed_once(run, tmp_path, r"^\S+ -P -m fmrsflow preprocess --study .*alpha")
    assert run.returncode == 0, log.read_text()[-4000:]
    assert killed
    # The error is told, and the job was done again: the run ended well.
    assert "Error in rule preprocess" in log.read_text()
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
        while run.poll() is None and not processes(tmp_path, "fmrsflow convert "):
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
