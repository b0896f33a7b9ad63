"""A head phantom: tissue maps of one person, the T1w image of them, and the voxel in it.

Built from the MNI152 templates that nilearn ships (ICBM 2009a symmetric, brain only): sharpened,
bent and scaled per person. The T1w is computed from the tissue maps, so that these are its truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

TISSUES = ("gm", "wm", "csf")
INTENSITY = {"gm": 0.72, "wm": 1.0, "csf": 0.28}
"""T1w signal of each tissue relative to white matter (MPRAGE at 3T)."""


@dataclass(frozen=True)
class Head:
    """One person in scanner space.

    Attributes
    ----------
    t1w : int16 array (x, y, z)
        Skull-stripped T1w with bias field and noise; 0 outside the brain.
    maps : dict of float32 arrays (x, y, z)
        True volume fractions `gm`, `wm`, `csf`; they sum to 1 inside the brain, 0 outside.
    affine : array (4, 4)
        Of all volumes, to scanner mm.
    from_mni : array (4, 4)
        Affine part of MNI space to scanner space, mm.
    """

    t1w: np.ndarray
    maps: dict[str, np.ndarray]
    affine: np.ndarray
    from_mni: np.ndarray


def make_head(
    person: np.random.Generator,
    visit: np.random.Generator,
    age: float = 30.0,
    spacing_mm: float = 2.0,
) -> Head:
    """Draw a person in a scanner.

    Parameters
    ----------
    person, visit : Generator
        Of the anatomy, the same wherever the person is scanned, and of what differs each time:
        place of the head, bias field, noise.
    age : float
        Years; cerebrospinal fluid takes over 0.4 % of the cortex a year from 20 on.
    spacing_mm : float
        Isotropic voxels of the T1w.
    """
    from scipy.ndimage import map_coordinates

    from_mni = _pose(person, visit)
    affine, shape = _grid(spacing_mm)
    warp = [_waves(person, shape, sd=1.5) for _ in range(3)]
    to_template = np.linalg.inv(_template_affine()) @ np.linalg.inv(from_mni) @ affine
    index = np.indices(shape, dtype=np.float32)
    where = [
        sum(np.float32(to_template[i, j]) * index[j] for j in range(3))
        + np.float32(to_template[i, 3])
        + warp[i]
        for i in range(3)
    ]
    gm, wm, brain = (
        map_coordinates(template, where, np.float32, order=1, mode="constant") / np.float32(255)
        for template in _templates()
    )
    inside = brain > 0.5
    csf = np.clip(1 - gm - wm, 0, None)
    csf = csf + np.float32(0.004 * max(age - 20.0, 0.0)) * gm
    # The templates average many people; a person's tissue borders are sharp.
    parts = {name: np.where(inside, part, 0) ** 2 for name, part in zip(TISSUES, (gm, wm, csf))}
    total = sum(parts.values())
    maps = {name: part / np.maximum(total, 1e-6) for name, part in parts.items()}
    return Head(_t1w(maps, inside, visit), maps, affine, from_mni)


def voxel_affine(
    head: Head, centre_mni_mm, size_mm, rng: np.random.Generator, rotation_sd_deg: float = 3.0
) -> np.ndarray:
    """Affine (4, 4) of an MRS voxel as an operator would place it, with a few degrees of whim."""
    from scipy.spatial.transform import Rotation

    whim = Rotation.from_euler("xyz", rotation_sd_deg * rng.standard_normal(3), degrees=True)
    left, _, right = np.linalg.svd(head.from_mni[:3, :3])
    affine = np.eye(4)
    affine[:3, :3] = left @ right @ whim.as_matrix() * np.asarray(size_mm, float)
    affine[:3, 3] = (head.from_mni @ [*centre_mni_mm, 1.0])[:3] + rng.standard_normal(3)
    # Vendor files hold a few digits: the truth is what they can hold.
    return np.round(affine, 6)


def fractions(head: Head, affine: np.ndarray, samples: int = 16) -> dict[str, float]:
    """True volume fractions in a voxel, normalised to sum 1, and `coverage`: the brain's share.

    Linear interpolation of the maps at `samples`^3 points of the voxel.
    """
    from scipy.ndimage import map_coordinates

    steps = (np.arange(samples) + 0.5) / samples - 0.5
    points = np.array(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, -1)
    to_index = np.linalg.inv(head.affine) @ affine
    where = to_index[:3, :3] @ points + to_index[:3, 3:]
    inside = {
        name: float(map_coordinates(part, where, order=1).mean())
        for name, part in head.maps.items()
    }
    coverage = sum(inside.values())
    if coverage == 0:
        raise ValueError(f"the voxel at {np.round(affine[:3, 3], 1)} mm lies outside the brain")
    return {**{name: part / coverage for name, part in inside.items()}, "coverage": coverage}


def _pose(person, visit) -> np.ndarray:
    """A person's head in the scanner: size, nod, turn, place."""
    from scipy.spatial.transform import Rotation

    scale = 1 + 0.03 * person.standard_normal(3)
    turn = Rotation.from_euler("xyz", [8, 3, 3] * visit.standard_normal(3), degrees=True)
    pose = np.eye(4)
    pose[:3, :3] = turn.as_matrix() * scale
    pose[:3, 3] = [3, 8, 8] * visit.standard_normal(3)
    return pose


def _grid(spacing_mm: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    extent_mm = np.array([190.0, 230.0, 200.0])
    shape = tuple(int(n) for n in np.ceil(extent_mm / spacing_mm))
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = [-extent_mm[0] / 2, -extent_mm[1] / 2 - 18, -extent_mm[2] / 2 + 12]
    return affine, shape


def _waves(rng, shape, sd: float) -> np.ndarray:
    """Smooth random field of zero mean, a sum of products of long cosines."""
    field = np.zeros(shape, np.float32)
    for _ in range(3):
        cosines = [
            np.cos(2 * np.pi * rng.uniform(0.5, 2.0) * np.linspace(0, 1, n) + 7 * rng.random())
            for n in shape
        ]
        height = sd * np.sqrt(8 / 3) * rng.standard_normal()
        field += (height * cosines[0][:, None, None] * cosines[1][:, None] * cosines[2]).astype(
            np.float32
        )
    return field


def _t1w(maps: dict[str, np.ndarray], inside: np.ndarray, rng) -> np.ndarray:
    intensity = {
        name: value * (1 + 0.03 * rng.standard_normal()) for name, value in INTENSITY.items()
    }
    clean = sum(np.float32(intensity[name]) * part for name, part in maps.items())
    bias = np.exp(_waves(rng, inside.shape, sd=0.12))
    noise = np.float32(0.025) * rng.standard_normal(inside.shape, dtype=np.float32)
    return np.where(inside, np.clip(1000 * (clean * bias + noise), 1, 32000), 0).astype(np.int16)


@lru_cache(maxsize=1)
def _templates() -> tuple[np.ndarray, ...]:
    """GM, WM and brain (0 or 255) of the bundled templates, uint8 at 1 mm."""
    gm, wm, t1 = (np.asarray(_template(kind).dataobj) for kind in ("gm", "wm", "t1"))
    return gm, wm, np.where(t1 > 0, np.uint8(255), np.uint8(0))


@lru_cache(maxsize=1)
def _template_affine() -> np.ndarray:
    return _template("t1").affine


def _template(kind: str):
    from importlib.resources import files

    import nibabel as nib

    # Found without importing nilearn, which costs two seconds.
    path = files("nilearn") / "datasets" / "data"
    return nib.load(str(path / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"))
