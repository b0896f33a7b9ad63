"""What a wheel holds beside the package: what `fmrsflow run` needs of the repository, laid out as
there (fmrsflow/layout.py), and the commit. Hatchling calls it; an editable install needs none."""

from __future__ import annotations

import runpy
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
        # A repository around an unpacked archive is another project's.
        commit = _commit_of(self.root) if Path(self.root, ".git").exists() else ""
        if commit:
            self.folder = tempfile.TemporaryDirectory()
            path = Path(self.folder.name, "commit.txt")
            path.write_text(f"{commit}\n")
            build_data["force_include"][str(path)] = f"{INSIDE}/commit.txt"


def _commit_of(root: str) -> str:
    """As the package itself tells it; its dependencies are not there while it is built."""
    module = Path(root, "workflow", "src", "fmrsflow", "commit.py")
    return runpy.run_path(str(module))["commit_of"](root)
