"""Compiles the stand-ins for the nodes' own Python, which is another one than ours.

What they stand in for is compiled, too: no host that runs Kubernetes spends the first call of each
program on compiling.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from kubeops.transport.base import Command
from kubeops.transport.local import LocalRunner

PYTHON = ("python3",)
_SECONDS = 60.0

# Sources come as JSON on stdin and go as JSON to stdout: nothing is written where Python lives.
# Flag 1 is "found by hash, not checked" (PEP 552): dpkg's times of files do not matter then.
_COMPILE = """
import base64, importlib.util, json, marshal, sys
made = {}
for name, text in json.load(sys.stdin).items():
    source = text.encode()
    code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
    whole = head + importlib.util.source_hash(source) + code
    target = f"{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
    made[target] = base64.b64encode(whole).decode()
json.dump(made, sys.stdout)
"""


def compiled(code: Path, *, python: tuple[str, ...]) -> Mapping[str, bytes]:
    """Return the compiled files of all modules in `code`, by their names in its `__pycache__`.

    Args:
        code: a directory of Python modules.
        python: the argv of the interpreter that will run them.

    Raises:
        CommandError: the interpreter does not run, or does not take a source.
    """
    sources = {path.name: path.read_text() for path in code.glob("*.py")}
    command = Command(
        argv=(*python, "-I", "-c", _COMPILE), stdin=json.dumps(sources).encode(), timeout=_SECONDS
    )
    made: dict[str, str] = json.loads(LocalRunner().run(command).must().stdout)
    return {name: base64.b64decode(text) for name, text in made.items()}


def bytecode(python: tuple[str, ...]) -> str:
    """Return what tells apart interpreters that cannot read each other's compiled files."""
    say = "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"
    command = Command(argv=(*python, "-I", "-c", say), timeout=_SECONDS)
    return LocalRunner().run(command).must().stdout.strip()
