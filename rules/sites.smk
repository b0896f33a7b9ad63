# Tables of an analysis over all sites: the consortium's answer.

ANSWERS = ("meta", "sites", "variance", "responses", "quality", "problems")
"""Tables of the answer that `--report` shows; the others lie beside them."""


rule sites:
    input:
        of_analysis("response"),
        given_norms,
    output:
        f"{RESULTS}/{{analysis}}/sites/record.json",
        [
            report(
                f"{RESULTS}/{{analysis}}/sites/{name}.tsv",
                caption=f"../workflow/captions/{name}.rst",
                category="{analysis}",
            )
            for name in ANSWERS
        ],
    log:
        f"{RESULTS}/logs/{{analysis}}/sites.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, 0.02),
    params:
        request=analysis_request("sites", "sites", "quality"),
    shell:
        f"{FMRSFLOW} sites --study {FROZEN} {{wildcards.analysis}} 2> {{log}}"


rule multiverse:
    input:
        expand("{results}/{analysis}/sites/record.json", results=RESULTS, analysis=ANALYSES),
    output:
        f"{RESULTS}/multiverse/record.json",
        report(
            f"{RESULTS}/multiverse/specification.tsv",
            caption="../workflow/captions/specification.rst",
            category="multiverse",
        ),
    log:
        f"{RESULTS}/logs/multiverse.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        request=analysis_request("sites", "sites"),
        plan=registered_request(),
    shell:
        f"{FMRSFLOW} sites --study {FROZEN} --multiverse 2> {{log}}"
