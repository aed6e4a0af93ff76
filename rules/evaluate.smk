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
    threads: threads_of("render")
    resources:
        **resources_of("render"),
    params:
        **params_of("render"),
    shell:
        command_of("render")


rule evaluate:
    input:
        LAYOUT.capture,
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
        LAYOUT.avatar,
        LAYOUT.render,
    output:
        LAYOUT.metrics,
        LAYOUT.manifest("evaluate"),
    log:
        log_of("evaluate"),
    threads: threads_of("evaluate")
    params:
        **params_of("evaluate"),
    shell:
        command_of("evaluate")
