# The page a person opens.


rule report:
    input:
        LAYOUT.metrics,  # the last of the files that the page shows; each of the others is upstream of it
    output:
        LAYOUT.report,
        LAYOUT.manifest("report"),
    log:
        log_of("report"),
    threads: threads_of("report")
    params:
        **params_of("report"),
    shell:
        command_of("report")
