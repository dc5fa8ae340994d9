"""The frame in which everything stands: packages, makefile, direction of imports, notebooks, words."""

import ast
import json
import re
import shutil
import string
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from churnlib import text
from churnlib.reporting import doctor

HOME = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))
LOCK, DEMO = ((HOME / name).read_text("utf-8") for name in ("requirements.lock", "requirements-demo.lock"))
MODULES = {path.relative_to(HOME / "churnlib"): path for path in sorted((HOME / "churnlib").rglob("*.py"))}
NOTEBOOKS = sorted((HOME / "notebooks").glob("*.ipynb"))
CATALOGUE = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (HOME / "churnlib/catalogue").glob("*.yml")}


# packages


def test_the_lock_holds_every_declared_package_in_a_declared_version():
    project = PYPROJECT["project"]
    locked = doctor.locked(HOME / "requirements.lock")
    for line in project["dependencies"] + project["optional-dependencies"]["dev"]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[wanted.name]), line


def test_the_lock_holds_everything_that_its_packages_need():
    locked = doctor.locked(HOME / "requirements.lock")
    for name in locked:
        needed = [Requirement(line) for line in metadata.requires(name) or ()]
        for wanted in needed:
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                found = locked[re.sub("[-_.]+", "-", wanted.name).lower()]
                assert wanted.specifier.contains(found, prereleases=True), f"{name} needs {wanted}"


@pytest.mark.parametrize("lock", [LOCK, DEMO], ids=["requirements", "demo"])
def test_a_lock_has_a_hash_for_every_package_and_no_address(lock):
    packages = re.split(r"(?m)^(?=[a-z0-9])", lock)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", lock)


def test_the_demo_lock_is_the_demo_group():
    wanted = {Requirement(line).name for line in PYPROJECT["dependency-groups"]["demo"]}
    assert wanted == set(re.findall(r"(?m)^([a-z0-9-]+)==", DEMO))


def test_conda_users_get_the_same_set():
    environment = yaml.safe_load((HOME / "environment.yml").read_text("utf-8"))
    python, pip, requirements = environment["dependencies"]
    assert python.startswith("python" + PYPROJECT["project"]["requires-python"])
    assert (pip, requirements) == ("pip", {"pip": ["-r requirements.lock"]})


# make


@pytest.fixture
def make(tmp_path):
    """`make` in a folder where Python only prints its arguments, one a line."""
    folder = tmp_path / "a b 客户"
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nprintf '<%s>\\n' \"$@\"\nexit ${FAKE_EXIT:-0}\n")
    python.chmod(0o755)
    shutil.copy(HOME / "Makefile", folder)
    (folder / "requirements.lock").write_text("")
    (folder / ".venv/made-from.lock").write_text("")

    def run(*arguments, **environment):
        env = {"PATH": "/usr/bin:/bin", **environment}
        return subprocess.run(["make", *arguments], cwd=folder, env=env, capture_output=True, text=True)

    run.folder = folder
    return run


def test_make_alone_lists_every_target(make):
    targets = set(re.findall(r"(?m)^([a-z-]+):", (HOME / "Makefile").read_text("utf-8")))
    listed = set(re.findall(r"(?m)^  ([a-z-]+)  ", make().stdout))
    assert listed == targets
    assert {"setup", "doctor", "check", "new", "report", "lab", "test", "test-all", "lock", "clean"} <= targets


HOSTILE = ["a b", "$(shell touch pwned)", "$(touch pwned)", "`touch pwned`", '"; touch pwned; "', "'; touch pwned #"]


@pytest.mark.parametrize("value", [*HOSTILE, "--force", "${HOME}", "客户\\n资料", "a#b%c"])
def test_a_value_is_data_and_never_code(make, value):
    for done in (make("check", f"DATASET={value}"), make("check", DATASET=value)):
        assert done.stdout.splitlines()[-1] == f"<--dataset={value}>", done.stderr
    assert not list(make.folder.rglob("pwned"))


def test_only_what_was_given_is_passed_on(make):
    assert "--" not in make("report").stdout
    given = make("report", "DATASET=telco", "FORCE=1").stdout.splitlines()
    assert given == ["<-m>", "<churnlib>", "<report>", "<--dataset=telco>", "<--force>"]
    assert "<--force>" not in make("report", "FORCE=0").stdout


def test_a_misspelt_variable_is_refused(make):
    done = make("report", "DATSET=telco")
    assert done.returncode == 2
    assert done.stdout == "" and "DATSET" in done.stderr and "DATASET" in done.stderr


def test_a_report_published_with_warnings_is_no_failure_of_make(make):
    assert make("report", FAKE_EXIT="5").returncode == 0
    assert make("report", FAKE_EXIT="4").returncode == 2


# direction of imports


def imports(node, is_lazy_too):
    """The import statements of a module; those that only type checkers read are left out."""
    for child in ast.iter_child_nodes(node):
        is_for_checkers = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not is_for_checkers and (is_lazy_too or not isinstance(child, ast.FunctionDef)):
            yield from imports(child, is_lazy_too)


def import_graph(is_lazy_too=True):
    """Module of churnlib -> the modules of churnlib that it imports; a package counts as one module."""
    graph = {}
    for relative, path in MODULES.items():
        own = relative.parts[0].removesuffix(".py")
        used = graph.setdefault(own, set())
        for node in imports(ast.parse(path.read_text("utf-8")), is_lazy_too):
            if isinstance(node, ast.ImportFrom) and node.module == "churnlib":
                used |= {part.name for part in node.names}
            else:
                names = [part.name for part in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                used |= {name.split(".")[1] for name in names if name.startswith("churnlib.")}
        used.discard(own)
    return graph


def reach(graph, *names):
    """These modules and everything below them."""
    found, left = set(), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(graph.get(name, ()))
    return found


FEET = {"text", "about", "handfuls", "yamlfile"}
DATA = ("sources", "model", "counts")
STATISTICS = ("trend", "survival", "cohorts", "reasons", "value", "quality", "show")


def test_data_and_statistics_meet_only_in_notebooks():
    graph = import_graph()
    assert reach(graph, *DATA) & reach(graph, *STATISTICS) <= FEET


def test_imports_point_one_way():
    graph = import_graph(is_lazy_too=False)
    assert not [name for name in graph if name in reach(graph, *graph[name])]
    assert not {"reporting", "__main__"} & reach(import_graph(), *DATA, *STATISTICS)
    strangers = set().union(*import_graph().values()) - set(graph)
    assert not strangers, "import the module, not a name from the table of contents"


def test_no_module_is_longer_than_four_hundred_lines():
    assert not [str(name) for name, path in MODULES.items() if len(path.read_text("utf-8").splitlines()) > 400]


# notebooks


def parameter_cells(notebook):
    return [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ())]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = json.loads(path.read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_can_be_set(path):
    (cell,) = parameter_cells(json.loads(path.read_text("utf-8")))
    lines = [line for line in "".join(cell["source"]).splitlines() if line and not line.startswith("#")]
    assert 1 <= len(lines) <= 8
    for line in lines:
        assert re.fullmatch(r"[a-z_]+: [^=]+ = .+  # .+", line), f"name: type = value  # what it is, not {line}"


def test_a_parameter_is_of_one_type_in_all_notebooks():
    types = {}
    for path in NOTEBOOKS:
        for cell in parameter_cells(json.loads(path.read_text("utf-8"))):
            for name, kind in re.findall(r"(?m)^([a-z_]+): ([^=]+) =", "".join(cell["source"])):
                types.setdefault(name, set()).add(kind)
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}


# words


def test_what_a_key_begins_with_tells_its_file():
    beginnings = [first for entries in CATALOGUE.values() for first in {key.split(".")[0] for key in entries}]
    assert len(beginnings) == len(set(beginnings))


QUOTED = r"《.*?》|“.*?”|\(.*?\)|\{\{.*?\}\}"  # what an English sentence may quote in Chinese


def fields(template):
    """The names that a sentence needs."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


@pytest.mark.parametrize("stem", sorted(CATALOGUE))
def test_both_languages_say_the_same(stem):
    for key, entry in CATALOGUE[stem].items():
        assert set(entry) == {"zh", "en"} and all(isinstance(words, str) for words in entry.values()), key
        assert fields(entry["zh"]) == fields(entry["en"]), key
        for words in entry.values():
            kinds = {spec.partition(".")[0] for _, _, spec, _ in string.Formatter().parse(words) if spec}
            assert kinds <= {*text.FORMATS, "list"}, key
        assert not re.search(r"[\u4e00-\u9fff]", re.sub(QUOTED, "", entry["en"])), key


def spoken():
    """Patterns of everything in the sources that could be a key, or the beginning of one."""
    beginnings = {key.split(".")[0] for entries in CATALOGUE.values() for key in entries}
    first = "|".join([*sorted(beginnings), r"\{[\w.]+\}"])  # {...} may be anything at run time
    for path in [*MODULES.values(), *NOTEBOOKS, *(HOME / "churnlib/show/template").rglob("*.*")]:
        for key in re.findall(rf"""["'`]((?:{first})\.[\w.{{}}\[\]]*)""", path.read_text("utf-8")):
            pattern = re.sub(r"\\{.*?\\}", ".+", re.escape(key.rstrip(".")))
            if re.search("[a-z]", pattern):  # a pattern without a word would fit everything
                yield pattern if text.known(key) or "{" in key.rpartition(".")[2] else pattern + r"(\..+)?"


def test_every_word_of_the_catalogue_is_used():
    used = re.compile("|".join(set(spoken())))
    assert not [key for entries in CATALOGUE.values() for key in entries if not used.fullmatch(key)]


SPEAKERS = {"say", "label", "UsageError", "DataError", "PeriodError", "ChurnError"}


def test_every_key_that_is_said_is_in_the_catalogue():
    unknown = []
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in SPEAKERS and node.args:
                key = getattr(node.args[0], "value", None)
                if isinstance(key, str) and not text.known(key):
                    unknown.append(f"{name}:{node.lineno} {key}")
    assert not unknown


# the machine


def test_the_doctor_speaks_both_languages_and_finds_this_machine_fit():
    for language in text.LANGUAGES:
        text.set_language(language)
        lines, ok = doctor.report()
        assert ok, lines
        assert len(lines.splitlines()) == len(doctor.examine()) + 1


def test_the_doctor_names_a_package_that_differs_from_the_lock(tmp_path, monkeypatch):
    (tmp_path / "requirements.lock").write_text("pytest==0.1 \\\n    --hash=sha256:0\nnowhere==1\n")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    check = doctor.packages()
    assert check.state == "note" and check.values["n"] == 2
    assert check.values["which"][1] == "nowhere — (≠ 1)"


def test_the_doctor_says_that_a_folder_cannot_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "reports").touch()
    monkeypatch.setattr(doctor, "HOME", tmp_path)
    assert doctor.writable().state == "bad"
