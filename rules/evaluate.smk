# Renders and what they are worth.


rule render:
    input:
        LAYOUT.capture,
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
        LAYOUT.avatar,
    output:
        directory(LAYOUT.render),
        LAYOUT.manifest("render"),
    log:
        log_of("render"),
    benchmark:
        benchmark_of("render")
    threads: THREADS
    resources:
        gpu=1,
    params:
        **params_of("render"),
    shell:
        COMMAND


rule evaluate:
    input:
        LAYOUT.capture,
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
        LAYOUT.render,
    output:
        LAYOUT.metrics,
        LAYOUT.manifest("evaluate"),
    log:
        log_of("evaluate"),
    benchmark:
        benchmark_of("evaluate")
    threads: THREADS
    params:
        **params_of("evaluate"),
    shell:
        COMMAND
