import base64
import hashlib
import html.parser
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from pipeline.avatars.registry import METHODS
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.io.files import write_json, write_text
from pipeline.report import page, plots
from pipeline.report.records import read_log
from pipeline.report.report import AVATAR_SECTIONS, CAPTURE_SECTIONS, make_report, sections_of
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
    write_json(layout.manifest("evaluate"), {"stage": "evaluate"})
    facts = run_stage("report", ReportSettings(), layout)
    return layout, facts, layout.report.read_text()


def copy_of(original, folder):
    layout = type(original)(folder / "results" / "example", folder / "work" / "example")
    shutil.copytree(original.results, layout.results)
    return layout


@pytest.fixture
def quick(monkeypatch):
    """Plots take most of a report's time; tests of what is missing do without."""
    for name in ("rig", "cloud", "curves", "timeline"):
        monkeypatch.setattr(plots, name, lambda *arguments: "<svg></svg>")


def test_page_is_well_formed_and_needs_no_network(finished):
    layout, _, text = finished
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    links = [address for address in checker.addresses if not address.startswith(("data:", "#"))]
    assert len(links) > 10 and all((layout.report.parent / unquote(link)).exists() for link in links)
    assert all(address[1:] in checker.ids for address in checker.addresses if address.startswith("#"))
    assert not re.search(r"url\((?!#)", text) and "@import" not in text


def test_the_only_script_is_the_one_that_the_policy_allows(finished):
    _, _, text = finished
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert text.count("<script") == 1 and scripts == [Path(page.__file__).with_name("report.js").read_text()]
    hashed = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hashed}'" in text


def test_the_page_begins_with_the_avatar_the_figures_and_the_warnings(quick, finished, tmp_path):
    layout = copy_of(finished[0], tmp_path)
    fit = json.loads(layout.manifest("fit").read_text())
    write_json(layout.manifest("fit"), fit | {"warnings": ["calibration <units>: 1000 times too large"]})
    metrics = metrics_of(layout)
    write_json(layout.metrics, metrics | {"val": None, "missing": {"val": "no render"}})
    sample = json.loads(layout.sample.read_text())
    write_json(layout.sample, sample | {"rules": ["no val camera: all 3 cameras (fewer than six) are needed for training"]})
    run_stage("report", ReportSettings(), layout)
    text = layout.report.read_text()
    order = [
        "All stages complete.",
        "ground truth",
        "data:video/mp4",
        f"{metrics['test']['psnr_box']:.2f} dB</b>",
        "val (held-out camera) has no figure: no val camera",
    ]
    places = [text.index(part) for part in [*order, "1 warning:", "fit: calibration &lt;units&gt;: 1000 times too large", "<nav>", "<h2>Capture</h2>"]]
    assert places == sorted(places)


def test_missing_stages_are_named_and_commands_carry_what_was_given(quick, finished, tmp_path):
    layout = copy_of(finished[0], tmp_path)
    layout.manifest("render").unlink()
    layout.keypoints.unlink()
    text, _ = make_report(layout, ReportSettings(), tmp_path / "elsewhere", "./c2a run example --results 'my results'")
    assert "Not complete: render." in text and "./c2a run example --results &#x27;my results&#x27; --from keypoints" in text
    assert 'href="../results/example/fit.npz"' in text
    text, _ = make_report(replace(layout, variant="long"), ReportSettings())
    assert "./c2a run example --name long" in text and "<h1>example (long)</h1>" in text


def test_version_device_and_command_are_on_the_page(quick, finished, tmp_path):
    layout = copy_of(finished[0], tmp_path)
    train = json.loads(layout.manifest("train").read_text())
    train["timing"] |= {"commit": "0123456789ab", "processor": "A CPU, 2 threads", "command": "./c2a run <example>"}
    write_json(layout.manifest("train"), train | {"facts": {"device": "cuda:0 (NVIDIA H200)"}, "settings": {"seed": 4}})
    run_stage("report", ReportSettings(), layout)
    text = layout.report.read_text()
    assert all(part in text for part in ("0123456789ab", "A CPU, 2 threads", "./c2a run &lt;example&gt;", "cuda:0 (NVIDIA H200)"))
    assert "<td>train.seed</td>" in text, "every setting is listed, not only the changed ones"


def test_outliers_lie_outside_the_plots():
    points = np.random.default_rng(0).normal(0, 0.05, (200, 3))
    points[:3] = [[9, 0, 0], [0, -7, 0], [np.nan, 0, 0]]
    near = plots.within(points)
    assert not near[:3].any() and near.sum() > 190
    assert not plots.within(np.full((4, 3), np.nan)).any()


def test_images_are_kept_larger_than_they_are_shown():
    text = page.figure(np.zeros((800, 1000, 3), np.uint8), widest=300)
    assert 'width="300" height="240"' in text
    data = base64.b64decode(re.search('base64,([^"]*)', text)[1])
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (480, 600, 3)


def test_every_section_but_initialisation_is_drawn(finished):
    """The example's init.npz holds no splats of an avatar."""
    _, facts, text = finished
    assert facts["missing_sections"] == ["Initialisation"]
    assert all(f"<h2>{part.title}</h2>" in text for part in SECTIONS)
    assert text.count("data:video/mp4") == 2 and text.count("data:image/jpeg") > 20 and text.count("<svg") >= 4
    assert facts["bytes"] == len(text.encode())


def test_metrics_are_on_the_page(finished):
    layout, _, text = finished
    val = metrics_of(layout)["val"]
    assert f"{val['psnr_box']:.2f} dB" in text and "LPIPS not computed" in text
    assert "3.11.9" in text and "&lt;none&gt; for cam_a" in text


def test_a_group_shows_each_capture_in_brief_and_its_results(quick, tmp_path):
    group = make_group(tmp_path)
    run_stage("evaluate", EvaluateSettings(), group)
    facts = run_stage("report", ReportSettings(), group)
    text = group.report.read_text()
    assert facts["missing_sections"] == ["Initialisation"] and "<h1>family</h1>" in text and "Captures: anna, bob." in text
    assert [part.title for part in sections_of(group)][:2] == ["Captures", "Model fit"] and "<h2>Keypoints</h2>" not in text
    for name, times in (("anna", 5), ("bob", 5)):
        assert text.count(f"<h3>{name}</h3>") == times, "captures, model fit, initialisation, renders, videos"
    assert "<h3>By capture</h3>" in text and "val: bob" in text and "<td>anna/fit</td>" in text
    Checker().feed(text)


def test_settings_that_differ_are_listed_with_what_changed_them(quick, finished, tmp_path):
    layout = copy_of(finished[0], tmp_path)
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
        ("metrics", {"Renders vs. ground truth", "Metrics"}),
        ("alpha_json", {"Mattes", "Renders vs. ground truth"}),
    ],
)
def test_one_lost_file_costs_its_own_sections(quick, finished, tmp_path, lost, titles):
    layout = copy_of(finished[0], tmp_path)
    getattr(layout, lost).unlink()
    assert set(run_stage("report", ReportSettings(), layout)["missing_sections"]) == titles | {"Initialisation"}
    assert layout.report.read_text().count("Next: <code>./c2a run example") == len(titles) + 1


def test_a_damaged_file_is_reported_and_not_fatal(quick, finished, tmp_path):
    layout = copy_of(finished[0], tmp_path)
    write_json(layout.metrics, {"val": 3})
    write_text(layout.manifest("fit"), "{")
    facts = run_stage("report", ReportSettings(), layout)
    assert {"Renders vs. ground truth", "Metrics"} <= set(facts["missing_sections"])


def test_large_videos_are_named_instead(quick, finished):
    layout, _, _ = finished
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
