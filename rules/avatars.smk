# The stages of the avatar method in use, of a capture or of a group of captures: from the mesh to the report.
MADE = [name for stage in METHOD.avatar_stages for name in stage.outputs]
GROUPED = {"init": "train", "train": "train", "evaluate": "evaluate", "report": "evaluate"} if not METHOD.own else {}


def of_members(name):
    """An artefact of every capture that the avatar is made of."""

    def paths(wildcards):
        members = [member for member in members_of(wildcards.subject) if name != "truth" or is_synthetic(member)]
        return [str(METHOD.path(layout_of(member), name)) for member in members]

    return paths


def avatar_input(stage):
    return {name: str(METHOD.path(SUBJECT, name)) if name in MADE else of_members(name) for name in stage.inputs}


def avatar_params(stage):
    members = dict(members=lambda wildcards: members_of(wildcards.subject)) if METHOD.scope == "group" else {}
    return members | dict(key=lambda wildcards: avatar_keys_of(wildcards.subject)[stage.name])


def avatar_rule(stage):
    """The rule of a stage."""

    rule:
        name:
            stage.name
        input:
            **avatar_input(stage),
        output:
            **output_of(stage, SUBJECT),
        log:
            log_of(stage.name, SUBJECT),
        # on a cluster `init` and `report`, seconds long, are not jobs of their own
        group:
            f"{GROUPED[stage.name]}+{{subject}}+" if stage.name in GROUPED else None
        threads: threads_of(stage)
        resources:
            **resources_of(stage),
        params:
            **avatar_params(stage),
        shell:
            command_of(
                stage,
                [name for name in stage.inputs if name in MADE],
                "--members {params.members:q}" if METHOD.scope == "group" else "",
            )


for stage in METHOD.avatar_stages:
    avatar_rule(stage)
