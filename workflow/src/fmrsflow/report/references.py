"""Works that a methods paragraph cites, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable

_WORKS = {
    "Barkhuijsen1987": (
        "Barkhuijsen, H. and de Beer, R. and van Ormondt, D.",
        "Improved algorithm for noniterative time-domain model fitting to exponentially damped "
        "magnetic resonance signals",
        "Journal of Magnetic Resonance",
        "1987",
        "73",
        "553--557",
        "10.1016/0022-2364(87)90023-0",
    ),
    "Clarke2022": (
        "Clarke, W. T. and Bell, T. K. and Emir, U. E. and others",
        "{NIfTI-MRS}: A standard data format for magnetic resonance spectroscopy",
        "Magnetic Resonance in Medicine",
        "2022",
        "88",
        "2358--2370",
        "10.1002/mrm.29418",
    ),
    "Gasparovic2006": (
        "Gasparovic, C. and Song, T. and Devier, D. and others",
        "Use of tissue water as a concentration reference for proton spectroscopic imaging",
        "Magnetic Resonance in Medicine",
        "2006",
        "55",
        "1219--1226",
        "10.1002/mrm.20901",
    ),
    "Golub1973": (
        "Golub, G. H. and Pereyra, V.",
        "The differentiation of pseudo-inverses and nonlinear least squares problems whose "
        "variables separate",
        "SIAM Journal on Numerical Analysis",
        "1973",
        "10",
        "413--432",
        "10.1137/0710036",
    ),
    "Harris2015": (
        "Harris, A. D. and Puts, N. A. J. and Edden, R. A. E.",
        "Tissue correction for {GABA}-edited {MRS}: considerations of voxel composition, tissue "
        "segmentation, and tissue relaxations",
        "Journal of Magnetic Resonance Imaging",
        "2015",
        "42",
        "1431--1440",
        "10.1002/jmri.24903",
    ),
    "IntHout2014": (
        "IntHout, J. and Ioannidis, J. P. A. and Borm, G. F.",
        "The {Hartung-Knapp-Sidik-Jonkman} method for random effects meta-analysis is "
        "straightforward and considerably outperforms the standard {DerSimonian-Laird} method",
        "BMC Medical Research Methodology",
        "2014",
        "14",
        "25",
        "10.1186/1471-2288-14-25",
    ),
    "Kenward1997": (
        "Kenward, M. G. and Roger, J. H.",
        "Small sample inference for fixed effects from restricted maximum likelihood",
        "Biometrics",
        "1997",
        "53",
        "983--997",
        "10.2307/2533558",
    ),
    "Klose1990": (
        "Klose, U.",
        "In vivo proton spectroscopy in presence of eddy currents",
        "Magnetic Resonance in Medicine",
        "1990",
        "14",
        "26--30",
        "10.1002/mrm.1910140104",
    ),
    "Laudadio2002": (
        "Laudadio, T. and Mastronardi, N. and Vanhamme, L. and Van Hecke, P. and Van Huffel, S.",
        "Improved {Lanczos} algorithms for blackbox {MRS} data quantitation",
        "Journal of Magnetic Resonance",
        "2002",
        "157",
        "292--297",
        "10.1006/jmre.2002.2593",
    ),
    "Lin2021": (
        "Lin, A. and Andronesi, O. and Bogner, W. and others",
        "Minimum reporting standards for in vivo magnetic resonance spectroscopy ({MRSinMRS}): "
        "experts' consensus recommendations",
        "NMR in Biomedicine",
        "2021",
        "34",
        "e4484",
        "10.1002/nbm.4484",
    ),
    "Mikkelsen2020": (
        "Mikkelsen, M. and Tapper, S. and Near, J. and Mostofsky, S. H. and Puts, N. A. J. and "
        "Edden, R. A. E.",
        "Correcting frequency and phase offsets in {MRS} data using robust spectral registration",
        "NMR in Biomedicine",
        "2020",
        "33",
        "e4368",
        "10.1002/nbm.4368",
    ),
    "Molder2021": (
        'M{\\"o}lder, F. and Jablonski, K. P. and Letcher, B. and others',
        "Sustainable data analysis with {Snakemake}",
        "F1000Research",
        "2021",
        "10",
        "33",
        "10.12688/f1000research.29032.2",
    ),
    "Near2015": (
        "Near, J. and Edden, R. and Evans, C. J. and Paquin, R. and Harris, A. and Jezzard, P.",
        "Frequency and phase drift correction of magnetic resonance spectroscopy data by spectral "
        "registration in the time domain",
        "Magnetic Resonance in Medicine",
        "2015",
        "73",
        "44--50",
        "10.1002/mrm.25094",
    ),
    "Near2021": (
        "Near, J. and Harris, A. D. and Juchem, C. and others",
        "Preprocessing, analysis and quantification in single-voxel magnetic resonance "
        "spectroscopy: experts' consensus recommendations",
        "NMR in Biomedicine",
        "2021",
        "34",
        "e4257",
        "10.1002/nbm.4257",
    ),
    "Oeltzschner2020": (
        'Oeltzschner, G. and Z{\\"o}llner, H. J. and Hui, S. C. N. and others',
        "Osprey: Open-source processing, reconstruction and estimation of magnetic resonance "
        "spectroscopy data",
        "Journal of Neuroscience Methods",
        "2020",
        "343",
        "108827",
        "10.1016/j.jneumeth.2020.108827",
    ),
    "Clarke2021": (
        "Clarke, W. T. and Stagg, C. J. and Jbabdi, S.",
        "{FSL-MRS}: An end-to-end spectroscopy analysis package",
        "Magnetic Resonance in Medicine",
        "2021",
        "85",
        "2950--2964",
        "10.1002/mrm.28630",
    ),
    "Wilson2021": (
        "Wilson, M.",
        "{spant}: An {R} package for magnetic resonance spectroscopy analysis",
        "Journal of Open Source Software",
        "2021",
        "6",
        "3646",
        "10.21105/joss.03646",
    ),
    "Rodgers2010": (
        "Rodgers, C. T. and Robson, M. D.",
        "Receive array magnetic resonance spectroscopy: whitened singular value decomposition "
        "({WSVD}) gives optimal {Bayesian} solution",
        "Magnetic Resonance in Medicine",
        "2010",
        "63",
        "881--891",
        "10.1002/mrm.22230",
    ),
    "Simonsohn2020": (
        "Simonsohn, U. and Simmons, J. P. and Nelson, L. D.",
        "Specification curve analysis",
        "Nature Human Behaviour",
        "2020",
        "4",
        "1208--1214",
        "10.1038/s41562-020-0912-z",
    ),
    "Tustison2010": (
        "Tustison, N. J. and Avants, B. B. and Cook, P. A. and others",
        "{N4ITK}: improved {N3} bias correction",
        "IEEE Transactions on Medical Imaging",
        "2010",
        "29",
        "1310--1320",
        "10.1109/TMI.2010.2046908",
    ),
    "Viechtbauer2005": (
        "Viechtbauer, W.",
        "Bias and efficiency of meta-analytic variance estimators in the random-effects model",
        "Journal of Educational and Behavioral Statistics",
        "2005",
        "30",
        "261--293",
        "10.3102/10769986030003261",
    ),
}

_FIELDS = ("author", "title", "journal", "year", "volume", "pages", "doi")


def cite(key: str) -> str:
    """How a work stands in the text: first author and year; KeyError for an unknown key."""
    author, year = _WORKS[key][0].partition(",")[0], _WORKS[key][3]
    # BibTeX's way of writing ö, and the only accent among first authors.
    return author.replace('{\\"o}', "ö") + f" {year}"


def bibtex(keys: Iterable[str]) -> str:
    """BibTeX entries of these works, sorted by key."""
    entries = []
    for key in sorted(set(keys)):
        fields = ",\n".join(f"  {n} = {{{v}}}" for n, v in zip(_FIELDS, _WORKS[key]))
        entries.append(f"@article{{{key},\n{fields}\n}}\n")
    return "\n".join(entries)
