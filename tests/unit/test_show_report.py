import html.parser
import json
import re
import shutil

import numpy as np
import pytest

from pipeline.avatars.registry import METHODS
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.io.files import write_json, write_text
from pipeline.report import page, plots
from pipeline.report.records import read_log
from pipeline.report.report import AVATAR_SECTIONS, CAPTURE_SECTIONS, sections_of
from pipeline.report.settings import ReportSettings
from tests.unit.show_example import make, make_group, metrics_of
from tests.unit.stage_jobs import run_stage

SECTIONS = CAPTURE_SECTIONS + AVATAR_SECTIONS
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Checker(html.parser.HTMLParser):
    """Collects addresses and checks that every element that is opened is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.ids = [], [], set()

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.addresses.append(value)
            if name == "id":
                self.ids.add(value)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    layout = make(tmp_path_factory.mktemp("finished"))
    run_stage("evaluate", EvaluateSettings(), layout)
    facts = run_stage("report", ReportSettings(), layout)
    return layout, facts, layout.report.read_text()


@pytest.fixture
def quick(monkeypatch):
    """Plots take most of a report's time; tests of what is missing do without."""
    for name in ("rig", "cloud", "curves", "timeline"):
        monkeypatch.setattr(plots, name, lambda *arguments: "<svg></svg>")


def test_page_is_well_formed_and_needs_no_network(finished):
    _, _, text = finished
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(address.startswith(("data:", "#")) for address in checker.addresses)
    assert all(address[1:] in checker.ids for address in checker.addresses if address.startswith("#"))
    assert "<script" not in text and not re.search(r"url\((?!#)", text) and "@import" not in text


def test_every_section_but_initialisation_is_drawn(finished):
    """The example's init.npz holds no splats of an avatar."""
    _, facts, text = finished
    assert facts["missing_sections"] == ["Initialisation"]
    assert all(f"<h2>{part.title}</h2>" in text for part in SECTIONS)
    assert text.count("data:video/mp4") == 1 and text.count("data:image/jpeg") > 20 and text.count("<svg") >= 4
    assert facts["bytes"] == len(text.encode())


def test_metrics_are_on_the_page(finished):
    layout, _, text = finished
    val = metrics_of(layout)["val"]
    assert f"{val['psnr_box']:.2f} dB" in text and "LPIPS is absent" in text
    assert "3.11.9" in text and "&lt;none&gt; for cam_a" in text


def test_a_group_shows_each_capture_in_brief_and_its_results(quick, tmp_path):
    group = make_group(tmp_path)
    run_stage("evaluate", EvaluateSettings(), group)
    facts = run_stage("report", ReportSettings(), group)
    text = group.report.read_text()
    assert facts["missing_sections"] == ["Initialisation"] and "<h1>family</h1>" in text and "An avatar of anna, bob" in text
    assert [part.title for part in sections_of(group)][:2] == ["Captures", "Mesh"] and "<h2>Keypoints</h2>" not in text
    for name, times in (("anna", 5), ("bob", 5)):
        assert text.count(f"<h3>{name}</h3>") == times, "captures, mesh, initialisation, renders, videos"
    assert "<h3>By capture</h3>" in text and "val: bob" in text and "<td>anna/fit</td>" in text
    Checker().feed(text)


def test_settings_that_differ_are_listed_with_what_changed_them(quick, finished, tmp_path):
    original, _, _ = finished
    layout = type(original)(tmp_path / "results" / "example", tmp_path / "work" / "example")
    shutil.copytree(original.results, layout.results)
    by_preset = METHODS[layout.method].preset("standard")["train"]["iterations"]
    changed = {"settings": {"iterations": by_preset, "seed": 4}, "defaults": {"iterations": 1, "seed": 0}, "preset": "standard"}
    write_json(layout.manifest("train"), json.loads(layout.manifest("train").read_text()) | changed)
    run_stage("report", ReportSettings(), layout)
    text = layout.report.read_text()
    assert "Preset standard." in text and text.count("<td>preset standard</td>") == 1 and text.count("<td>set for this run</td>") == 1
    assert "<td>train.iterations</td>" in text and f"<td>{by_preset}</td>" in text


def test_same_input_same_bytes(finished):
    layout, _, text = finished
    run_stage("report", ReportSettings(), layout)
    assert layout.report.read_text() == text


def test_nothing_but_an_error_file(tmp_path):
    layout = make(tmp_path)
    shutil.rmtree(layout.results)
    write_json(layout.error("ingest"), {"stage": "ingest", "message": "cam_a.mp4: the video <breaks> off", "user_error": True, "time": 0})
    facts = run_stage("report", ReportSettings(), layout)
    text = layout.report.read_text()
    assert facts["missing_sections"] == [part.title for part in SECTIONS]
    assert "the video &lt;breaks&gt; off" in text and "./c2a run example" in text
    Checker().feed(text)


@pytest.mark.parametrize(
    ("lost", "titles"),
    [
        ("keypoints", {"Keypoints"}),
        ("train_log", {"Training"}),
        ("metrics", {"Renders and truth", "Metrics"}),
        ("alpha_json", {"Mattes", "Renders and truth"}),
    ],
)
def test_one_lost_file_costs_its_own_sections(quick, finished, tmp_path, lost, titles):
    original, _, _ = finished
    layout = type(original)(tmp_path / "results" / "example", tmp_path / "work" / "example")
    shutil.copytree(original.results, layout.results)
    getattr(layout, lost).unlink()
    assert set(run_stage("report", ReportSettings(), layout)["missing_sections"]) == titles | {"Initialisation"}
    assert layout.report.read_text().count("Next: <code>./c2a run example") == len(titles) + 1


def test_a_damaged_file_is_reported_and_not_fatal(quick, finished, tmp_path):
    original, _, _ = finished
    layout = type(original)(tmp_path / "results" / "example", tmp_path / "work" / "example")
    shutil.copytree(original.results, layout.results)
    write_json(layout.metrics, {"val": 3})
    write_text(layout.manifest("fit"), "{")
    facts = run_stage("report", ReportSettings(), layout)
    assert {"Renders and truth", "Metrics"} <= set(facts["missing_sections"])


def test_large_videos_are_named_instead(quick, finished):
    layout, _, _ = finished
    from pipeline.report.report import make_report

    text, _ = make_report(layout, ReportSettings(video_limit_mb=0.0))
    assert "data:video" not in text and "orbit.mp4" in text


def test_train_log_with_gaps(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("step,loss,val\n0,0.5,\n20,0.25,30.5\n40,0.1\n")
    log = read_log(path)
    np.testing.assert_array_equal(log["loss"], [0.5, 0.25, 0.1])
    np.testing.assert_array_equal(log["val"], [np.nan, 30.5, np.nan])


def test_table_escapes_and_aligns():
    text = page.table(("a", "b"), [("<x>", 1234.5), ("y", None), ("z", 2)])
    assert "&lt;x&gt;" in text and ">1,234.5<" in text and text.count("class=number") == 4
    assert "1.2" not in page.table(("n",), [("1",)], bars={0: 1.0})
