"""What the rules hand to a shell arrives as it was written: quotes, braces, dollars and all."""

import json
import re
import subprocess
import sys

from pipeline.config import parse_config
from pipeline.io.files import ROOT

NASTY = """a'b "c" $(touch EXECUTED) `touch EXECUTED`; touch EXECUTED | {input} {{x}} \\ & *"""


def test_every_word_of_a_rule_survives_the_shell(tmp_path):
    nasty_folder = tmp_path / "a'b $(touch EXECUTED) \"; touch EXECUTED; #`x`"
    (nasty_folder / "{x}").mkdir(parents=True)
    table = nasty_folder / "{x}" / "captures.tsv"
    table.write_text(f"id\tkind\tpath\nanna\trig\t{NASTY}\n")
    values = {"captures": str(table), "results": str(nasty_folder / "results"), "work": str(nasty_folder / "work")}
    config = parse_config(values | {"evaluate": {"lpips_linear": NASTY}, "ingest": {"exclude": [NASTY]}}).values()
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config | {"subjects": ["anna"]}))
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", str(file), "--directory", str(tmp_path), "-s", str(ROOT / "Snakefile")]
    done = subprocess.run([*snakemake, "--workflow-profile", "none", "--dry-run", "--printshellcmds"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    stages = {found[2]: found[1] for found in re.finditer(r"(trap : TERM; .* -m pipeline stage (\S+) .*)", done.stdout + done.stderr)}
    assert {"ingest", "frames", "evaluate"} <= stages.keys()
    echo = tmp_path / "echo"
    echo.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > "$OUT"\n')
    echo.chmod(0o755)
    for stage, where in (("ingest", "exclude"), ("evaluate", "lpips_linear")):
        line = stages[stage].replace(sys.executable, str(echo)).replace("exec tee", "exec true")
        subprocess.run(["sh", "-c", line], cwd=tmp_path, env={"OUT": str(tmp_path / stage), "PATH": "/usr/bin:/bin"}, check=True, timeout=20)
        words = (tmp_path / stage).read_text().split("\0")
        assert json.loads(words[words.index("--values") + 1])[where] == json.loads(json.dumps(config[stage][where]))
        assert [words[words.index(f"--{name}") + 1] for name in values] == list(values.values())
    assert not list(tmp_path.rglob("EXECUTED")) and not (ROOT / "EXECUTED").exists()
