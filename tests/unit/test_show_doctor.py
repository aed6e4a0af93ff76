import importlib.metadata
import sys

import pytest

from pipeline.machine import doctor


def test_this_environment_is_fit():
    checks = {check.name: check for check in doctor.doctor()}
    assert {"Python", "cores", "memory", "disk", "GPU", "av", "mediapipe", "SLURM"} <= set(checks)
    assert checks["Python"].state == checks["av"].state == "ok"
    assert all(check.advice for check in checks.values() if check.state == "problem")


def test_missing_package_is_a_problem_with_advice(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", absent)
    check = doctor._package("mediapipe", "keypoints")
    assert check.state == "problem" and check.advice


def test_files_that_the_configuration_names(tmp_path):
    weights = tmp_path / "alex.pth"
    weights.touch()

    def state(**evaluate):
        return doctor._lpips({"evaluate": evaluate}).state

    assert state() == "optional"
    assert state(lpips_backbone=str(weights), lpips_linear=str(weights)) == "ok"
    assert state(lpips_backbone=str(weights)) == "problem"
    assert state(lpips_backbone=str(weights), lpips_linear=str(tmp_path / "gone.pth")) == "problem"


@pytest.mark.parametrize("state, code", [("ok", 0), ("optional", 0), ("problem", 1)])
@pytest.mark.parametrize("rich", [True, False])
def test_printing(monkeypatch, capsys, state, code, rich):
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr(doctor, "doctor", lambda config: [doctor.Check("thing [1]", state, "detail <1>", "do something")])
    assert doctor.print_doctor() == code
    printed = capsys.readouterr().out
    assert "thing [1]" in printed and "detail <1>" in printed and "do something" in printed
