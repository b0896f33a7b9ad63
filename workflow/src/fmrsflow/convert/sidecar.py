"""BIDS sidecars of converted scans (BIDS 1.10, MRS)."""

from __future__ import annotations

from fmrsflow.convert.checks import voxel_mm
from fmrsflow.fids import Fids


def sidecar(fids: Fids, **links: str | list[str] | None) -> dict:
    """Required and recommended keys of a BIDS MRS sidecar; nothing of who was scanned or when.

    Parameters
    ----------
    links
        ReferenceSignal and Sources as BIDS URIs, where there are any.
    """
    content = {
        "ResonantNucleus": [fids.nucleus],
        "SpectrometerFrequency": [fids.frequency_mhz],
        "SpectralWidth": 1.0 / fids.dwell_s,
        "EchoTime": fids.te_s,
        "RepetitionTime": fids.tr_s,
        "NumberOfSpectralPoints": fids.n_points,
        "NumberOfTransients": fids.n_transients,
        "NumberReceiveCoilActiveElements": fids.n_coils,
        "AcquisitionVoxelSize": voxel_mm(fids),
        **{
            key: fids.header[key]
            for key in (
                "Manufacturer",
                "ManufacturersModelName",
                "SoftwareVersions",
                "MagneticFieldStrength",
                "WaterSuppressed",
                "WaterSuppressionType",
            )
            if key in fids.header
        },
        **links,
    }
    return {key: value for key, value in content.items() if value is not None}
