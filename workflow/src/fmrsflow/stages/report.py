"""`fmrsflow report [--study FILE] ANALYSIS [KEY...]`: pages of these scans, or with no key those of
the sites and the consortium."""

from __future__ import annotations

import argparse

from fmrsflow.batch import add_manifest_options, fault, faults, files_as_they_were, write_manifest
from fmrsflow.files import write_bytes
from fmrsflow.manifests import Entry, Manifest, state
from fmrsflow.results import Results, Writer
from fmrsflow.stages import report_files as files
from fmrsflow.study import Study, study_option
from fmrsflow.tables.report import CHECKLIST


def main(argv: list[str]) -> int:
    """Write the pages that the command line names."""
    parser = argparse.ArgumentParser(prog="fmrsflow report", description=__doc__)
    study_option(parser)
    parser.add_argument("analysis", help="name of an analysis")
    parser.add_argument("keys", nargs="*", help="scans, as site/sub-..; none: sites and consortium")
    add_manifest_options(parser)
    arguments = parser.parse_args(argv)
    study = Study.load(arguments.study)
    study.analysis(arguments.analysis)
    study.named("report", arguments.keys)
    if not arguments.keys:
        write_group_pages(study, arguments.analysis)
        return 0

    def run(keys: list[str]) -> dict[str, Entry]:
        return write_scan_pages(study, arguments.analysis, keys)

    if not arguments.manifest:
        return 1 if faults(run(arguments.keys)) else 0
    head = Manifest("report", arguments.analysis, arguments.manifest.stem)
    write_manifest(
        arguments, head, arguments.keys, run, lambda entry: files_as_they_were(entry, study)
    )
    return 0


def write_scan_pages(study: Study, analysis: str, keys: list[str]) -> dict[str, Entry]:
    """Write report/scans/<site>/<stem>.html of each scan; a page that cannot be drawn stops no
    other."""
    from fmrsflow.report.pages import scan_page

    peers, found = files.peers(Results(study), analysis), {}
    for key in keys:
        scan = study.scan(key)
        path = files.page_path(study, analysis, scan)
        try:
            page = scan_page(files.read_scan(Results(study), analysis, scan, peers))
            write_bytes(path, page.encode())
            found[key] = Entry("ok", files={str(path.relative_to(study.results)): state(path)[:2]})
        except Exception as error:  # the other pages are drawn
            found[key] = fault(key, "report", error)
    return found


def write_group_pages(study: Study, analysis: str) -> None:
    """Write report/index.html, report/site-<site>.html, the checklists, methods and references."""
    from fmrsflow.report.group_pages import consortium_page, site_page
    from fmrsflow.report.mismatch_page import mismatch_page
    from fmrsflow.report.mrsinmrs import to_markdown, to_rows

    results = Results(study)
    writer = Writer(results.group("report", analysis), study.software, results.inputs)
    group = files.read_group(results, analysis)
    costly = False
    for name in study.sites:
        site = files.read_site(results, analysis, group, name)
        costly = costly or bool(site.costs)
        writer.save(f"mrsinmrs-{name}", to_rows(site.checklist), CHECKLIST)
        writer.save(f"mrsinmrs-{name}.md", to_markdown(name, site.checklist).encode())
        writer.save(files.site_page_name(name), site_page(site).encode())
    if costly:
        page = mismatch_page(files.read_benchmark(files.BENCHMARK), home="index.html")
        writer.save("mismatch.html", page.encode())
    consortium = files.read_consortium(results, analysis, group)
    writer.save("methods.md", consortium.methods.markdown.encode())
    writer.save("references.bib", consortium.methods.bibtex.encode())
    # Last of all pages: the one that links to the others.
    writer.save("index.html", consortium_page(consortium).encode())
    writer.finish({"stage": "report", "analysis": analysis}, {})
