"""The set-up: an environment is whole or it is not there."""

import ast
import importlib.util
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent


def load(folder):
    """The bootstrap.py of a folder, which works in that folder."""
    spec = importlib.util.spec_from_file_location("bootstrap", folder / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """The set-up, with nothing to install, in a folder whose name has a blank and Chinese characters."""
    folder = tmp_path / "a b 客户"
    folder.mkdir()
    for name in ("bootstrap.py", "Makefile"):
        shutil.copy(HOME / name, folder)
    (folder / "requirements.lock").write_text("# nothing\n")
    module = load(folder)

    def create(*_):
        module.PYTHON.parent.mkdir(parents=True)
        module.PYTHON.write_text("new")
        module.made.append(1)

    module.made = []
    monkeypatch.setattr(module, "create", create)
    monkeypatch.setattr(module, "install", lambda uv: None)
    monkeypatch.setattr(module, "furnish", lambda: None)
    monkeypatch.delenv("PYTHON", raising=False)
    return module


def fails(*_):
    raise OSError("no space left")


def test_an_environment_is_made_once_and_again_when_the_lock_changes(setup):
    assert [setup.main(), setup.main()] == [0, 0]
    assert len(setup.made) == 1
    setup.LOCK.write_text("# other packages\n")
    assert setup.main() == 0
    assert len(setup.made) == 2
    assert not setup.OLD.exists()


def test_a_half_made_environment_is_not_kept(setup, monkeypatch, capsys):
    monkeypatch.setattr(setup, "install", fails)
    assert setup.main() == 1
    assert not setup.VENV.exists()
    assert "no space left" in capsys.readouterr().err


def test_the_old_environment_comes_back_when_the_new_one_cannot_be_made(setup, monkeypatch):
    setup.main()
    setup.LOCK.write_text("# other packages\n")
    (setup.VENV / "old").touch()
    monkeypatch.setattr(setup, "install", fails)
    assert setup.main() == 1
    assert (setup.VENV / "old").exists()
    assert not setup.is_ready()


def test_what_a_killed_set_up_left_behind_is_made_anew(setup):
    setup.PYTHON.parent.mkdir(parents=True)
    setup.PYTHON.touch()  # whole to look at, but without its stamp
    assert setup.main() == 0
    assert setup.PYTHON.read_text() == "new"


def test_two_set_ups_at_once_make_one_environment(setup, monkeypatch):
    monkeypatch.setattr(setup, "install", lambda uv: time.sleep(0.3))
    both = [threading.Thread(target=setup.main) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(setup.made) == 1
    assert setup.is_ready()


def test_a_python_that_is_too_old_is_named_with_what_to_do(setup, monkeypatch, capsys):
    monkeypatch.setattr(setup, "version_of", lambda name: (name, (3, 9)))
    assert setup.main() == 1
    message = capsys.readouterr().err
    assert "3.11" in message and "安装" in message and message.count("\n") == 1
    monkeypatch.setenv("PYTHON", "python3.9")
    assert setup.main() == 1
    assert "PYTHON=python3.9" in capsys.readouterr().err


def test_a_missing_venv_module_is_named_with_its_package(tmp_path):
    without_venv = tmp_path / "python"
    without_venv.write_text("#!/bin/sh\nexit 1\n")
    without_venv.chmod(0o755)
    module = load(HOME)
    with pytest.raises(module.SetupError, match=r"apt-get install python3\.11-venv.*缺少"):
        module.create(str(without_venv), (3, 11), None)


@pytest.mark.slow
def test_make_sets_up_by_itself_and_the_folder_may_be_moved(setup):
    folder = setup.ROOT
    (folder / "churnlib").mkdir()
    (folder / "churnlib/__init__.py").touch()
    subprocess.run(["make", "setup"], cwd=folder, check=True)
    moved = folder.rename(folder.parent / "moved 搬家")
    subprocess.run(["make", "setup"], cwd=moved, check=True)
    python = moved / setup.PYTHON.relative_to(folder)
    where = "import churnlib; print(ascii(churnlib.__file__))"
    found = subprocess.run([python, "-c", where], cwd="/", capture_output=True, text=True, check=True).stdout
    assert found.strip() == ascii(str(moved / "churnlib/__init__.py"))


def test_a_python_that_is_too_old_can_at_least_read_the_set_up():
    ast.parse((HOME / "bootstrap.py").read_text("utf-8"), feature_version=(3, 6))
