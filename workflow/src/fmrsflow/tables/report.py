"""Tables of the report stage."""

from __future__ import annotations

from fmrsflow.tables import text

CHECKLIST = {
    "section": text("part of the checklist MRSinMRS (Lin 2021)"),
    "item": text("what a paper has to report"),
    "value": text("what headers, sheets and settings say, or that the site has to fill it in"),
    "source": text("where the value comes from"),
}

TABLES = {"mrsinmrs": CHECKLIST}
