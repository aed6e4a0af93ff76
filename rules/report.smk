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
    threads: threads_of("report")
    params:
        **params_of("report"),
    shell:
        command_of("report")
