# SPDX-License-Identifier: Apache-2.0
"""Which file calls which: no file may call one that, over however many others, calls it back.

The names that a file defines for others are those of its functions and objects without `static`; each of them that
another file mentions (a call, or its address) is an arrow. To see the arrows of a circle: python3 tests/repo/test_circles.py
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def house():
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split("\n")
    return [n for n in names if n and not n.startswith("tests/") and (ROOT / n).is_file()]


def code(text):
    """Without comments and the insides of literals."""
    return re.sub(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", " ", text, flags=re.S)


def defined(text):
    """What others can link to: functions whose body follows, objects with an initial value."""
    found = set()
    for head in re.findall(r"^(?!static\b|typedef\b|struct \w+\n?\s*\{|enum\b)([a-z][^;{}#]*?)\s*\{", text, re.M):
        m = re.match(r"[^(=]*?\b(\w+)\s*(?:\[[^\]]*\]\s*)*(?:\(|=)", head)
        if m:
            found.add(m.group(1))
    return found


def arrows():
    """file -> {file that it calls: names}."""
    texts = {n: code((ROOT / n).read_text()) for n in house()}
    owners = collections.defaultdict(set)
    for n, text in texts.items():
        for name in defined(text) - {"main"}:
            owners[name].add(n)
    out = {n: collections.defaultdict(set) for n in texts}
    for n, text in texts.items():
        for name in set(re.findall(r"\b[a-z]\w+\b", text)):
            for owner in owners.get(name, ()):
                # a name of several programs is meant within one's own folder
                if owner != n and n not in owners[name] and (len(owners[name]) == 1 or
                                                             owner.split("/")[0] == n.split("/")[0]):
                    out[n][owner].add(name)
    return out


def circles(out):
    """Strongly connected components of two and more (Tarjan)."""
    sys.setrecursionlimit(10000)
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in out[v]:
            if w not in index:
                visit(w)
            if w in stack:
                low[v] = min(low[v], low[w])
        if low[v] == index[v]:
            at = stack.index(v)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for v in out:
        if v not in index:
            visit(v)
    return sorted(found)


def test_files_call_one_way():
    wrong = ["a circle: " + " ".join(circle) for circle in circles(arrows())]
    assert not wrong, "\n".join(wrong)


def main():
    out = arrows()
    for circle in circles(out):
        print(f"{len(circle)} files")
        for a in circle:
            for b in sorted(out[a]):
                if b in circle:
                    print(f"    {a} -> {b}: {' '.join(sorted(out[a][b]))}")


if __name__ == "__main__":
    main()
