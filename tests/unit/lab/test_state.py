import json
import stat

import pytest

from kubeops.errors import UsageError
from kubeops.lab import state
from kubeops.lab.model import Lab


def test_a_lab_comes_back_as_it_was(lab: Lab) -> None:
    state.save(lab)
    assert state.load(lab.directory) == lab
    assert state.load_all(lab.directory.parent) == (lab,)
    assert stat.S_IMODE((lab.directory / state.FILE).stat().st_mode) == 0o600


def test_a_lab_that_was_never_written_is_none(lab: Lab) -> None:
    assert state.load(lab.directory) is None
    assert state.load_all(lab.directory.parent) == ()
    assert state.load_all(lab.directory / "nowhere") == ()


def test_another_format_is_refused(lab: Lab) -> None:
    state.save(lab)
    path = lab.directory / state.FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(UsageError, match="another version of kubeops"):
        state.load(lab.directory)


def test_a_file_is_replaced_whole(lab: Lab) -> None:
    path = lab.directory / "file"
    state.write(path, "long and old\n")
    state.write(path, "new\n", mode=0o644)
    assert path.read_text() == "new\n"
    assert [entry.name for entry in lab.directory.iterdir()] == ["file"]
