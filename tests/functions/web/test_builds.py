"""What Google's buildpacks do with a source, as far as there is something to do here."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from fogbank.functions.builds import BuildFailed, build, node, python
from fogbank.functions.runtimes.python import frameworks
from fogbank.kernel.config import Config
from fogbank.kernel.making import making
from tests.support.websites import PYTHON, built

_PATIENCE_S = 60
_NPM = f"""#!{sys.executable}
import pathlib
with open({{begun!r}}, "a") as begun:
    begun.write("one\\n")
with open({{go!r}}) as held:  # A pipe: until the test lets go.
    held.read()
pathlib.Path("package.json").stat()
pathlib.Path("node_modules").mkdir()
"""


def source(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    return tmp_path


def test_the_framework_is_added_where_it_is_not_listed(tmp_path):
    [layer] = built(source(tmp_path, main__py="", requirements__txt="itsdangerous\n"), PYTHON)
    assert "functions-framework" in frameworks.versions(layer / "python")


def test_the_same_requirements_are_installed_once(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    text = "functions-framework==3.*\n"
    assert built(source(one, main__py="1", requirements__txt=text), PYTHON) == (
        built(source(other, main__py="2", requirements__txt=text), PYTHON)
    )


@pytest.mark.parametrize(
    "asked", ["./shared", "-e ./shared", "shared @ file:shared", "-r more/others.txt", "--find-links=wheels/"]
)
def test_what_requirements_find_beside_them_is_part_of_what_is_built(tmp_path, asked):
    def key(text):
        (tmp_path / "shared").mkdir(exist_ok=True)
        source(tmp_path, main__py="", requirements__txt=f"# as it lies here\n{asked}\n")
        (tmp_path / "shared/prices.py").write_text(text)
        return python._key(tmp_path, adds=True)

    assert key("a") == key("a") != key("b")


@pytest.mark.parametrize(
    "asked",
    ["flask", "# see ./shared\nflask", "flask  # ./shared", "--index-url https://packages.example/simple",
     "shop @ git+https://example.com/shop.git", "-r others.txt"],
)  # fmt: skip
def test_code_that_no_requirement_names_is_not_part_of_what_is_built(tmp_path, asked):
    keys = {
        python._key(source(tmp_path, main__py=text, requirements__txt=asked, others__txt=""), adds=True)
        for text in ("a", "b")
    }
    assert len(keys) == 1


def test_a_free_choice_of_versions_is_what_a_zygote_has_loaded(tmp_path):
    [layer] = built(source(tmp_path, main__py="", requirements__txt="functions-framework\n"), PYTHON)
    own = frameworks.versions(layer / "python")
    pinned = {tuple(line.partition(" ;")[0].split("==")) for line in frameworks.constraints().splitlines()}
    assert set(own.items()) - pinned == set()


def test_requirements_that_cannot_be_had_fail_with_what_pip_says(tmp_path):
    built(source(tmp_path, main__py="", requirements__txt=""), PYTHON)  # Or there is no network to say so.
    code = source(tmp_path, main__py="", requirements__txt="functions-framework==0.0.0.999\n")
    with pytest.raises(BuildFailed, match=r"functions-framework==0\.0\.0\.999"):
        build(code, PYTHON, Config().cache_dir)


@pytest.mark.parametrize(
    ("runtime", "files", "told"),
    [
        (PYTHON, {"app__py": ""}, "missing main.py and GOOGLE_FUNCTION_SOURCE not specified"),
        ("nodejs20", {"app__js": ""}, "function.js or index.js does not exist"),
        ("nodejs20", {"index__js": "", "package__json": "{"}, "failed to parse package.json"),
        ("nodejs20", {"index__js": "", "package__json": '{"dependencies": 3}'}, "failed to parse package.json"),
        ("go122", {"main__go": ""}, "no function of go122 is built here"),
    ],
)
def test_a_source_that_is_no_function_fails_with_the_reason(tmp_path, runtime, files, told):
    with pytest.raises(BuildFailed, match=told):
        build(source(tmp_path, **files), runtime, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_source_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(BuildFailed, match="GOOGLE_FUNCTION_SOURCE specified file"):
        build(source(tmp_path, main__py=""), PYTHON, tmp_path / "cache", {"GOOGLE_FUNCTION_SOURCE": "other.py"})


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on the PATH")
def test_node_gets_the_framework_where_it_is_not_listed(tmp_path):
    [layer] = built(source(tmp_path, index__js=""), "nodejs20")
    assert (layer / "nodejs/node_modules/@google-cloud/functions-framework/build/src/main.js").is_file()


def test_two_functions_of_one_source_are_built_once_and_none_takes_away_what_the_other_builds(tmp_path, monkeypatch):
    begun, go, waits = tmp_path / "begun", tmp_path / "go", threading.Semaphore(0)
    os.mkfifo(go)
    tools, code = tmp_path / "tools", tmp_path / "code"
    tools.mkdir(), code.mkdir()
    (tools / "npm").write_text(_NPM.format(begun=str(begun), go=str(go)))
    (tools / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    source(code, index__js="", package__json='{"dependencies": {"@google-cloud/functions-framework": "^3"}}')

    @contextmanager
    def told(folder):
        waits.release()
        with making(folder):
            yield

    monkeypatch.setattr(node, "making", told)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(build, code, "nodejs20", tmp_path / "cache") for _ in range(2)]
        try:
            assert all(waits.acquire(timeout=_PATIENCE_S) for _ in both)
        finally:
            go.write_text("")
        [one], [other] = (build.result(_PATIENCE_S) for build in both)
    assert one == other
    assert (one / "nodejs/node_modules").is_dir()
    assert begun.read_text() == "one\n"
