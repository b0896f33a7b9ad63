"""What a wheel holds beside the package: what `fmrsflow run` needs of the repository, laid out as
there (fmrsflow/layout.py), and the commit. Hatchling calls it; an editable install needs none."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INSIDE = "fmrsflow/_repository"

FILES = (
    "Snakefile",
    "rules",
    "config",
    "docs/mismatch",
    "envs/core.yaml",
    "envs/core.post-deploy.sh",
    "workflow/Snakefile",
    "workflow/captions",
    "workflow/presets",
    "workflow/profiles",
    "workflow/schemas",
)


class Repository(BuildHookInterface):
    """Adds them to a wheel that is no editable one."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Name the files."""
        if version == "editable":
            return
        for name in FILES:
            build_data["force_include"][str(Path(self.root, name))] = f"{INSIDE}/{name}"
        if commit := _commit(self.root):
            self.folder = tempfile.TemporaryDirectory()
            path = Path(self.folder.name, "commit.txt")
            path.write_text(f"{commit}\n")
            build_data["force_include"][str(path)] = f"{INSIDE}/commit.txt"


def _commit(root: str) -> str:
    """That of the clone, `-dirty` where it was edited; empty where there is none."""
    if not Path(root, ".git").exists():
        return ""  # a repository around an unpacked archive is another project's
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
