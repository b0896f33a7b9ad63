"""Commit of a checkout. envs/wheel.py runs this file where nothing is installed yet."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit_of(folder: str | Path) -> str:
    """Short digest of the commit of the checkout that a folder lies in, `-dirty` where it was
    edited; "" where there is no checkout or no git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
