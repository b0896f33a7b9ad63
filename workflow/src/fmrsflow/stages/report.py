"""`fmrsflow report [--study FILE] ANALYSIS [KEY...]`: pages of these scans, or with no key those of
the sites and the consortium."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from fmrsflow.batch import add_manifest_options, fault, faults, files_as_they_were, write_manifest
from fmrsflow.files import write_bytes
from fmrsflow.manifests import Entry, Manifest, state
from fmrsflow.mismatch.benchmark import BENCHMARK, Tables, read_benchmark
from fmrsflow.mismatch.costs import site_costs, words_of
from fmrsflow.remake import with_pruned
from fmrsflow.report import read
from fmrsflow.report.results import ScanResults, SiteResults
from fmrsflow.results import Results, Writer
from fmrsflow.scan_figures import typical_figures
from fmrsflow.study import Scan, Study, study_option
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

    peers, found = read.peers(Results(study), analysis), {}
    compared = read.compared(Results(study), analysis)
    for key in keys:
        scan = study.scan(key)
        path = read.page_path(study, analysis, scan)
        try:
            page = scan_page(_read(study, analysis, scan, peers, compared.get(key, ())))
            write_bytes(path, page.encode())
            found[key] = Entry("ok", files={str(path.relative_to(study.results)): state(path)[:2]})
        except Exception as error:  # the other pages are drawn
            found[key] = fault(key, "report", error)
    return found


def _read(study: Study, analysis: str, scan: Scan, peers: dict, compared: Sequence) -> ScanResults:
    """What the page of a scan shows, pruned files made again."""

    def shown() -> ScanResults:
        return read.read_scan(Results(study), analysis, scan, peers, False, compared)

    return with_pruned(study, shown)


def write_group_pages(study: Study, analysis: str) -> None:
    """Write report/index.html, report/site-<site>.html, the checklists, methods and references."""
    from fmrsflow.mismatch.page import mismatch_page
    from fmrsflow.report.group_pages import consortium_page, site_page
    from fmrsflow.report.mrsinmrs import to_markdown, to_rows

    results = Results(study)
    writer = Writer(results.group("report", analysis), study.software, results.inputs)
    group = read.read_group(results, analysis)
    benchmark, costly = read_benchmark(BENCHMARK), False
    for name in study.sites:
        site = read.read_site(results, analysis, group, name)
        site = replace(site, costs=_costs(site, benchmark))
        costly = costly or bool(site.costs)
        writer.save(f"mrsinmrs-{name}", to_rows(site.checklist), CHECKLIST)
        writer.save(f"mrsinmrs-{name}.md", to_markdown(name, site.checklist).encode())
        writer.save(read.site_page_name(name), site_page(site).encode())
    if costly:
        writer.save("mismatch.html", mismatch_page(benchmark, home="index.html").encode())
    consortium = read.read_consortium(results, analysis, group)
    writer.save("methods.md", consortium.methods.markdown.encode())
    writer.save("references.bib", consortium.methods.bibtex.encode())
    # Last of all pages: the one that links to the others.
    writer.save("index.html", consortium_page(consortium).encode())
    writer.finish({"stage": "report", "analysis": analysis}, {})


def _costs(site: SiteResults, benchmark: Tables | None) -> list[dict[str, str]]:
    """What the site's quality costs, by the mismatch benchmark."""
    if benchmark is None:
        return []
    medians = typical_figures(scan.quality for scan in site.scans)
    costs = site_costs(medians, site.site.field_t, benchmark.curves, benchmark.quality)
    return [words_of(one, site.site.field_t) for one in costs]
