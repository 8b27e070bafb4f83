# SPDX-License-Identifier: Apache-2.0
"""What the documents say against what is there: manual pages, metrics, pages, links."""
import os
import pathlib
import re
import subprocess

import pytest

from test_rules import FILES, HOUSE, ROOT

# program -> its page, and the command that prints it
PAGES = {
    "hansa-fedapi": ("docs/man/hansa-fedapi.8", ["--help=man"]),
    "hansa-member": ("docs/man/hansa-member.8", ["--help=man"]),
    "hansa-dns": ("docs/man/hansa-dns.8", ["--help=man"]),
    "hansa-globallb": ("docs/man/hansa-globallb.8", ["--help=man"]),
    "kubefed": ("docs/man/kubefed.1", ["help", "--man"]),
}
VERBS = ["init", "join", "unjoin", "status", "up", "down", "version"]


def program(name):
    for build in (os.environ.get("HANSA_BUILD"), "build/release", "build"):
        path = build and ROOT / build / "bin" / name
        if path and path.exists():
            return str(path)
    pytest.skip(f"{name} is not built")


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", PAGES)
def test_manual_page_is_up_to_date(name):
    page, args = PAGES[name]
    assert (ROOT / page).read_text() == output(program(name), *args), f"{page}: run docs/man/make"


@pytest.mark.parametrize("name", PAGES)
def test_manual_page_names_every_setting(name):
    page = (ROOT / PAGES[name][0]).read_text().replace("\\-", "-")
    helps = [output(program(name), v, "--help") for v in VERBS] if name == "kubefed" else [output(program(name), "--help")]
    flags = {f for text in helps for f in re.findall(r"^  (--[a-z0-9-]+)", text, re.M)}
    assert len(flags) > 5
    # What every program has is told by kubefed's page once.
    missing = sorted(f for f in flags if not re.search(re.escape(f) + r"\b(?!-)", page))
    assert not missing, missing


def metrics_in_code():
    found = {}
    for f in HOUSE:
        if f.suffix == ".c" and "schema" not in f.parts:
            for name in re.findall(r'"((?:hansa|apiserver|process)_[a-z0-9_]+)[ "{\\]', f.read_text()):
                found.setdefault(name, str(f.relative_to(ROOT)))
    return found


def test_every_metric_is_documented():
    text = (ROOT / "docs/operators/metrics.md").read_text()
    code = metrics_in_code()
    assert len(code) > 20
    missing = [f"{name} ({where})" for name, where in sorted(code.items()) if not re.search(f"`{name}[`{{]", text)]
    assert not missing, "\n".join(missing)
    gone = sorted(set(re.findall(r"`((?:hansa|apiserver|process)_[a-z0-9_]+)[`{]", text)) - set(code))
    assert not gone, "documented, but not in the code: " + ", ".join(gone)


def test_every_page_of_internals_exists():
    named = set(re.findall(r"\b([a-z-]+\.md)\b", (ROOT / "docs/architecture.md").read_text()))
    missing = sorted(n for n in named if not (ROOT / "docs/internals" / n).exists())
    assert not missing, missing


def test_every_internals_page_is_named():
    text = (ROOT / "docs/architecture.md").read_text()
    lost = [p.name for p in (ROOT / "docs/internals").glob("*.md") if p.name not in text]
    assert not lost, lost


def anchors(path):
    heads = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


def test_no_dead_relative_links():
    dead = []
    for f in FILES:
        if f.suffix != ".md":
            continue
        text = re.sub(r"^```.*?^```", "", f.read_text(), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            path = (f.parent / target).resolve() if target else f
            if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
                dead.append(f"{f.relative_to(ROOT)}: {link}")
    assert not dead, "\n".join(dead)


def test_examples_are_named_where_operators_read():
    text = "".join(p.read_text() for p in [ROOT / "README.md", *sorted((ROOT / "docs/operators").glob("*.md"))])
    lost = [p.name for p in sorted((ROOT / "docs/examples").glob("*.yaml")) if p.name not in text]
    assert not lost, lost


def test_every_setting_of_time_in_operators_pages_exists():
    """Flags that the operators' pages name are flags of some program."""
    known = set()
    for name in PAGES:
        page = (ROOT / PAGES[name][0]).read_text().replace("\\-", "-")
        known |= set(re.findall(r"--[a-z0-9][a-z0-9-]*", page))
    known |= {"--help", "--check", "--config", "--version", "--build-only", "--tests", "--long"}
    wrong = []
    for p in [ROOT / "README.md", *sorted((ROOT / "docs/operators").glob("*.md"))]:
        for line in p.read_text().split("\n"):
            if re.search(r"\b(kubectl|dig|curl|openssl|systemctl|cmake|ninja|sqlite3|dnsperf|ctest|git|ss|etcdctl|etcdutl)\b", line):
                continue
            wrong += [f"{p.relative_to(ROOT)}: {f}" for f in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", line)
                      if f not in known]
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    raise SystemExit(pytest.main([str(pathlib.Path(__file__))]))
