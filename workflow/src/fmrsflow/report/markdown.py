"""Plain text inside Markdown."""

from __future__ import annotations

import re

_SIGNS = re.compile(r"[\\`*_\[\]<>~^$@&|#{}]")
"""What may begin markup within a line, raw HTML and TeX among it, in CommonMark or for Pandoc."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """Text without line ends and other control characters."""
    return _CONTROL.sub(" ", text)


def escaped(text: str) -> str:
    r"""Text that CommonMark and Pandoc show as it is, inside a line that does not begin with it
    (signs of lists and headings count there alone).

    Examples
    --------
    >>> print(escaped("<b>SNR*</b> of @tCr"))
    \<b\>SNR\*\</b\> of \@tCr
    """
    return _SIGNS.sub(r"\\\g<0>", one_line(text))
