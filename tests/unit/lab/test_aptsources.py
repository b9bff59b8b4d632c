from pathlib import Path

import pytest

from kubeops.errors import UsageError
from kubeops.lab import aptsources
from kubeops.lab.aptsources import Source

LINES = """\
# the archive
deb [arch=amd64 signed-by=/etc/debian.gpg] http://mirror.example/debian/ bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://vendor.example/apt tool-bookworm main # not Debian
deb [trusted=yes] file:/srv/local ./
"""
STANZAS = """\
Types: deb deb-src
URIs: http://mirror.example/debian
# which releases
Suites: bookworm
 bookworm-updates
Components: main contrib

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main
"""
MIRROR = "http://mirror.example/debian"


def test_one_line_sources() -> None:
    assert list(aptsources.parse_lines(LINES)) == [
        Source(uri=MIRROR, suite="bookworm", components=("main",)),
        Source(uri="http://vendor.example/apt", suite="tool-bookworm", components=("main",)),
        Source(uri="file:/srv/local", suite="./", components=()),
    ]


def test_deb822_sources() -> None:
    assert list(aptsources.parse_stanzas(STANZAS)) == [
        Source(uri=MIRROR, suite="bookworm", components=("main", "contrib")),
        Source(uri=MIRROR, suite="bookworm-updates", components=("main", "contrib")),
    ]


def test_all_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(LINES)
    (tmp_path / "sources.list.d/debian.sources").write_text(STANZAS)
    (tmp_path / "sources.list.d/more.list").write_text("deb http://more.example/ sid main\n")
    (tmp_path / "sources.list.d/ignored.save").write_text("deb http://old.example/ sid main\n")
    found = aptsources.read(tmp_path)
    assert [source.suite for source in found] == [
        *("bookworm", "tool-bookworm", "./", "sid"),
        *("bookworm", "bookworm-updates"),
    ]
    assert aptsources.read(tmp_path / "nowhere") == ()


def test_the_mirror_is_the_one_of_the_own_release() -> None:
    sources = [*aptsources.parse_lines(LINES)][1:]
    with pytest.raises(UsageError, match="no Debian archive"):
        aptsources.debian_mirror(sources, codename="bookworm")
    sources.append(Source(uri=MIRROR, suite="bookworm", components=("main",)))
    assert aptsources.debian_mirror(sources, codename="bookworm") == MIRROR


def test_only_debian_has_a_codename() -> None:
    debian = 'ID=debian\nVERSION_CODENAME="trixie"\nHOME_URL="https://www.debian.org/?a=b"\n'
    assert aptsources.codename(debian) == "trixie"
    with pytest.raises(UsageError, match="this is no Debian"):
        aptsources.codename("ID=fedora\nVERSION_CODENAME=''\n")
