# The stages of a capture, which all avatar methods share: from raw videos to a moving parametric mesh.


def capture_input(stage):
    """Declared artefacts by name; a filmed capture has no truth."""
    paths = {name: str(METHOD.path(CAPTURE, name)) for name in stage.inputs}
    if "truth" in paths:
        paths["truth"] = lambda wildcards: str(CAPTURE.truth) if is_synthetic(wildcards.capture) else []
    return paths


def parts_of(stage):
    """What a scattered stage waits for; nothing where its cameras all stay in one job."""
    count = CONFIG.scatter if stage.scattered else 1
    return [str(CAPTURE.part(stage.name, number, count)) for number in range(1, count + 1)] if count > 1 else []


def capture_key(stage):
    return lambda wildcards: capture_keys_of(wildcards.capture)[stage.name]


# Within functions, since Snakemake evaluates the shell line again when a job starts: a loop's variable would be that of the last rule by then.
def capture_rule(stage):
    """The rule of a stage."""

    rule:
        name:
            stage.name
        input:
            **capture_input(stage),
            parts=parts_of(stage),
        output:
            **output_of(stage, CAPTURE),
        log:
            log_of(stage.name, CAPTURE),
        # on a cluster `sample`, seconds long, is not a job of its own; parts of `matte` between the two must be
        group:
            "matte+{capture}+" if stage.name in ("sample", "matte") and CONFIG.scatter == 1 else None
        threads: threads_of(stage)
        resources:
            **resources_of(stage),
        params:
            key=capture_key(stage),
        shell:
            command_of(stage, stage.inputs)


def part_rule(stage):
    """The rule of a part of a scattered stage's cameras."""

    rule:
        name:
            f"{stage.name}_part"
        input:
            **capture_input(stage),
        output:
            temp(str(CAPTURE.part(stage.name, "{part}", "{parts}"))),
        log:
            log_of(f"{stage.name}-{{part}}of{{parts}}", CAPTURE),
        threads: threads_of(stage)
        params:
            key=capture_key(stage),
        shell:
            command_of(stage, stage.inputs, "--part {wildcards.part}/{wildcards.parts}")


for stage in CAPTURE_STAGES.values():
    capture_rule(stage)
    if stage.scattered:
        part_rule(stage)
