"""Constants of nature and of scanners that more than one place needs, each with its source."""

from __future__ import annotations

Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution: half of a 95 % interval in SD."""

GYROMAGNETIC_MHZ_PER_T = 42.5775
"""Proton gyromagnetic ratio over 2 pi (CODATA 2018: 42.577 478 518)."""

SIEMENS_MHZ = {3: 123.25, 7: 297.22}
"""Proton frequencies of Siemens' magnets by nominal field (T): they stand at 2.89 and 6.98 T
(headers of Prisma, Skyra and Terra scans; docs/science.md#field)."""

FIELD_TOLERANCE = 0.05
"""Relative difference of field or frequency up to which two things are of one nominal field: it
keeps Siemens' 2.89 T with 3 T and parts 3 T from everything else."""

TE_TOLERANCE_S = 0.002
"""Difference of echo times up to which a scan or a basis is that of its protocol."""

SINGLETS_PPM = (2.01, 3.03, 3.22)
"""Methyl lines of NAA, total creatine and total choline (Govindaraju 2000)."""

NARROWING_HZ = {3: 0.2, 7: 0.46}
"""Lorentzian FWHM that lines lose at full BOLD response, by field (T): Wilson, Finney, Clarke 2026;
docs/science.md#bold-narrowing."""


def field_of(frequency_mhz: float) -> float:
    """Field (T) of a proton frequency."""
    return frequency_mhz / GYROMAGNETIC_MHZ_PER_T


def same_field(one: float, other: float) -> bool:
    """Whether two fields, or two frequencies, are of one nominal field."""
    return abs(one / other - 1) <= FIELD_TOLERANCE
