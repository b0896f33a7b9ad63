"""Sentences on a plan."""

from __future__ import annotations

import math

from fmrsflow.metabolites import in_words
from fmrsflow.plan.answer import Answer
from fmrsflow.plan.grid import Design
from fmrsflow.report.render import short
from fmrsflow.words import count


def shape_words(shape: str) -> str:
    """A shape of the response, as a reader would call it."""
    if shape == "hrf":
        return "lagging like BOLD"
    kind, _, rest = shape.partition("_")
    return f"exponential with {rest.replace('s', ' s')}" if kind == "exponential" else "at once"


def design_words(design: Design) -> str:
    """A design in one line."""
    site, task = design.protocol.site, design.task
    blocks = f"blocks of {task.block_s:g} s after {task.rest_s:g} s of rest"
    return (
        f"{site.field_t:g} T {site.sequence}, TE {1e3 * site.te_s:g} ms, TR {site.tr_s:g} s, "
        f"{design.protocol.volume_ml:g} mL, {'events' if task.events else blocks}, "
        f"{count(task.transients, 'transient')} ({design.scan_min:.3g} min)"
    )


def people_words(answer: Answer) -> str:
    """How many people and sites the best design takes; "" where no SD is known."""
    row, wish = answer.rows[0], answer.asked.wish
    if wish.spread is None:
        return ""
    text = f"A change of {wish.effect_percent:g} % is found with a power of {wish.power:g} at "
    if row["participants"] is None:
        return f"No number of people finds a change of {wish.effect_percent:g} % at " + count(
            answer.sites, "site"
        )
    text += f"{count(answer.sites, 'site')} with {count(row['participants'], 'participant')} each"
    text += f" ({row['hours']:.0f} h of scanner time)"
    if wish.ends is None:
        return text
    if row["participants_high"] is None:
        return text + "; at the unfavourable end of what is known of the SDs no number is enough"
    return (
        f"{text}; at the unfavourable end of what is known of the SDs it takes "
        f"{row['participants_high']} ({row['hours_high']:.0f} h)"
    )


def error_words(answer: Answer) -> str:
    """What a scan of the best design tells."""
    row, asked = answer.rows[0], answer.asked
    return (
        f"One scan gives the difference of task and rest of {in_words(asked.metabolite)} with a "
        f"standard error of {row['se_percent']:.2f} %; the difference holds {row['reads']:.2f} of "
        f"a plateau (response {shape_words(asked.response)}): {row['se_as_plateau_percent']:.2f} "
        "points of that"
    )


def lines(answer: Answer, most: int) -> list[str]:
    """What the command prints."""
    found = [f"Best of {count(len(answer.found), 'design')}: {design_words(answer.best.design)}"]
    found.append(error_words(answer))
    if said := people_words(answer):
        found.append(said)
    else:
        found.append("SDs between people and sites are not known (--sd-site, --sd-participant or a "
                     "study): designs are ranked by the error of a scan and its time")  # fmt: skip
    found.append(f"Noise: {answer.best.design.receiver.source}")
    found += [f"{site} takes no part: {why}" for site, why in answer.left_out.items()]
    found.append(f"\n{'rank':>4} {'time':>6} {'SE %':>6} {'of plateau':>10}  design")
    for row, one in zip(answer.rows[:most], answer.found):
        if not math.isfinite(row["relative_time"] or math.inf):
            break
        found.append(
            f"{row['rank']:>4} {row['relative_time']:>6.2f} {row['se_percent']:>6.2f} "
            f"{row['se_as_plateau_percent']:>10.2f}  {design_words(one.design)}"
        )
    return found


def option_words(name: str, value) -> str:
    """A value of an option."""
    units = {"field_t": "T", "te_s": "ms", "tr_s": "s", "volume_ml": "mL", "block_s": "s",
             "rest_s": "s", "minutes": "min"}  # fmt: skip
    if isinstance(value, str):
        return value
    shown = 1e3 * value if name == "te_s" else value
    return f"{shown:g} {units.get(name, '')}".strip()


def ratio_words(value: float) -> str:
    """A time over that of the best design."""
    return short(value) if math.isfinite(value) else "nothing told"
