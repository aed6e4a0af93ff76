# From raw multi-view video to an animatable avatar. Which stages there are, what each reads and writes, is the table in pipeline/contract/stages.py; the rules
# are made from it. `./c2a run` calls this file with a resolved configuration; by hand: snakemake --configfile config.yaml --config subjects=demo preset=draft
from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"


rule all:
    default_target: True
    input:
        every_output,


include: "rules/captures.smk"
include: "rules/avatars.smk"
