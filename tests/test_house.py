"""What every contribution keeps to: verbs, errors, sizes, lint, types, layers."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.collection import Collection

import kubeops.cli
from kubeops import errors
from kubeops.cli._app import Invocation, Verb
from kubeops.cli._options import Options
from kubeops.cli.namespace import NOUNS, namespace
from kubeops.cli.program import main

ROOT = Path(__file__).parent.parent
HEAVY = ("fabric", "paramiko", "cryptography", "rich", "jinja2", "tenacity")


def every_verb(collection: Collection) -> list[Verb]:
    found = [collection[name] for name in collection.task_names]
    return [verb for verb in found if isinstance(verb, Verb)]


VERBS = every_verb(namespace(development=True))
ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.KubeopsError)
]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_every_task_is_a_verb_of_ours() -> None:
    assert len(VERBS) == len(namespace(development=True).task_names)


def test_every_module_of_verbs_is_in_the_namespace() -> None:
    modules = [
        importlib.import_module(f"kubeops.cli.{module.name}")
        for module in pkgutil.iter_modules(kubeops.cli.__path__)
    ]
    declaring = {
        module.__name__
        for module in modules
        if any(isinstance(value, Verb) for value in vars(module).values())
    }
    assert declaring == {noun.__name__ for noun in NOUNS}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.path)
class TestVerb:
    def test_nothing_is_positional(self, verb: Verb) -> None:
        """Invoke would run `VERB --help` with the value `--help`."""
        assert list(verb.positional) == []
        assert not any(argument.positional for argument in verb.get_arguments())

    def test_help_explains_and_runs_nothing(
        self, verb: Verb, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_arguments: object, **_options: object) -> None:
            pytest.fail(f"{verb.path} --help ran {verb.path}")

        monkeypatch.setattr("kubeops.cli.program.namespace", lambda: namespace(development=True))
        monkeypatch.setattr(verb, "body", never)
        with pytest.raises(SystemExit) as caught:
            main(["kubeops", verb.path, "--help"])
        assert caught.value.code == 0
        shown = capsys.readouterr().out
        assert f"{verb.path} [options]" in shown
        assert all(f"--{option.name}" in shown for option in verb.options)

    def test_every_option_has_help(self, verb: Verb) -> None:
        for option in verb.options:
            assert option.help.endswith("."), f"--{option.name}"

    def test_no_option_is_declared_twice(self, verb: Verb) -> None:
        names = [name for option in verb.options for name in (option.name, option.short) if name]
        assert len(names) == len(set(names))

    def test_the_docstring_starts_with_one_sentence(self, verb: Verb) -> None:
        summary = (verb.__doc__ or "").splitlines()[0]
        assert summary.endswith(".")

    def test_the_function_takes_what_is_declared(self, verb: Verb) -> None:
        """The decorator hands over options as keywords; one too few is a defect when it is run."""
        function = inspect.unwrap(verb.body)
        first, *own = inspect.signature(function).parameters.values()
        assert first.annotation is Invocation
        common = set(Options.__dataclass_fields__)
        declared = {option.attribute for option in verb.options} - common
        assert {parameter.name for parameter in own} == declared
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in own)


def test_developers_verbs_are_not_in_the_installed_program() -> None:
    assert not [name for name in namespace().task_names if name.startswith("dev.")]


def test_a_checkout_has_the_same_verbs() -> None:
    assert len((ROOT / "tasks.py").read_text().splitlines()) <= 12
    listed = python("-m", "invoke", "--list").stdout
    assert all(verb.path in listed for verb in VERBS)


def test_what_people_are_told_to_type_exists() -> None:
    texts = [
        *(ROOT / "kubeops").rglob("*.py"),
        *(ROOT / "inventories").glob("*.yaml"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
    ]
    told = {
        verb
        for file in texts
        for verb in re.findall(r"\binvoke ([a-z]+(?:\.[a-z]+)*)\b(?!\()", file.read_text())
    }
    assert told - {verb.path for verb in VERBS} == set()


def test_listing_verbs_imports_nothing_heavy() -> None:
    ended = python(
        "-c",
        "import sys, kubeops.cli.program as p\n"
        "try: p.main(['kubeops', '--list'])\n"
        "except SystemExit: pass\n"
        "print('LOADED', *sys.modules)",
    )
    loaded = ended.stdout.partition("LOADED ")[2].split()
    assert "invoke.program" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_error_codes_are_unique() -> None:
    codes = [error.code for error in ERRORS]
    assert len(codes) == len(set(codes))


def test_every_error_code_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    sections = dict(re.findall(r"^## (KO-\d+)\n(.+?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == {error.code for error in ERRORS}
    for code, text in sections.items():
        assert "*Cure:*" in text, code
        assert f"[{code}](#{code.lower()})" in page, f"{code} is not in the table"


def test_the_error_tree_at_the_top_is_the_tree_below() -> None:
    drawn = dict(re.findall(r"(\w+Error) +(\d+) ", errors.__doc__ or ""))
    expected = {error.__name__: str(error.exit_status) for error in ERRORS[1:]}
    assert drawn == expected


def test_files_are_short_enough_to_read() -> None:
    limits = {"kubeops": 450, "benchmarks": 450, "tests": 600}
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines, at most {limit}"
        for folder, limit in limits.items()
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > limit
    ]
    assert long == []


def test_nothing_sleeps_a_fixed_time() -> None:
    """Tests and benchmarks wait on predicates as what ships does.

    Programs of the lab's nodes poll by themselves: they have the standard library only.
    """
    nodes = (ROOT / "kubeops/lab/programs", ROOT / "kubeops/lab/rehearsal/node")
    fixed = re.compile(r"\btime\.sleep\(|\bfrom time import .*\bsleep\b")
    sleepers = [
        str(path.relative_to(ROOT))
        for folder in ("kubeops", "tests", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not any(path.is_relative_to(folder) for folder in nodes)
        and path != Path(__file__)
        and fixed.search(path.read_text(encoding="utf-8"))
    ]
    assert sleepers == []


@pytest.mark.lint
@pytest.mark.parametrize(
    "tool",
    [
        ("-m", "ruff", "check", "--output-format", "concise", "."),
        ("-m", "ruff", "format", "--check", "--quiet", "--output-format", "concise", "."),
        ("-m", "mypy"),
        ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
    ],
    ids=["ruff", "format", "mypy", "layers"],
)
def test_tools_find_nothing(tool: tuple[str, ...]) -> None:
    ended = python(*tool)
    lines = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 0, "\n".join(lines[-30:])
