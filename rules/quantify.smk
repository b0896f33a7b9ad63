# Linear-combination fit, and concentrations from its amplitudes.

for names, job, batch in tasks("fit", SCAN_BATCHES):

    rule:
        name:
            f"fit_{joined('fit', names, '_')}_{job}"
        input:
            records("preprocess", batch, names),
            f"{RESULTS}/{directory('basis', names)}/{batch[0].site}_desc-basis_record.json",
            named_files(batch, STUDY.setting("fit", names["fit"])["joint_design"]),
        output:
            records("fit", batch, names),
        log:
            f"{RESULTS}/logs/{directory('fit', names)}/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(1500),
            # Other engines take up to 40 s a scan, ours less than 1 s.
            runtime=minutes(
                20,
                1 if STUDY.setting("fit", names["fit"])["engine"] == "fmrsflow" else 5,
                len(batch),
            ),
        params:
            study=FROZEN,
            names=joined("fit", names),
            scans=keys(batch),
            settings=literal(setting("fit", names)),
            code=code_digest("fit"),
        shell:
            "fmrsflow fit --study {params.study} {params.names} {params.scans} 2> {log}"


for names, job, batch in tasks("quantify", SCAN_BATCHES):

    rule:
        name:
            f"quantify_{joined('quantify', names, '_')}_{job}"
        input:
            records("fit", batch, names),
            records("anatomy", batch),
        output:
            records("quantify", batch, names),
        log:
            f"{RESULTS}/logs/{directory('quantify', names)}/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(800),
            runtime=minutes(10, 0.1, len(batch)),
        params:
            study=FROZEN,
            names=joined("quantify", names),
            scans=keys(batch),
            settings=setting("concentration", names),
            code=code_digest("quantify"),
        shell:
            "fmrsflow quantify --study {params.study} {params.names} {params.scans} 2> {log}"
