"""The framing of the scripts' output, and what of the host's secrets they may touch."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeops.errors import FactsError
from kubeops.facts.probe import Section, cluster_probe, host_probe, script, split

BOUNDARY = "3f1c2a4e-0d5b-4a6f-9c7e-8b1d2e3f4a5b"
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda name: name != "ended"
)
BODIES = st.one_of(
    st.text(),
    st.binary().map(lambda body: body.decode(errors="replace")),
    # What tries hardest to look like framing without knowing the boundary.
    st.sampled_from(
        ["@@facts 0", "\n@@ 0 x\n", f"\n@@{BOUNDARY}\n", f"@@{BOUNDARY[:-1]} 0 x\n", "\n", "\n\n"]
    ),
)
SECTIONS = st.dictionaries(NAMES, st.builds(Section, BODIES, st.integers(0, 255)))


def written(sections: dict[str, Section]) -> str:
    body = "".join(
        f"{section.text}\n@@{BOUNDARY} {section.status} {name}\n"
        for name, section in sections.items()
    )
    return f"@@facts {BOUNDARY}\n{body}"


ENDED = {"ended": Section("")}


@given(SECTIONS)
def test_what_was_written_is_read(sections: dict[str, Section]) -> None:
    assert split(written(sections | ENDED), host="cp1") == sections | ENDED


@given(SECTIONS, st.data())
def test_output_that_was_cut_off_is_refused(
    sections: dict[str, Section], data: st.DataObject
) -> None:
    whole = written(sections | ENDED)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FactsError):
        split(whole[:cut], host="cp1")


@given(st.binary())
def test_random_bytes_are_refused(noise: bytes) -> None:
    with pytest.raises(FactsError, match="cp1: the probe's output cannot be understood"):
        split(noise.decode(errors="replace"), host="cp1")


@given(SECTIONS, st.binary())
def test_noise_in_one_section_leaves_the_others_alone(
    sections: dict[str, Section], noise: bytes
) -> None:
    surprise = Section(noise.decode(errors="replace"))
    output = written({"surprise ": surprise, **sections} | ENDED)
    assert split(output, host="cp1") == {"surprise ": surprise, **sections} | ENDED


def test_a_banner_before_the_announcement_is_ignored() -> None:
    output = "Welcome!\r\n@@facts\n" + written({"a": Section("1")} | ENDED)
    assert split(output, host="cp1")["a"] == Section("1")


def test_a_name_that_is_there_twice_is_refused() -> None:
    output = written({"a": Section("1")}) + f"2\n@@{BOUNDARY} 0 a\n\n@@{BOUNDARY} 0 ended\n"
    with pytest.raises(FactsError, match="cp1: a cannot be understood: it is there twice"):
        split(output, host="cp1")


def test_arguments_are_words_of_argv() -> None:
    assert host_probe().argv == ("sh", "-s", "--")
    assert host_probe("https://a/Packages").argv == ("sh", "-s", "--", "https://a/Packages")
    assert cluster_probe("cp1", "objects").argv == ("sh", "-s", "--", "cp1", "objects")


@pytest.mark.parametrize(
    "name", ["probe.sh", "cluster.sh", "upgrade_host.sh", "upgrade_cluster.sh"]
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_scripts_parse_in_every_shell(name: str, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n"], input=script(name), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "name", ["framing.sh", "probe.sh", "cluster.sh", "upgrade_host.sh", "upgrade_cluster.sh"]
)
def test_scripts_write_to_no_file(name: str) -> None:
    text = (Path(__file__).parents[3] / "kubeops" / "facts" / name).read_text()
    shell = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    shell = re.sub(r"awk .*?'\n.*?\n\s+}'", "", shell, flags=re.DOTALL)
    assert "awk" not in shell
    assert set(re.findall(r">+\s*([^\s);}]+)", shell)) <= {"/dev/null", "&1", "&4"}
