"""Files as scanners write them: Philips SDAT/SPAR, Siemens RDA and DICOM, NIfTI-MRS.

Written from the public descriptions of the formats and checked by reading them back with
spec2nii and dcm2niix.
A voxel's affine is that of `fids.Fids`: RAS+, orthogonal columns, right-handed.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from fmrsflow.constants import field_of
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.files import write_bytes

_SPAR = """!--------------------------------------------------------------------
!      GYROSCAN spectro parameter file.
!      Synthetic data.
!--------------------------------------------------------------------
examination_name : synthetic
scan_id : {sequence}
scan_date :
patient_name :
patient_birth_date :
patient_position : "head_first"
patient_orientation : "supine"
samples : {samples}
rows : {rows}
synthesizer_frequency : {frequency_hz:.0f}
offset_frequency : 0
sample_frequency : {width_hz!r}
echo_nr : 1
mix_number : 1
nucleus : 1H
t0_mu1_direction : 0
echo_time : {te_ms!r}
repetition_time : {tr_ms!r}
averages : 1
volume_selection_enable : "yes"
volumes : 1
ap_size : {size[1]:.6f}
lr_size : {size[0]:.6f}
cc_size : {size[2]:.6f}
ap_off_center : {off[1]:.6f}
lr_off_center : {off[0]:.6f}
cc_off_center : {off[2]:.6f}
ap_angulation : {angle[1]:.8f}
lr_angulation : {angle[0]:.8f}
cc_angulation : {angle[2]:.8f}
volume_selection_method : 1
phase_encoding_enable : "no"
t1_measurement_enable : "no"
t2_measurement_enable : "no"
time_series_enable : "no"
spec_data_type : cf
spec_num_col : {samples}
spec_num_row : {rows}
num_dimensions : 2
dim1_pnts : {samples}
dim1_step : {dwell_s!r}
dim2_pnts : {rows}
spectrum_echo_time : {te_ms!r}
spectrum_inversion_time : 0
equipment_sw_verions : synthetic
"""

_RDA = """>>> Begin of header <<<
PatientName: synthetic
PatientID: synthetic
PatientSex: O
PatientBirthDate:{blank}
PatientPosition: HFS
InstitutionName:{blank}
ModelName: {model}
DeviceSerialNumber:{blank}
SoftwareVersion[0]: synthetic
ProtocolName: {sequence}
SequenceName: {sequence}
TR: {tr_ms:.6f}
TE: {te_ms:.6f}
TM: 0.000000
TI: 0.000000
DwellTime: {dwell_us:.6f}
NumberOfAverages: {averages:.6f}
MRFrequency: {frequency_mhz:.6f}
Nucleus: 1H
MagneticFieldStrength: {field_t:.6f}
FlipAngle: 90.000000
VectorSize: {samples}
CSIMatrixSize[0]: 1
CSIMatrixSize[1]: 1
CSIMatrixSize[2]: 1
TransmitCoil: synthetic
SliceThickness: {size[2]:.6f}
PositionVector[0]: {off[0]:.6f}
PositionVector[1]: {off[1]:.6f}
PositionVector[2]: {off[2]:.6f}
RowVector[0]: {row[0]:.9f}
RowVector[1]: {row[1]:.9f}
RowVector[2]: {row[2]:.9f}
ColumnVector[0]: {column[0]:.9f}
ColumnVector[1]: {column[1]:.9f}
ColumnVector[2]: {column[2]:.9f}
VOIPositionSag: {off[0]:.6f}
VOIPositionCor: {off[1]:.6f}
VOIPositionTra: {off[2]:.6f}
VOIThickness: {size[2]:.6f}
VOIPhaseFOV: {size[1]:.6f}
VOIReadoutFOV: {size[0]:.6f}
PixelSpacingRow: {size[1]:.6f}
PixelSpacingCol: {size[0]:.6f}
>>> End of header <<<
"""


def write_sdat(fids: Fids, path: str | Path, sequence: str = "PRESS") -> None:
    """Write Philips SDAT and, beside it, SPAR: one row a transient, coils combined.

    Raises
    ------
    ValueError
        Several coils, no affine, no echo or repetition time.
    """
    path = Path(path)
    if path.suffix != ".SDAT":
        raise ValueError(f"{path.name}: the name of a Philips raw file ends with .SDAT")
    rotation, size = _rotation(fids)
    # spec2nii turns the voxel by the intrinsic angles (-lr, -ap, cc) about x, y, z.
    angles = _intrinsic_xyz_deg(rotation) * (-1, -1, 1)
    text = _SPAR.format(
        sequence=sequence,
        samples=fids.n_points,
        rows=fids.n_transients,
        frequency_hz=fids.frequency_mhz * 1e6,
        width_hz=round(1 / fids.dwell_s, 6),
        dwell_s=fids.dwell_s,
        te_ms=round(1e3 * _time(fids, "te_s"), 6),
        tr_ms=round(1e3 * _time(fids, "tr_s"), 6),
        size=size,
        off=fids.affine[:3, 3] * (-1, -1, 1),
        angle=angles,
    )
    write_bytes(path.with_suffix(".SPAR"), text.encode())
    write_bytes(path, _vax_floats(fids.transients.astype(np.complex64).view(np.float32)))


def write_rda(fids: Fids, path: str | Path, sequence: str = "svs_se") -> None:
    """Write Siemens RDA: the format holds one FID only, so that transients are averaged.

    Raises
    ------
    ValueError
        Several coils, no affine, no echo or repetition time.
    """
    rotation, size = _rotation(fids)
    to_lps = np.array([-1.0, -1.0, 1.0])
    text = _RDA.format(
        blank=" ",
        model=fids.header.get("ManufacturersModelName", "synthetic"),
        sequence=sequence,
        te_ms=1e3 * _time(fids, "te_s"),
        tr_ms=1e3 * _time(fids, "tr_s"),
        dwell_us=1e6 * fids.dwell_s,
        averages=fids.n_transients,
        frequency_mhz=fids.frequency_mhz,
        field_t=field_of(fids.frequency_mhz),
        samples=fids.n_points,
        size=size,
        off=fids.affine[:3, 3] * to_lps,
        row=rotation[:, 0] * to_lps,
        column=rotation[:, 1] * to_lps,
    )
    # RDA is stored in the sign of NIfTI-MRS, the conjugate of ours.
    content = np.conj(fids.transients.mean(axis=0, dtype=complex)).astype("<c16").tobytes()
    write_bytes(path, text.replace("\n", "\r\n").encode() + content)


def write_dicom(fids: Fids, folder: str | Path, first: int = 1) -> list[Path]:
    """Write MR Spectroscopy Storage as Siemens' XA releases do, one file a transient, named by its
    number; the files in their order.

    Parameters
    ----------
    first : int
        Instance number of the first.

    Raises
    ------
    ValueError
        Several coils, no affine, no echo or repetition time.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRSpectroscopyStorage

    rotation, size = _rotation(fids)
    to_lps = np.array([-1.0, -1.0, 1.0])

    def item(**values) -> list[Dataset]:
        made = Dataset()
        for name, value in values.items():
            setattr(made, name, value)
        return [made]

    written = []
    for number, fid in enumerate(fids.transients, start=first):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRSpectroscopyStorage
        meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        (shared,) = item(
            MRTimingAndRelatedParametersSequence=item(
                RepetitionTime=1e3 * _time(fids, "tr_s"), FlipAngle=90.0
            ),
            MREchoSequence=item(EffectiveEchoTime=1e3 * _time(fids, "te_s")),
            PixelMeasuresSequence=item(
                # The distance of rows first.
                PixelSpacing=[round(float(one), 6) for one in size[1::-1]],
                SliceThickness=round(float(size[2]), 6),
            ),
            MRSpectroscopyFOVGeometrySequence=item(
                SpectroscopyAcquisitionDataColumns=fids.n_points,
                SpectroscopyAcquisitionPhaseRows=1,
                SpectroscopyAcquisitionPhaseColumns=1,
                SpectroscopyAcquisitionOutOfPlanePhaseSteps=1,
            ),
            MRTransmitCoilSequence=item(TransmitCoilName="synthetic"),
            MRReceiveCoilSequence=item(ReceiveCoilName="synthetic"),
        )
        axes = (rotation[:, :2] * to_lps[:, None]).T.ravel()
        (frame,) = item(
            PlanePositionSequence=item(
                ImagePositionPatient=[round(float(one), 6) for one in fids.affine[:3, 3] * to_lps]
            ),
            PlaneOrientationSequence=item(
                ImageOrientationPatient=[round(float(one), 9) for one in axes]
            ),
        )
        (content,) = item(
            file_meta=meta,
            SOPClassUID=MRSpectroscopyStorage,
            SOPInstanceUID=meta.MediaStorageSOPInstanceUID,
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.3.4",
            Modality="MR",
            Manufacturer="Siemens Healthineers",
            ManufacturerModelName=fids.header.get("ManufacturersModelName", "synthetic"),
            SoftwareVersions="syngo MR XA30 synthetic",
            ImageType=["ORIGINAL", "PRIMARY", "SPECTROSCOPY", "NONE"],
            SeriesNumber=1,
            InstanceNumber=number,
            AcquisitionNumber=1,
            MagneticFieldStrength=round(field_of(fids.frequency_mhz), 3),
            TransmitterFrequency=fids.frequency_mhz,
            ResonantNucleus=fids.nucleus,
            SpectralWidth=1 / fids.dwell_s,
            MRSpectroscopyAcquisitionType="SINGLE_VOXEL",
            VolumeLocalizationTechnique="PRESS",
            NumberOfFrames=1,
            Rows=1,
            Columns=1,
            DataPointRows=1,
            DataPointColumns=fids.n_points,
            DataRepresentation="COMPLEX",
            SignalDomainColumns="TIME",
            VolumeLocalizationSequence=[
                item(
                    SlabThickness=float(size[axis]),
                    SlabOrientation=[float(one) for one in rotation[:, axis] * to_lps],
                    MidSlabPosition=[float(one) for one in fids.affine[:3, 3] * to_lps],
                )[0]
                for axis in (2, 1, 0)
            ],
            SharedFunctionalGroupsSequence=[shared],
            PerFrameFunctionalGroupsSequence=[frame],
            # The standard's sign is ours.
            SpectroscopyData=fid.astype("<c8").tobytes(),
        )
        written.append(Path(folder) / f"{number:04d}.dcm")
        content.save_as(written[-1], enforce_file_format=True)
    return written


def write_nifti(fids: Fids, path: str | Path) -> None:
    """Write NIfTI-MRS, compressed; the same FIDs give the same bytes."""
    # Level 1: noise hardly compresses, and it is several times faster.
    write_bytes(path, gzip.compress(to_nifti(fids).to_bytes(), compresslevel=1, mtime=0))


def write_image(data: np.ndarray, affine: np.ndarray, path: str | Path, slope: float = 1.0) -> None:
    """Write an integer volume as NIfTI, compressed; a reader multiplies its values by `slope`."""
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.header.set_slope_inter(slope, 0)
    image.header.set_xyzt_units("mm", "sec")
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))


def _rotation(fids: Fids) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and sizes (3,) in mm of the voxel."""
    if fids.affine is None:
        raise ValueError("the FIDs have no affine; vendor files hold the voxel's geometry")
    size = np.linalg.norm(fids.affine[:3, :3], axis=0)
    rotation = fids.affine[:3, :3] / size
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5) or np.linalg.det(rotation) < 0:
        raise ValueError("the voxel's affine is no right-handed rotation of a box")
    return rotation, size


def _intrinsic_xyz_deg(rotation: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(rotation).as_euler("XYZ", degrees=True)


def _time(fids: Fids, name: str) -> float:
    value = getattr(fids, name)
    if value is None:
        raise ValueError(f"the FIDs have no {name}, which vendor files hold")
    return value


def _vax_floats(values: np.ndarray) -> bytes:
    """IEEE single precision to VAX F floating: exponent bias 128 not 126, 16-bit words swapped.

    Values below 2^-126 become 0; values of 2^126 and above overflow.
    """
    values = np.ascontiguousarray(values, np.float32).ravel()
    if not np.all(np.abs(values) < 2.0**126):
        raise ValueError("a value is not finite or too large for a VAX float; scale the FIDs")
    # A VAX float reads as 1/4 of an IEEE float of the same bits.
    bits = (values * np.float32(4)).view(np.uint32)
    bits = np.where(np.abs(values) < 2.0**-126, np.uint32(0), bits)
    return ((bits >> 16) | (bits << 16)).astype("<u4").tobytes()
