"""What the response needs of the scans of a unit, and their conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.events import reference_of

Row = Mapping
"""A typed row of a table."""


@dataclass(frozen=True)
class UnitScan:
    """What earlier stages left of one scan of a unit.

    Attributes
    ----------
    key : str
    preprocess, joint : mapping
        Record of preprocess; what the record of the fit says of the joint fit.
    transients, concentrations : rows of these tables
    water : rows
        Water over the scan; empty where none was measured between the transients.
    timecourse, joint_rows : rows
        Amplitudes of blocks and table of the joint fit; empty where the scan has one condition.
    joint_fit : dict of arrays or None
        Arrays of the joint fit where there is one.
    means : dict of arrays or None
        Of conditions and blocks in one model of all transients (`fit.means`); None where each was
        fitted by itself, or the scan has one condition.
    """

    key: str
    preprocess: Mapping
    joint: Mapping
    transients: Sequence[Row]
    concentrations: Sequence[Row]
    water: Sequence[Row] = ()
    timecourse: Sequence[Row] = ()
    joint_rows: Sequence[Row] = ()
    joint_fit: Mapping[str, np.ndarray] | None = None
    means: Mapping[str, np.ndarray] | None = None

    def tasks(self, of: Sequence[str]) -> list[str]:
        """Those of the unit's tasks that ran in this scan beside another condition."""
        here = self.preprocess["conditions"]
        return [task for task in of if task in here] if len(here) > 1 else []


def conditions(scans: Sequence[UnitScan], rest: str) -> tuple[str, list[str]]:
    """The condition that changes refer to (`rest`, or the one that `events.reference_of` takes for
    it) and the tasks, in the order in which they ran.

    Raises
    ------
    DataError
        One condition only.
    """
    names = list(dict.fromkeys(name for scan in scans for name in scan.preprocess["conditions"]))
    if len(names) < 2:
        raise DataError(
            f"one condition only ({', '.join(names)}): a change needs rest and a task; name "
            "events.tsv of this scan, or two scans of different `condition` in scans.tsv, of one "
            "session, acq and run or of one `unit`"
        )
    reference = reference_of(names, rest)
    return reference, [name for name in names if name != reference]
