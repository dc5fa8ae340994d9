"""Make the environment that requirements.lock describes, in .venv, every package checked against its hash.

`make` calls this by itself. Without make: `python bootstrap.py` once, then `.venv/bin/python -m churnlib report`
(Windows: `py bootstrap.py`, then `.venv\\Scripts\\python -m churnlib report`). PYTHON names another interpreter.
Only the standard library is used, and nothing newer than Python 3.6, so that an old Python is told so in words.
"""

import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
OLD = ROOT / ".venv.old"
STAMP = VENV / "made-from.lock"  # a copy of the lock, written last: no copy, or another one, means "make it again"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
NAMES = ("python3", "python3.13", "python3.12", "python3.11", "python3.14", "python")
LAB = {
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
}

WORDS = {
    "waiting": "Another set-up is at work here: waiting for it. · 另一个进程正在建立环境，请稍候。",
    "start": "Setting up .venv from requirements.lock, once, with {how}; one to three minutes. "
    "· 正在按 requirements.lock 建立环境（仅此一次，用 {how}），约需一至三分钟。",
    "uv_failed": "uv could not install the packages: trying pip. · uv 安装失败，改用 pip。",
    "named": "PYTHON={name} is not Python {oldest} or newer: name another one. "
    "· PYTHON={name} 不是 Python {oldest} 或更新版本，请另行指定。",
    "no_python": "Python {oldest} or newer is needed and none was found (this is {this}): install one, or name it with "
    "PYTHON=/path/to/python. · 需要 Python {oldest} 或更新版本（当前为 {this}）：请安装，或用 PYTHON=路径 指定。",
    "no_venv": "{python} cannot make environments: on Debian or Ubuntu run `sudo apt-get install {package}` first. "
    "· {python} 缺少 venv 模块：Debian/Ubuntu 请先运行 sudo apt-get install {package}。",
    "failed": "Set-up failed, nothing half-made was kept: {why} · 环境未能建立（不保留半成品）：{why}",
}


class SetupError(Exception):
    """What stands in the way, in one line."""


def say(key, **values):
    """Give one line in both languages: there is no environment yet from which to read the catalogue."""
    return WORDS[key].format(**values)


def tell(key, **values):
    """Print one line to standard error, which writes any character in any locale."""
    print(say(key, **values), file=sys.stderr, flush=True)


def is_ready():
    """Tell whether .venv was made, to the end, from the lock as it is now."""
    return PYTHON.exists() and STAMP.exists() and STAMP.read_bytes() == LOCK.read_bytes()


def version_of(python):
    """Ask an interpreter for its path and version; None if it does not run."""
    # the base's path: the interpreter of an activated .venv goes away with the .venv that is made anew
    code = "import sys; print(ascii((getattr(sys, '_base_executable', 0) or sys.executable, sys.version_info[:2])))"
    try:
        answer = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return ast.literal_eval(answer.stdout.decode("ascii"))
    except (OSError, ValueError, SyntaxError, subprocess.CalledProcessError):
        return None


def find_python():
    """Choose the interpreter: the one named by PYTHON, else this one, else the first on the path that is new enough."""
    oldest, named = ".".join(map(str, OLDEST)), os.environ.get("PYTHON")
    for name in [named] if named else [sys.executable, *NAMES]:
        found = version_of(name)
        if found and found[1] >= OLDEST:
            return found
    if named:
        raise SetupError(say("named", name=named, oldest=oldest))
    raise SetupError(say("no_python", oldest=oldest, this=".".join(map(str, sys.version_info[:3]))))


def is_mine(handle):
    """Take the lock of an open file if it is free; the system frees it when the last process that holds it ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def alone():
    """Let one set-up work at a time, in one folder."""
    with open(str(ROOT / ".venv.lock"), "w") as handle:
        os.set_inheritable(handle.fileno(), True)  # an installer that outlives a killed set-up still holds the lock
        if not is_mine(handle):
            tell("waiting")
            while not is_mine(handle):
                time.sleep(0.2)
        yield


def run(*command):
    """Run one step; its own words go to standard error, a failure ends the set-up."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    env = dict(inherited, UV_COMPILE_BYTECODE="1", PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONUTF8="1")
    command = [str(part) for part in command]
    done = subprocess.run(command, env=env, cwd=str(ROOT), stdout=sys.stderr, close_fds=False)
    if done.returncode:
        raise SetupError(say("failed", why=" ".join(command[:4])))


def create(python, version, uv):
    """Make the empty environment; Debian keeps the part that brings pip in a package of its own."""
    if subprocess.run([python, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL).returncode == 0:
        run(python, "-m", "venv", VENV)
    elif uv:
        run(uv, "venv", "--quiet", "--seed", "--python", python, VENV)
    else:
        raise SetupError(say("no_venv", python=python, package="python{}.{}-venv".format(*version)))


def install(uv):
    """Install what the lock names; uv's failure is not final, since a company's mirror may be known to pip alone."""
    if uv:
        try:
            return run(uv, "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes", "--no-deps", "-r", LOCK)
        except SetupError:
            tell("uv_failed")
    quiet = ("-qq", "--no-input", "--no-compile", "--progress-bar", "off")
    run(PYTHON, "-m", "pip", "install", *quiet, "--require-hashes", "--no-deps", "-r", LOCK)
    # on all cores, and even where PYTHONDONTWRITEBYTECODE is set: without it every start would take ten seconds more;
    # packages carry a few files for other Python versions, so its exit code says nothing
    subprocess.run([str(PYTHON), "-m", "compileall", "-q", "-j", "0", str(packages())], stdout=subprocess.DEVNULL)


def packages():
    """Give the folder into which packages are installed."""
    return next(path for pattern in ("lib/python3*/site-packages", "Lib/site-packages") for path in VENV.glob(pattern))


def furnish():
    """Let every kernel import churnlib from this folder, and JupyterLab show pages as pages and ask for no news."""
    # relative, so that the path needs no encoding and does not go stale when the folder is moved
    (packages() / "churn-workbook.pth").write_text(os.path.relpath(str(ROOT), str(packages())) + "\n")
    settings = VENV / "share/jupyter/lab/settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(json.dumps(LAB))


def build(python, version):
    """Make the environment beside the old one, which comes back if this fails."""
    uv, lock = shutil.which("uv"), LOCK.read_bytes()
    tell("start", how="uv" if uv else "pip")
    if VENV.exists():
        VENV.rename(OLD)
    try:
        create(python, version, uv)
        install(uv)
        furnish()
        STAMP.write_bytes(lock)
    except BaseException:
        roll_back()
        raise
    remove(OLD)


def remove(folder):
    """Remove a folder, or the link that stands for it."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(str(folder))


def roll_back():
    """Remove a half-made environment, and put back what was there before."""
    remove(VENV)
    if OLD.exists():
        OLD.rename(VENV)


def main():
    """Set up if needed; 0 if the environment is whole."""
    if is_ready():
        return 0
    try:
        python, version = find_python()
        with alone():
            if OLD.exists() and not is_ready():  # an earlier set-up was killed
                roll_back()
            remove(OLD)
            if not is_ready():
                build(python, version)
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as problem:
        tell("failed", why=problem)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
