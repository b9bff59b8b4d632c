import subprocess
import sys
from pathlib import Path

import pytest

from kubeops.errors import CommandError
from kubeops.lab.rehearsal.compiled import bytecode, compiled

PYTHON = (sys.executable,)


def test_compiled_files_are_used_whatever_the_time_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "said.py").write_text("print('compiled')\n")
    (tmp_path / "__pycache__").mkdir()
    for name, content in compiled(tmp_path, python=PYTHON).items():
        (tmp_path / "__pycache__" / name).write_bytes(content)
    (tmp_path / "said.py").write_text("print('compiled now')\n")

    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import said"
    ended = subprocess.run((*PYTHON, "-c", start), check=True, capture_output=True, text=True)

    assert ended.stdout == "compiled\n"


def test_a_source_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def\n")
    with pytest.raises(CommandError, match="ended with status 1"):
        compiled(tmp_path, python=PYTHON)


def test_an_interpreter_is_known_by_what_it_reads() -> None:
    assert bytecode(PYTHON) == bytecode(PYTHON)
    assert bytes.fromhex(bytecode(PYTHON)).endswith(b"\r\n")
