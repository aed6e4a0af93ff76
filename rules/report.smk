# The page a person opens.


rule report:
    input:
        LAYOUT.capture,
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
        LAYOUT.keypoints,
        LAYOUT.fit,
        LAYOUT.init,
        LAYOUT.train_log,
        LAYOUT.render,
        LAYOUT.metrics,
    output:
        LAYOUT.report,
        LAYOUT.manifest("report"),
    log:
        log_of("report"),
    benchmark:
        benchmark_of("report")
    threads: THREADS
    params:
        **params_of("report"),
    shell:
        COMMAND
