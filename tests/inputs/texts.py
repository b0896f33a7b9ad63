"""Oddities of headers that are text (SPAR, RDA, jMRUI, LCModel RAW), of scan and reference."""

from __future__ import annotations

import re
from collections.abc import Callable

from given import Given
from signals import Oddity

Edit = Callable[[str], str]

HEADER_END = {
    "sdat": None,
    "rda": ">>> End of header <<<",
    "jmrui": "Signal and FFT",
    "raw": None,
}
"""What follows the header; None: it is a file of its own, or oddities are of all the text."""


def edited(format: str, edit: Edit, encoding: str = "latin-1") -> Callable[[Given], None]:
    """A change of the header's text; latin-1 keeps every byte. The sheet promises no width, so that
    the file's is believed."""

    def change_bytes(content: bytes) -> bytes:
        end = HEADER_END[format]
        text, mark, rest = content.decode("latin-1").partition(end or "\0never")
        return edit(text).encode(encoding) + (mark + rest).encode("latin-1")

    def change(given: Given) -> None:
        suffix = ".SPAR" if format == "sdat" else ""
        if format != "raw":
            given.site["spectral_width_hz"] = None
        given.edit("mrs", change_bytes, suffix)
        given.edit("ref", change_bytes, suffix)

    return change


def put(key: str, value: str) -> Edit:
    """An entry with another value; a pattern that matches nothing is a mistake of the kit."""

    def edit(text: str) -> str:
        found = re.compile(rf"^({re.escape(key)}\s*[:=])[^\r\n]*", re.MULTILINE)
        assert found.search(text), key
        return found.sub(lambda match: f"{match[1]} {value}", text, count=1)

    return edit


def without(*keys: str) -> Edit:
    """Entries left out."""

    def edit(text: str) -> str:
        for key in keys:
            found = re.compile(rf"^{re.escape(key)}\s*[:=][^\n]*\n", re.MULTILINE)
            assert found.search(text), key
            text = found.sub("", text, count=1)
        return text

    return edit


def commas(text: str) -> str:
    """Decimal commas in all numbers that stand alone."""
    return re.sub(r"(?m)(:\s*-?\d+)\.(\d+)", r"\1,\2", text)


def lines(end: str) -> Edit:
    """Other ends of the lines."""
    return lambda text: text.replace("\r\n", "\n").replace("\n", end)


def first(prefix: str) -> Edit:
    """Something before all else."""
    return lambda text: prefix + text


def last(suffix: str) -> Edit:
    """Something behind all else."""
    return lambda text: text + suffix


BOM = "\u00ef\u00bb\u00bf"
"""Byte order mark of UTF-8, as latin-1."""


def _oddities(format: str, edits: dict[str, tuple[Edit, bool]]) -> list[Oddity]:
    return [Oddity(name, edited(format, edit), good) for name, (edit, good) in edits.items()]


def _spar(*keys: str) -> dict[str, tuple[Edit, bool]]:
    return {f"without {key}": (without(key), True) for key in keys}


def _no_spar(given: Given) -> None:
    given.edits.append(lambda data: (data / given.row["mrs"]).with_suffix(".SPAR").unlink())


def _renamed(ending: str) -> Callable[[Given], None]:
    def change(given: Given) -> None:
        def rename(data):
            for column in ("mrs", "ref"):
                path = (data / given.row[column]).with_suffix(".SPAR")
                path.rename(path.with_suffix(ending))

        given.edits.append(rename)

    return change


def _named_spar(given: Given) -> None:
    given.edits.append(
        lambda data: given.row.update(mrs=given.row["mrs"].replace(".SDAT", ".SPAR"))
    )


def _small_letters(given: Given) -> None:
    def rename(data):
        for column in ("mrs", "ref"):
            for ending in (".SPAR", ".SDAT"):
                path = (data / given.row[column].replace(".sdat", ".SDAT")).with_suffix(ending)
                path.rename(path.with_suffix(ending.lower()))

    given.edits.append(rename)

    def sheet(data):
        for column in ("mrs", "ref"):
            given.row[column] = given.row[column].replace(".SDAT", ".sdat")

    given.edits.append(sheet)


def _others_spar(given: Given) -> None:
    """The SPAR of the reference beside the scan."""

    def swap(data):
        paths = [(data / given.row[column]).with_suffix(".SPAR") for column in ("mrs", "ref")]
        paths[0].write_bytes(paths[1].read_bytes())

    given.edits.append(swap)


def _truncated(share: float) -> Callable[[Given], None]:
    def change(given: Given) -> None:
        given.edit("mrs", lambda content: content[: int(share * len(content))])

    return change


def _longer(given: Given) -> None:
    given.edit("mrs", lambda content: content + bytes(512))


CUT = (
    Oddity("cut to a half", _truncated(0.5), False),
    Oddity("cut to 99 percent", _truncated(0.99), False),
    Oddity("empty file", _truncated(0.0), False),
    Oddity("half a kilobyte of NUL behind it", _longer, False),
)

SPAR = [
    *_oddities(
        "sdat",
        {
            "decimal commas": (commas, True),
            "CRLF": (lines("\r\n"), True),
            "CR alone": (lines("\r"), True),
            "byte order mark": (first(BOM), True),
            "an umlaut": (first("! J\u00fcrgen\n"), True),
            "NUL behind it": (last("\0" * 20), True),
            "NUL within": (put("scan_id", "ab\0\0"), True),
            "a blank line each": (lines("\n\n"), True),
            "tabs": (lambda text: text.replace(" : ", "\t:\t"), True),
            "no blanks": (lambda text: text.replace(" : ", ":"), True),
            "blanks behind values": (lines("   \n"), True),
            "capital keys": (
                lambda text: re.sub(r"(?m)^\w+ :", lambda m: m[0].upper(), text),
                True,
            ),
            "samples as 1024.0": (put("samples", "1024.0"), True),
            "samples in quotes": (put("samples", '"1024"'), True),
            "twice as many rows": (put("rows", "64"), False),
            "half as many rows": (put("rows", "16"), False),
            "rows and samples swapped": (
                lambda text: put("rows", "1024")(put("samples", "32")(text)),
                False,
            ),
            "rows of 64 with half the samples": (
                lambda text: put("rows", "64")(put("samples", "512")(text)),
                False,
            ),
            "echo time in s": (put("echo_time", "0.03"), True),
            "echo time blank": (put("echo_time", ""), True),
            "echo time of 31.5 ms": (put("echo_time", "31.5"), False),
            "echo time of 144 ms": (put("echo_time", "144"), False),
            "echo time as text": (put("echo_time", "n/a"), True),
            "repetition time in s": (put("repetition_time", "2.0"), True),
            "repetition time of 1500 ms": (put("repetition_time", "1500"), False),
            "frequency in MHz": (put("synthesizer_frequency", "127.731"), True),
            "frequency blank": (put("synthesizer_frequency", ""), False),
            "frequency of 7 T": (put("synthesizer_frequency", "298038000"), False),
            "width in kHz": (put("sample_frequency", "2.0"), True),
            "width of twice": (put("sample_frequency", "4000"), False),
            "width 5 percent more": (put("sample_frequency", "2100"), False),
            "width 1.5 percent more": (put("sample_frequency", "2030"), False),
            "width negative": (put("sample_frequency", "-2000"), False),
            "width of 0": (put("sample_frequency", "0"), False),
            "nucleus 31P": (put("nucleus", "31P"), False),
            "nucleus 1h": (put("nucleus", "1h"), True),
            "nucleus H1": (put("nucleus", "H1"), True),
            "nucleus blank": (put("nucleus", ""), True),
            "nucleus in quotes": (put("nucleus", '"1H"'), True),
            "grid of voxels": (lambda text: text + "dim3_pnts : 4\ndim2_pnts : 4\n", False),
            "sizes in m": (
                lambda text: re.sub(
                    r"(?m)^(\w\w_size : )(\S+)", lambda m: f"{m[1]}{float(m[2]) / 1000}", text
                ),
                True,
            ),
            "sizes of 0": (lambda text: re.sub(r"(?m)^(\w\w_size :).*", r"\1 0", text), True),
            "geometry as text": (put("lr_angulation", "oblique"), True),
            "named STEAM": (put("scan_id", "STEAM short"), False),
            "named MEGA": (put("scan_id", "MEGA-PRESS GABA"), False),
            "named GABA PAR": (put("scan_id", "GABA PAR"), True),
            "binary garbage": (lambda text: "\x00\x01\x02\xff" * 400, False),
            "of the Markdown kind": (lambda text: "# notes\nsee the other folder\n", False),
        },
    ),
    *_oddities(
        "sdat",
        _spar(
            *("scan_id", "scan_date", "patient_name", "patient_position", "nucleus", "echo_time"),
            *("repetition_time", "averages", "spectrum_echo_time", "spectrum_inversion_time"),
            *("equipment_sw_verions", "offset_frequency", "lr_angulation", "ap_size"),
            *("volume_selection_enable", "dim1_pnts", "spec_data_type", "examination_name"),
        ),
    ),
    *_oddities(
        "sdat",
        {
            f"without {key}": (without(key), False)
            for key in ("samples", "rows", "synthesizer_frequency", "sample_frequency")
        },
    ),
    Oddity("no SPAR", _no_spar, False),
    Oddity("SPAR in small letters", _renamed(".spar"), True),
    Oddity("SPAR in mixed letters", _renamed(".Spar"), True),
    Oddity("all in small letters", _small_letters, True),
    Oddity("the SPAR named in the sheet", _named_spar, False),
    Oddity("the reference's SPAR beside the scan", _others_spar, False),
    *CUT,
]


def _float32(given: Given) -> None:
    import numpy as np

    def change(content: bytes) -> bytes:
        head, end, samples = content.partition(b">>> End of header <<<\r\n")
        return head + end + np.frombuffer(samples, "<c16").astype("<c8").tobytes()

    given.edit("mrs", change)
    given.edit("ref", change)


RDA = [
    *_oddities(
        "rda",
        {
            "decimal commas": (commas, True),
            "LF": (lines("\n"), True),
            "byte order mark": (first(BOM), True),
            "an umlaut": (put("PatientName", "J\u00fcrgen"), True),
            "NUL in a name": (put("PatientName", "a\0b"), True),
            "echo time in s": (put("TE", "0.03"), True),
            "echo time blank": (put("TE", ""), True),
            "echo time of 31.5 ms": (put("TE", "31.5"), False),
            "repetition time in s": (put("TR", "2.0"), True),
            "repetition time of 3 s": (put("TR", "3000"), False),
            "frequency in Hz": (put("MRFrequency", "123250000"), True),
            "frequency of 1.5 T": (put("MRFrequency", "63.6"), False),
            "frequency 0": (put("MRFrequency", "0"), False),
            "dwell time in s": (put("DwellTime", "0.0005"), False),
            "dwell time in ms": (put("DwellTime", "0.5"), False),
            "dwell time of half": (put("DwellTime", "250"), False),
            "dwell time 5 percent less": (put("DwellTime", "476"), False),
            "nucleus 31P": (put("Nucleus", "31P"), False),
            "nucleus blank": (put("Nucleus", ""), True),
            "a point more": (put("VectorSize", "1025"), False),
            "a point less": (put("VectorSize", "1023"), False),
            "grid of voxels": (put("CSIMatrixSize[0]", "4"), False),
            "sizes of grid 0": (put("CSIMatrixSize[0]", "0"), True),
            "named STEAM": (put("SequenceName", "svs_st"), False),
            "named CSI": (put("SequenceName", "csi_se"), True),
            "named edited": (put("SequenceName", "svs_edit"), False),
            "key twice": (lambda text: text + "TE: 30.000000\r\n", True),
            "key twice with another value": (lambda text: text + "TE: 80.000000\r\n", False),
            "other field": (put("MagneticFieldStrength", "1.5"), True),
            "rows of no length": (
                lambda text: put("RowVector[0]", "0")(
                    put("RowVector[1]", "0")(put("RowVector[2]", "0")(text))
                ),
                True,
            ),
            "position as text": (put("VOIPositionSag", "left"), True),
        },
    ),
    *_oddities(
        "rda",
        {
            f"without {key}": (without(key), True)
            for key in (
                *("TE", "TR", "TM", "TI", "Nucleus", "SoftwareVersion[0]", "ModelName"),
                *("SequenceName", "ProtocolName", "FlipAngle", "VOIPositionSag", "SliceThickness"),
                *("InstitutionName", "TransmitCoil", "CSIMatrixSize[1]", "PatientName"),
            )
        },
    ),
    *_oddities(
        "rda",
        {
            f"without {key}": (without(key), False)
            for key in ("DwellTime", "MRFrequency", "VectorSize")
        },
    ),
    Oddity("samples of single precision", _float32, False),
    *CUT,
]


def _ending(suffix: str) -> Callable[[Given], None]:
    """Files of another ending."""

    def change(given: Given) -> None:
        def rename(data):
            for column in ("mrs", "ref"):
                path = data / given.row[column]
                path.rename(path.with_suffix(suffix))
                given.row[column] = str(path.with_suffix(suffix).relative_to(data))

        given.edits.append(rename)

    return change


def _points_comma(given: Given) -> None:
    def change(content: bytes) -> bytes:
        head, mark, rest = content.partition(b"Signal and FFT")
        return head + mark + rest.replace(b".", b",")

    given.edit("mrs", change)
    given.edit("ref", change)


def _two_columns(given: Given) -> None:
    def change(content: bytes) -> bytes:
        made = []
        for line in content.decode().splitlines():
            cells = line.split("\t")
            made.append("\t".join(cells[:2]) if len(cells) == 4 else line)
        return ("\n".join(made) + "\n").encode()

    given.edit("mrs", change)
    given.edit("ref", change)


JMRUI = [
    *_oddities(
        "jmrui",
        {
            "decimal commas in the header": (commas, True),
            "CRLF": (lines("\r\n"), True),
            "CR alone in the header": (lines("\r"), True),
            "byte order mark": (first(BOM), True),
            "an umlaut": (put("NameOfPatient", "J\u00fcrgen"), True),
            "points said wrong": (put("PointsInDataset", "512"), False),
            "signals said wrong": (put("DatasetsInFile", "16"), False),
            "interval in s": (put("SamplingInterval", "5E-4"), False),
            "interval in us": (put("SamplingInterval", "500"), False),
            "interval of half": (put("SamplingInterval", "2.5E-1"), False),
            "interval 5 percent less": (put("SamplingInterval", "4.76E-1"), False),
            "frequency in MHz": (put("TransmitterFrequency", "123.25"), True),
            "frequency 0": (put("TransmitterFrequency", "0E0"), False),
            "frequency of 7 T": (put("TransmitterFrequency", "2.972E8"), False),
            "begin at 1.5 ms": (put("BeginTime", "1.5E0"), True),
            "phase for display": (put("ZeroOrderPhase", "45"), True),
            "field blank": (put("MagneticField", ""), True),
            "field in G": (put("MagneticField", "3E4"), True),
            "nucleus 1H": (put("TypeOfNucleus", "1H"), True),
            "nucleus of phosphorus": (put("TypeOfNucleus", "2E0"), False),
        },
    ),
    *_oddities(
        "jmrui",
        {
            f"without {key}": (without(key), True)
            for key in (
                "MagneticField",
                "TypeOfNucleus",
                "BeginTime",
                "NameOfPatient",
                "DatasetsInFile",
                "ZeroOrderPhase",
            )
        },
    ),
    *_oddities(
        "jmrui",
        {
            f"without {key}": (without(key), False)
            for key in ("PointsInDataset", "SamplingInterval", "TransmitterFrequency")
        },
    ),
    Oddity("decimal commas in the points", _points_comma, True),
    Oddity("two columns", _two_columns, True),
    Oddity("ending .TXT", _ending(".TXT"), True),
    Oddity("no ending", _ending(""), True),
    Oddity("ending .dat", _ending(".dat"), True),
    Oddity("ending .mrui", _ending(".mrui"), True),
    *CUT,
]


def _width(hz: float | None) -> Callable[[Given], None]:
    def change(given: Given) -> None:
        given.site["spectral_width_hz"] = hz

    return change


RAW = [
    *_oddities(
        "raw",
        {
            "D exponents": (lambda text: re.sub(r"(?<=\d)E(?=[+-]\d\d)", "D", text), True),
            "D exponents in TRAMP": (lambda text: text.replace("TRAMP=1.0", "TRAMP=1.0D+00"), True),
            "TRAMP of 1.0D+02": (lambda text: text.replace("TRAMP=1.0", "TRAMP=1.0D+02"), True),
            "&END": (lambda text: text.replace("$END", "&END"), True),
            "&SEQPAR &END": (lambda text: text.replace("$", "&"), True),
            "slash ends": (lambda text: text.replace("$END", "/"), True),
            "$end": (lambda text: text.replace("$END", "$end"), True),
            "$END at the end of a line": (
                lambda text: text.replace(" TRAMP=1.0\n $END", " TRAMP=1.0 $END"),
                True,
            ),
            "&END at the end of a line": (
                lambda text: text.replace(" TRAMP=1.0\n $END", " TRAMP=1.0 &END"),
                True,
            ),
            "slash at the end of a line": (
                lambda text: text.replace(" TRAMP=1.0\n $END", " TRAMP=1.0 /"),
                True,
            ),
            "all of NMID in a line": (
                lambda text: re.sub(r"\$NMID[^$]*\$END", lambda m: " ".join(m[0].split()), text),
                True,
            ),
            "no SEQPAR": (lambda text: re.sub(r" \$SEQPAR[^$]*\$END\n", "", text, count=1), True),
            "no namelist": (lambda text: text.rpartition("$END\n")[2], False),
            "CRLF": (lines("\r\n"), True),
            "byte order mark": (first(BOM), True),
            "an umlaut": (lambda text: text.replace("Erika", "J\u00fcrgen"), True),
            "END in a name": (lambda text: text.replace("Erika", "LEGEND"), True),
            "$END in a name": (lambda text: text.replace("Erika", "A $END"), True),
            "numbers that touch": (lambda text: re.sub(r"(?<=\d) (?=-)", "", text), True),
            "eight numbers a line": (
                lambda text: text.rpartition("$END\n")[0] + "$END\n" + _rows_of(text, 8),
                True,
            ),
            "one number a line": (
                lambda text: text.rpartition("$END\n")[0] + "$END\n" + _rows_of(text, 1),
                True,
            ),
            "with DELTAT": (lambda text: text.replace("ECHOT", "DELTAT=5.0E-4\n ECHOT"), True),
            "with DELTAT of half": (
                lambda text: text.replace("ECHOT", "DELTAT=2.5E-4\n ECHOT"),
                False,
            ),
            "echo time of 31.5 ms": (
                lambda text: text.replace("ECHOT=30.00", "ECHOT=31.50"),
                False,
            ),
            "frequency in Hz": (lambda text: re.sub(r"HZPPPM=\S+", "HZPPPM=1.2325E8", text), True),
            "frequency of 7 T": (lambda text: re.sub(r"HZPPPM=\S+", "HZPPPM=297.2", text), False),
            "frequency 2.9 T": (lambda text: re.sub(r"HZPPPM=\S+", "HZPPPM=123.0", text), True),
            "frequency 2 percent off": (
                lambda text: re.sub(r"HZPPPM=\S+", "HZPPPM=125.7", text),
                False,
            ),
            "a comment behind": (last("! end of data\n"), False),
            "a number less": (lambda text: text.rstrip()[:-16] + "\n", False),
            "half of the points": (
                lambda text: text[: len(text) // 2].rpartition("\n")[0] + "\n",
                False,
            ),
            "numbers in Fortran's blanks": (
                lambda text: re.sub(r"E([+-])0(\d)", r"E\1 \2", text),
                False,
            ),
            "stars for an overflow": (lambda text: text[:-40] + "****************\n", False),
            "NaN among the points": (lambda text: text[:-18] + "             NaN\n", False),
            "bruker sign": (lambda text: text.replace("VOLUME", "BRUKER=T\n VOLUME"), False),
        },
    ),
    Oddity("width of the sheet 25 percent more", _width(2500.0), False),
    Oddity("width of the sheet 5 percent more", _width(2100.0), False),
    Oddity("width of the sheet 1.5 percent more", _width(2030.0), False),
    Oddity("width of the sheet in kHz", _width(2.0), False),
    Oddity("no width in the sheet", _width(None), False),
    *CUT,
]


def _rows_of(text: str, n: int) -> str:
    """The points of a RAW file with that many numbers a line."""
    numbers = re.findall(r"-?\d\.\d+E[+-]\d+", text.rpartition("$END\n")[2])
    rows = [" ".join(numbers[i : i + n]) for i in range(0, len(numbers), n)]
    return "\n".join(rows) + "\n"


TEXTS = {"sdat": SPAR, "rda": RDA, "jmrui": JMRUI, "raw": RAW}
