"""Presets: the choices of published studies by name, each with its source (workflow/presets)."""

from __future__ import annotations

import yaml

from fmrsflow.errors import unknown
from fmrsflow.intake.choices import SAME, Choices
from fmrsflow.layout import PRESETS


def preset_names() -> list[str]:
    """Names of all presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def read_preset(name: str) -> Choices:
    """Choices of a published study.

    Raises
    ------
    UsageError
        There is no preset of that name.
    """
    if name not in preset_names():
        raise unknown("preset", name, preset_names())
    content = yaml.safe_load((PRESETS / f"{name}.yaml").read_text("utf-8"))
    found = Choices(name)
    found.add("(source)", "", SAME, "", "", f"{content['title']}: {content['source']}")
    for one in content["choices"]:
        found.take(
            one["from"],
            one["value"],
            one["setting"],
            one["ours"],
            one["note"],
            one.get("kind", SAME),
        )
    for one in content.get("protocol", ()):
        found.ask(
            one["from"], one["value"], f"{one['setting']} of your scans; {one['note']}".rstrip("; ")
        )
    for one in content.get("ask", ()):
        found.ask(one["from"], one["value"], one["note"])
    for one in content.get("without", ()):
        found.leave(one["from"], one["value"], one["note"])
    return found
