"""libyaml and PyYAML's own reader: one tree, whichever is there."""

from pathlib import Path

import pytest
import yaml

from kubeops.inventory.document import read_document

INVENTORIES = Path(__file__).parents[3] / "inventories"

TEXTS = {
    "shipped": (INVENTORIES / "example.yaml").read_text(),
    "anchors": "a: &x {k: 1, l: [a, b]}\nb:\n  <<: *x\n  m: no\n",
    "beyond ascii": "a: 'ü 🚀'  # ö\nb: \"\\u00fc\"\nc: plain ü 🚀 text\n",
    "over lines": "a: one\n  two\n\n  three\nb: |\n  x\n   y\nc: >-\n  folded\n  text\n",
    "quoted over lines": "a: 'q\n  r'\n",
    "mark": "\ufeffa: 1\nb: [1, 2,\n  3]\n",
    "windows": "a: 1\r\nb:\r\n  - x\r\n  - y\r\n",
    "kinds": "a: 1.30\nb: 0022\nc: ~\nd: 2026-01-01\ne: on\nf: =\ng:\n",
    "tags": "a: !!str 1\nb: !x 2\nc: !!set {d}\n",
    "twice": "a: 1\na: 2\n",
    "no mapping": "- a\n",
    "nothing": "# nothing\n",
    "tab": "a:\n\tb: 1\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "forbidden": "a: \x00\n",
    "unfinished": "a: {b: [1, 2\n",
    "itself": "a: &a [*a]\n",
}


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is without libyaml here")
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_both_readers_see_the_same(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_bytes(text.encode())
    fast = read_document(file)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert read_document(file) == fast


def test_deep_nesting_that_is_closed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text("a: " + "[" * 200_000 + "]" * 200_000)
    (problem,) = read_document(file).problems
    assert problem.text == "is nested too deeply to be an inventory"
