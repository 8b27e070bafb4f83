# SPDX-License-Identifier: Apache-2.0
"""tests/fuzz/decoders.md is complete and true: each decoder of a header has its fuzz target there, or a reason why not."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUZZ = ROOT / "tests/fuzz"


def rows():
    for line in (FUZZ / "decoders.md").read_text().split("\n"):
        cells = [c.strip() for c in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "decoder":
            yield re.findall(r"`(\w+)`", cells[0]), cells[2]


def declared():
    """Functions of headers that are named as decoders are."""
    for name in subprocess.run(["git", "ls-files", "*.h"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split():
        if name.startswith("tests/") or not (ROOT / name).is_file():
            continue
        text = re.sub(r"/\*.*?\*/", "", (ROOT / name).read_text(), flags=re.S)
        for f in re.findall(r"\b([a-z]\w*)\(", text):
            if re.search(r"_(parse|decode)(_|$)", f):
                yield f, name


def test_every_decoder_is_listed():
    listed = {f for names, _ in rows() for f in names}
    wrong = sorted(f"{f} of {header} is not in tests/fuzz/decoders.md" for f, header in set(declared()) if f not in listed)
    assert not wrong, "\n".join(wrong)


def test_every_target_is_there_and_calls_it():
    wrong = []
    for names, target in rows():
        if target.startswith("none: "):
            continue
        m = re.fullmatch(r"(\w+)/fuzz_(\w+)(?: through `(\w+)`)?", target)
        source = m and FUZZ / m.group(1) / f"fuzz_{m.group(2)}.c"
        if not m or not source.is_file():
            wrong.append(f"no such target: {target}")
            continue
        if not any((FUZZ / m.group(1) / f"corpus_{m.group(2)}").glob("*")):
            wrong.append(f"{target} has no corpus")
        for f in [m.group(3)] if m.group(3) else names:
            if not re.search(rf"\b{f}\(", source.read_text()):
                wrong.append(f"{target} does not call {f}")
    assert not wrong, "\n".join(wrong)


def test_every_target_is_listed():
    listed = {t.split(" ")[0] for _, t in rows()}
    there = {f"{f.parent.name}/{f.stem}" for f in FUZZ.glob("*/fuzz_*.c")}
    assert not there - listed, there - listed
