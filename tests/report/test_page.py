"""One page of a run: what it says is what the report says, and it needs nothing from elsewhere."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes

from analytic_dd import cli, load_distilled
from analytic_dd.errors import DataError
from analytic_dd.report import write_page


class Reader(HTMLParser):
    """Tags, attributes and text; every tag that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if self.open[-1:] != ["style"] else ""


def written(folder, *words):
    assert cli.main(["distill", "--out", str(folder), "--no-picture", "--report", "page", *words]) == 0
    text = (folder / "page.html").read_text()
    return text, Reader(text), json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, *written(folder, "--ipc", "2")


@pytest.mark.parametrize(
    ("mode", "what"),
    [
        (["--mode", "one-image"], "it carries this model on this map"),
        (["--mode", "near-copies", "--features", "rff:p=30", "--bases", "4"], "the model stands in low-order bits"),
        (["--mode", "exact"], "The set is made for this model, not for training networks."),
    ],
)
def test_every_page_says_what_the_set_is_for(tmp_path, capsys, mode, what):
    """And so does the summary of sets near real images."""
    _, page, report = written(tmp_path / "set", *mode)
    assert what in page.text
    assert ("serves" in report) == ("exact" not in mode)
    assert "exact" in mode or f"what it is for: {report['serves']}" in capsys.readouterr().out


def test_the_page_says_what_the_report_says(run):
    _, _, page, report = run
    for key in ("original", "distilled", "random", "class_mean"):
        assert f"{100 * report['accuracies'][key]:.2f} %" in page.text
    assert f"relative error of {report['recovery']['relative_error']:.4g}: pass" in page.text
    for said in (report["data"]["sha256"], report["theorem"], report["hardware"], "numpy 2.", "20% of the samples set"):
        assert said in page.text
    for stage, seconds in report["seconds"].items():
        assert re.search(rf"{stage}\s*{seconds:.2f}", page.text)


def test_the_page_needs_no_network_and_has_a_view_for_phones(run):
    _, text, page, _ = run
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object", "embed")]
    addresses = [attrs[key] for _, attrs in page.tags for key in ("src", "href", "xlink:href") if key in attrs]
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


def test_the_images_are_those_of_the_set(run):
    folder, _, page, _ = run
    stored = load_distilled(folder)
    low, high = np.percentile(stored.x, [1.0, 99.0])
    sources = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(sources) == len(stored.x) == 20
    for source, x in zip(sources, stored.x, strict=True):
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
        assert np.abs(image - 255 * np.clip((x - low) / (high - low), 0, 1)).max() <= 0.5001


def test_what_it_says_of_loading_runs(run, monkeypatch, capsys, ratio):
    folder, _, page, _ = run
    code = page.text[page.text.index("# pip install") :].partition("# other programs")[0]
    monkeypatch.chdir(folder)
    found = {}
    exec(code, found)
    stored = load_distilled(folder)
    assert "pass" in capsys.readouterr().out
    lost = {"size": max(stored.inputs.shape), "amplification": stored.verify().condition ** 2}
    assert ratio(found["W"], stored.w, **lost) < 30


def test_a_table_is_shown_as_rows_in_its_units(tmp_path):
    load_diabetes(as_frame=True).frame.rename(columns={"age": "age <b>"}).to_csv(tmp_path / "d.csv", index=False)
    text, page, report = written(tmp_path / "out", "--data", str(tmp_path / "d.csv"), "--task", "regress")
    assert "age <b>" in page.text
    assert "age &lt;b&gt;" in text
    assert f"R2 {report['r2']['original']:.4f}" in page.text
    assert "fit_intercept=True" in page.text
    assert not [tag for tag, _ in page.tags if tag == "img"]


def test_show_writes_the_page_too_and_a_new_run_takes_an_old_page_away(run, tmp_path, capsys):
    folder, text, _, _ = run
    (folder / "page.html").unlink()
    assert cli.main(["show", str(folder), "--report", "page"]) == 0
    assert (folder / "page.html").read_text().count("<img") == text.count("<img")
    assert "page.html" in capsys.readouterr().out
    assert cli.main(["distill", "--out", str(folder), "--no-picture"]) == 0
    assert not (folder / "page.html").exists()


def test_a_damaged_report_is_refused_and_leaves_the_page(tmp_path, capsys):
    """Whatever JSON stands in it, or none."""
    written(tmp_path)
    report, page = tmp_path / "report.json", (tmp_path / "page.html").read_bytes()
    content = json.loads(report.read_text())
    damaged = [[], {}, content | {"data": None}, content | {"seconds": {"a": "b"}}, content | {"accuracies": 3}]
    damaged.append(content | {"seconds": {"a": 10**400}})  # too large for a float
    for text in (*map(json.dumps, damaged), "{", "[" * 100_000, "\xff"):
        report.write_bytes(text.encode("latin-1"))
        with pytest.raises(DataError, match=r"report\.json is no (JSON|report of a set) .*; distil again"):
            write_page(tmp_path)
        assert (tmp_path / "page.html").read_bytes() == page
    report.unlink()
    capsys.readouterr()
    assert cli.main(["show", str(tmp_path), "--report", "page"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
