"""Three users type the pages of docs/how-to in a fresh clone; `make people` does it with an environment of its own."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "how-to"


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


play = loaded(HERE / "play.py")
blocks = loaded(HERE.parents[1] / "docs" / "blocks.py")


@pytest.fixture(scope="module")
def cloned(tmp_path_factory):
    return play.clone(tmp_path_factory.mktemp("people") / "analytic_dd")


@pytest.mark.parametrize("person", play.PEOPLE)
def test_a_person_types_the_pages(person, cloned):
    done = play.play(person, cloned, play.environment(cloned, sys.executable, module=True), here=True)
    assert done.returncode == 0, done.stdout[-3000:]
    for page in play.PEOPLE[person]:
        wanted = len(list(blocks.blocks((PAGES / f"{page}.md").read_text())))
        assert re.search(rf"how-to/{page}\.md: {wanted} blocks run", done.stdout)


def test_every_page_is_typed_by_somebody_and_listed():
    pages = {page.stem for page in PAGES.glob("*.md")} - {"index"}
    assert pages == {page for typed in play.PEOPLE.values() for page in typed}
    assert all(re.search(rf"^{page}$", (PAGES / "index.md").read_text(), re.MULTILINE) for page in pages)


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nexit 3\n```",
        "```sh\nanalytic-dd verify nothing\n```",
        "```sh\nfalse\ntrue\n```",
        "```python\n>>> 1 + 1\n3\n\n```",
        "```python\nx = 1\n```",
    ],
)
@pytest.mark.parametrize("shell", ["bash", "here"])
def test_a_block_that_fails_is_seen(shell, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(SystemExit, match="line 2"):
        blocks.run(tmp_path / "page.md", getattr(blocks, shell))


def test_blocks_share_names_and_files_and_leave_out_what_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = """```python
# mine.py
VALUE = 7
```
```sh
cp mine.py \\
  copied.py
```
```python
>>> from pathlib import Path
>>> x = Path("copied.py").read_text().count("7")

```
<!-- not run: it would install -->
```sh
exit 1
```
```python
>>> x
1

```
"""
    (tmp_path / "page.md").write_text(text)
    assert blocks.run(tmp_path / "page.md", blocks.here) == 4
