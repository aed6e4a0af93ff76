"""What is checked before anything runs, and what is not opened again."""

import pytest
import torch

from pipeline.capture.settings import IngestSettings
from pipeline.config import parse_config
from pipeline.contract.captures_table import CaptureRow
from pipeline.io.errors import InputError
from pipeline.io.files import write_json
from pipeline.workflow.preflight import check_captures, check_device
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.targets import capture_target
from tests.unit.capture_trees import make_nersemble
from tests.unit.scenes import colmap_scene
from tests.unit.stage_jobs import run_stage


@pytest.fixture
def root(tmp_path):
    return make_nersemble(tmp_path / "data", ["1", "2"], ["EMO-1", "SEN"], frames=2)


def config_of(tmp_path, **values):
    return parse_config({"results": str(tmp_path / "r"), "work": str(tmp_path / "w"), "until": "sample", **values})


def targets(root, config):
    return {"18": capture_target(CaptureRow("18", "nersemble", root), config)}


def test_excluded_sequences_are_not_checked(root, tmp_path):
    next((root / "raw").rglob("SEN/cam_2.mp4")).unlink()
    config = config_of(tmp_path)
    with pytest.raises(InputError, match="camera '2' has no footage in sequence 'SEN'"):
        check_captures(targets(root, config), config, quiet=True)
    config = config_of(tmp_path, ingest={"exclude": ["SEN", "BACKGROUND"]})
    assert check_captures(targets(root, config), config, quiet=True) == {}


def test_a_capture_that_is_current_is_not_opened_again(root, tmp_path, monkeypatch):
    config = config_of(tmp_path)
    (target,) = targets(root, config).values()
    facts = run_stage("ingest", IngestSettings(), target.layout, target.rows[0])
    for stage in ("ingest", "frames", "sample"):
        write_json(target.layout.manifest(stage), {"key": target.keys(config)[stage], "sources": facts["sources"] if stage == "ingest" else {}})
    opened = []
    monkeypatch.setattr("pipeline.stages.ingest.preflight", lambda row, *_, **__: opened.append(row.id))
    check_captures({"18": target}, config, quiet=True)
    assert opened == []
    next((root / "raw").rglob("cam_1.mp4")).unlink()
    check_captures({"18": target}, config, quiet=True)
    assert opened == ["18"]


@pytest.mark.parametrize(("method", "noted"), [("rigged", True), ("static", False)])
def test_a_scene_for_a_method_that_needs_a_person_is_noted(tmp_path, capsys, method, noted):
    colmap_scene(tmp_path / "raw", 4, points=20, size=16)
    config = config_of(tmp_path, until="report", method=method)
    check_captures({"room": capture_target(CaptureRow("room", "colmap", tmp_path / "raw"), config)}, config, quiet=True)
    assert ("room is of kind colmap" in capsys.readouterr().err) == noted


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_named_before_the_run_and_only_where_it_is_needed(root, tmp_path):
    for until, device, missing in (("report", "cuda", True), ("fit", "cuda", False), ("report", "auto", False)):
        config = config_of(tmp_path, until=until, train={"device": device})
        if missing:
            with pytest.raises(InputError, match="device: cuda(?s:.*)auto"):
                check_device(RunOptions(), config, targets(root, config))
        else:
            check_device(RunOptions(), config, targets(root, config))
