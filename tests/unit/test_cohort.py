"""What a person sees of many captures: status, the cohort's table and page, and what clean-work removes."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.avatars.registry import DEFAULT_METHOD, METHODS
from pipeline.config import parse_config
from pipeline.contract.captures_table import read_captures
from pipeline.io.errors import InputError
from pipeline.io.files import write_json
from pipeline.machine.lease import lease, myself
from pipeline.report import page
from pipeline.report.cohort import COLUMNS, Member, cohort_page, cohort_table
from pipeline.stages.failure import attempts, explain, note_failure, write_error
from pipeline.workflow.clean import clean
from pipeline.workflow.cohort_verb import write_cohort
from pipeline.workflow.outcome import Outcome, failed_stages, report_outcome
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.status import describe, print_status, summary, survey
from pipeline.workflow.targets import Targets, capture_target
from tests.unit import show_example

STAGES = tuple(METHODS[DEFAULT_METHOD].table)
MESSAGE = "raw/x: no such folder\n  next:     correct the path"


@pytest.fixture
def place(tmp_path):
    """Four captures: done, failed, running, untouched."""
    names = ("whole", "broken", "busy", "new")
    (tmp_path / "captures.tsv").write_text("id\tkind\tpath\n" + "".join(f"{name}\trig\traw/{name}\n" for name in names))
    config = parse_config({name: str(tmp_path / name) for name in ("results", "work")} | {"captures": str(tmp_path / "captures.tsv")})
    targets = {name: capture_target(row, config) for name, row in read_captures(config.captures).items()}
    layouts = {name: target.layout for name, target in targets.items()}
    for stage in STAGES[1:]:
        write_json(layouts["whole"].manifest(stage), {"key": targets["whole"].keys(config)[stage], "timing": {"seconds": 2.0, "peak_memory_mb": 70}})
    (layouts["broken"].log("frames").parent).mkdir(parents=True)
    layouts["broken"].log("frames").write_text("one\ntwo\n")
    write_error("frames", layouts["broken"], MESSAGE, replace(myself(), host="n1", job="12"), user_error=True)
    return targets, layouts, config


def test_every_state_is_seen(place):
    targets, layouts, config = place
    with lease(layouts["busy"].running("train"), layouts["busy"].leases, "train of busy"):
        table = survey(Targets(targets), lambda _: [config])
        assert {name: summary(cells) for name, cells in table.items()} == {"whole": "done", "broken": "failed", "busy": "running", "new": "unfinished"}
        assert table["busy"]["train"].text.startswith(myself().host) and table["new"]["report"].state == "missing"
    assert describe("frames", table["broken"]["frames"].error) == "frames: raw/x: no such folder (attempt 1, SLURM job 12, on n1)"
    changed = parse_config(config.values() | {"train": {"iterations": 7}})
    whole = Targets({"whole": targets["whole"]})
    assert survey(whole, lambda _: [changed])["whole"]["train"].state == "stale"
    assert survey(whole, lambda _: [changed, config])["whole"]["train"].state == "done", "it is current under one of the configurations that may have made it"


def test_a_killed_stage_counts_as_failed_although_it_left_no_error_file(place, capsys):
    targets, layouts, config = place
    layout, target = layouts["new"], targets["new"]
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    write_json(layout.running("ingest"), asdict(replace(myself(), pid=int(process.stdout), host="n2", job="")))
    assert "was killed" in failed_stages(target)["ingest"]["message"]
    options = RunOptions(results=Path("elsewhere"), profile="slurm", sets=("train.seed=3",))
    assert report_outcome(_outcome(), Targets({"new": target}), config, options.resume) == 1
    record = json.loads(layout.error("ingest").read_text())
    assert record["host"] == "n2" and record["attempt"] == 1 and "memory" in record["message"]
    said = capsys.readouterr().err
    assert (
        "new: ingest failed" in said
        and said.endswith("  next:     ./c2a run new --results elsewhere --profile slurm --set train.seed=3\n")
        and list(failed_stages(target)) == ["ingest"]
    )


def _outcome(code=0, ran=()):
    return Outcome(code, dict.fromkeys(ran, ("train", "report")), Path("work/.logs/x.log"))


def test_a_failure_is_said_once_with_one_command_to_run_next(place, capsys):
    targets, layouts, config = place
    resume = RunOptions(sets=("train.seed=3",)).resume
    for message, expected in [
        (MESSAGE, "correct the path, then ./c2a run broken --set train.seed=3"),
        ("wrong x\n  next:     ./c2a run broken --from matte", "./c2a run broken --set train.seed=3 --from matte"),
        ("wrong x\n  next:     correct the table, then run again", "correct the table, then ./c2a run broken --set train.seed=3"),
        ("ValueError: x", "./c2a run broken --set train.seed=3"),
    ]:
        write_error("frames", layouts["broken"], message, None)
        assert report_outcome(_outcome(1), Targets({"broken": targets["broken"]}), config, resume) == 1
        said = capsys.readouterr().err
        assert said.count(message.splitlines()[0]) == 1 and said.count("next:") == 1 and said.endswith(f"  next:     {expected}\n")
    warned = {"key": "", "warnings": ["the cameras do not look at one point"]}
    write_json(layouts["broken"].manifest("ingest"), warned)
    write_json(layouts["broken"].manifest("fit"), warned)
    assert report_outcome(_outcome(1), Targets({"broken": targets["broken"]}), config, resume) == 1
    said = capsys.readouterr().err
    assert said.count("the cameras do not look at one point") == 1 and "  warning:  ingest: the cameras" in said, "of the stages before it, which may be why"


def test_an_interruption_is_no_failure(place, capsys):
    targets, layouts, config = place
    note_failure("fit", layouts["new"], KeyboardInterrupt())
    capsys.readouterr()
    assert report_outcome(_outcome(130), Targets({"new": targets["new"]}), config, RunOptions().resume) == 130
    assert capsys.readouterr().err == "new: fit interrupted\n  next:     ./c2a run new\n"
    cells = survey(Targets({"new": targets["new"]}), lambda _: [config])["new"]
    assert cells["fit"].state == "interrupted" and cells["fit"].error is None and summary(cells) == "interrupted"


def test_a_repeated_stage_that_fails_is_named_although_the_earlier_results_are_current(place, capsys):
    targets, layouts, config = place
    note_failure("train", layouts["whole"], KeyboardInterrupt())
    capsys.readouterr()
    assert report_outcome(_outcome(130, ["whole"]), Targets({"whole": targets["whole"]}), config, RunOptions().resume) == 130
    assert capsys.readouterr().err == "whole: train interrupted\n  next:     ./c2a run whole --from train\n"


def test_the_end_of_a_run_has_figures_warnings_and_files(place, capsys):
    targets, layouts, config = place
    write_json(layouts["whole"].metrics, {"val": {"psnr_box": 26.24, "ssim_box": 0.9}, "test": None, "splats": 11366})
    path = layouts["whole"].manifest("fit")
    write_json(path, json.loads(path.read_text()) | {"warnings": ["the units are probably millimetres"]})
    assert report_outcome(_outcome(0, ["whole"]), Targets({"whole": targets["whole"]}), config, RunOptions().resume) == 0
    said = capsys.readouterr().out
    for text in ("whole: done in 4.0 s", "val 26.2 dB / 0.900", "11,366 splats", "warning: fit: the units are probably", str(layouts["whole"].report)):
        assert text in said
    print_status(RunOptions(("whole",), **{name: Path(getattr(config, name)) for name in ("captures", "results", "work")}), watch=False)
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "1", "the column of warnings"


def test_attempts_are_counted(place):
    layout = place[1]["broken"]
    assert attempts(layout, "frames") == 1
    write_error("frames", layout, "again", None)
    assert attempts(layout, "frames") == 2


def test_errors_that_are_no_fault_of_the_program_are_explained():
    full = str(explain(OSError(28, "x", "/data/frames"), "new"))
    assert "no space" in full and "/data/frames" in full and "./c2a run new" in full
    assert "not writable" in str(explain(PermissionError(13, "Permission denied", "/data"), "new"))
    assert "out of memory" in str(explain(MemoryError(), "new"))
    other = ValueError("x")
    assert explain(other, "new") is other


def test_the_table_and_the_page_show_all_and_why(place, tmp_path):
    _, layouts, _ = place
    drawn = show_example.make(tmp_path / "drawn")
    write_json(drawn.manifest("fit"), json.loads(drawn.manifest("fit").read_text()) | {"warnings": ["calibration <units>"]})
    layouts["whole"].report.touch()
    members = [Member(layouts["whole"], "done", "report", report=layouts["whole"].report), Member(drawn, "unfinished", "render")]
    members.append(Member(replace(drawn, variant="long"), "failed", "fit", "train", {"message": "x"}, command="./c2a run example --name long --results r"))
    error = json.loads(layouts["broken"].error("frames").read_text())
    members.append(Member(layouts["broken"], "failed", "ingest", "frames", error))
    lines = [line.split("\t") for line in cohort_table(members).splitlines()]
    assert lines[0] == list(COLUMNS) and all(len(line) == len(COLUMNS) for line in lines)
    by_column = dict(zip(lines[0], lines[4]))
    assert by_column["failed_stage"] == "frames" and by_column["job"] == "12" and "no such folder" in by_column["reason"]
    assert dict(zip(lines[0], lines[1]))["total_seconds"] == str(2 * (len(STAGES) - 1)) and dict(zip(lines[0], lines[1]))["peak_memory_mb"] == "70"
    assert dict(zip(lines[0], lines[2]))["warnings"] == "1" and dict(zip(lines[0], lines[3]))["variant"] == "long"
    text = cohort_page(members, tmp_path / "out")
    assert "<h1>3 captures, 1 variant</h1>" in text and "<code>./c2a run example --name long --results r</code>" in text
    assert f'<a href="../results/whole/{DEFAULT_METHOD}/report.html">whole</a>' in text
    assert "fit: calibration &lt;units&gt;" in text and "<table class=sortable>" in text
    assert "SLURM job 12" in text and "two" in text and not re.search(r'src="(?!data:)', text)


def test_one_capture_is_not_called_captures(place, capsys):
    _, layouts, config = place
    assert "<h1>1 capture</h1>" in cohort_page([Member(layouts["whole"], "done")], Path()) and "<h1>0 captures</h1>" in cohort_page([], Path())
    paths = {name: Path(getattr(config, name)) for name in ("captures", "results", "work")}
    for ids, said in ((("whole",), "1 capture"), (("whole", "new"), "2 captures")):
        print_status(RunOptions(ids, **paths), watch=False)
        write_cohort(RunOptions(ids, **paths), None)
        text = capsys.readouterr().out
        assert f"{said}: 1 done" in text and f"{said}. Open" in text


def test_variants_have_rows_of_their_own(place, capsys):
    _, layouts, config = place
    write_json(replace(layouts["whole"], variant="long").manifest("init"), {"timing": {}})
    paths = {name: Path(getattr(config, name)) for name in ("captures", "results", "work")}
    write_cohort(RunOptions(all=True, **paths), None)
    table = [line.split("\t")[:3] for line in (paths["results"] / "cohort.tsv").read_text().splitlines()[1:]]
    assert table == [["whole", "", "done"], ["whole", "long", "unfinished"], ["broken", "", "failed"], ["busy", "", "unfinished"], ["new", "", "unfinished"]]
    text = (paths["results"] / "cohort.html").read_text()
    command = page.escape(RunOptions(all=True, **paths).resume("broken"))
    assert "--captures" in command and f"<code>{command}</code>" in text and "whole (long): unfinished" in text


def test_clean_work_leaves_what_is_unfinished_or_running(place, capsys):
    _, layouts, config = place
    for layout in layouts.values():
        layout.log("train").parent.mkdir(parents=True, exist_ok=True)
        layout.log("train").write_bytes(bytes(1_000_000))
    layouts["whole"].trained.write_bytes(b"")
    paths = {name: Path(getattr(config, name)) for name in ("results", "work")}
    clean(RunOptions(**paths, dry_run=True))
    assert layouts["whole"].log("train").is_file() and "whole: would remove 1.0 MB" in capsys.readouterr().out
    with lease(layouts["whole"].running("run"), layouts["whole"].leases, "run of whole"):
        clean(RunOptions(**paths))
        assert layouts["whole"].log("train").is_file() and "whole: kept" in capsys.readouterr().out
    clean(RunOptions(**paths))
    said = capsys.readouterr().out
    assert "whole: removed 1.0 MB" in said and "broken: kept: frames failed" in said and "removed 1.0 MB in total" in said
    assert (
        not layouts["whole"].log("train").exists()
        and not layouts["whole"].trained.exists()
        and layouts["broken"].log("train").is_file()
        and layouts["whole"].leases.is_file()
    )
    with pytest.raises(InputError, match="nobody"):
        clean(RunOptions(("nobody",), **paths))


def test_a_failure_page_names_the_job(place):
    from pipeline.report.records import errors

    text = errors(place[1]["broken"])["frames"]
    assert "SLURM job 12" in text and "  two" in text and os.linesep in text
