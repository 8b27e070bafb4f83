# SPDX-License-Identifier: Apache-2.0
"""The tables of kubectl's conformance: what a row says, and whether a command did as it says. docs/contributing/adding-a-row.md tells how to add one.

A text that is expected is the whole output, but for

    ...       within a line: anything; alone in a line: any lines, or none
    <age>     5s, 3m20s, 4d, and of events "9s (x2 over 12s)"       <n>  a number       <any>  anything without spaces

and one space stands for any number of them, so that tables stay readable.
"""
import pathlib
import re
import shlex
import subprocess
import time

import yaml

KEYS = {"run", "input", "exit", "out", "err", "then", "until", "versions", "at", "during", "edit", "why", "out has", "out lacks",
        "err has", "sh"}
GROUP_KEYS = {"group", "at", "files", "rows", "versions", "alone", "label"}
AGE = r"\d+[smhdy]\d*[smhd]?"
MARKS = {"...": ".*", "<age>": rf"(?:{AGE}(?: \(x\d+ over {AGE}\))?|<unknown>)", "<n>": r"\d+", "<any>": r"\S+"}


def pattern(text):
    """A compiled expression for an expected text."""
    parts = []
    for line in text.rstrip("\n").split("\n"):
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
            continue
        made = ""
        for piece in re.split(r"(<age>|<n>|<any>|\.\.\.| +)", line.rstrip()):
            made += MARKS.get(piece) or (r"[ \t]+" if piece.startswith(" ") else re.escape(piece))
        parts.append(made + r"[ \t]*\n")
    return re.compile("".join(parts))


def misfit(text, output):
    """Why the output is not the text, or None."""
    if not text.strip():
        return None if not output.strip() else "should be empty"
    return None if pattern(text).fullmatch(output.rstrip("\n") + "\n") else "should be:\n" + text.rstrip("\n")


def serves(condition, minor):
    """Whether "1.27+", "-1.26" or "1.21-1.26" includes kubectl 1.MINOR."""
    m = re.fullmatch(r"(?:1\.(\d+))?(\+|-)?(?:1\.(\d+))?", str(condition))
    assert m and any(m.groups()), f"not a range of versions: {condition}"
    low, sign, high = m.groups()
    if sign == "+":
        return minor >= int(low)
    if sign == "-":
        return (not low or minor >= int(low)) and minor <= int(high)
    return minor == int(low)


def for_version(value, minor):
    """A text, or the one of a mapping {versions: text} that this kubectl's version has."""
    if not isinstance(value, dict):
        return value
    return next((text for versions, text in value.items() if serves(versions, minor)), None)


class Table:
    """One file: groups of rows. A group has a namespace of its own; its rows run in their order. A document without a group
    has files for all of them."""

    def __init__(self, path):
        self.path = path
        documents = [d for d in yaml.safe_load_all(path.read_text()) if d]
        shared = {name: text for d in documents if "group" not in d for name, text in d["files"].items()}
        self.groups = [d for d in documents if "group" in d]
        for g in self.groups:
            g["files"] = {**shared, **g.get("files", {})}
            assert not set(g) - GROUP_KEYS, f"{path}: {g.get('group')}: unknown {set(g) - GROUP_KEYS}"
            for row in g["rows"]:
                assert not set(row) - KEYS, f"{path}: {g['group']}: unknown {set(row) - KEYS} in {row}"
                assert "run" in row or "sh" in row, f"{path}: {g['group']}: {row}"


class Runner:
    """Runs a group's rows with one kubectl against one server."""

    def __init__(self, kubectl, minor, env, ns, files):
        self.kubectl, self.minor, self.env, self.ns, self.files = kubectl, minor, env, ns, files or {}

    def fill(self, text):
        return text.replace("$NS", self.ns) if isinstance(text, str) else text

    def argv(self, command):
        return [self.kubectl, *shlex.split(self.fill(command))]

    def call(self, command, row):
        given = row.get("input")
        env = dict(self.env, KUBE_EDITOR=row.get("edit", "false"), KUBECTL=self.kubectl)
        argv = ["sh", "-c", self.fill(row["sh"])] if "sh" in row else self.argv(command)
        done = subprocess.run(argv, env=env, capture_output=True, timeout=120, cwd=self.env["HOME"],
                              input=self.fill(self.files.get(given, given) or "").encode())
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def judge(self, row, code, out, err):
        """What is wrong, as a list of texts."""
        wrong = []
        want = for_version(row.get("exit", 0), self.minor)
        if code != want:
            wrong.append(f"exit {code}, should be {want}")
        for name, got in (("out", out), ("err", err)):
            text = self.fill(for_version(row.get(name), self.minor))
            has = for_version(row.get(name + " has"), self.minor)
            if text is None and has is None and name == "err" and want == 0:
                text = ""  # a command that works says nothing on the side
            bad = misfit(text, got) if text is not None else None
            if bad:
                wrong.append(f"std{name} {bad}")
            for each in [has] if isinstance(has, str) else has or []:
                if not re.search(pattern(self.fill(each)).pattern.removesuffix(r"[ \t]*\n"), got):
                    wrong.append(f"std{name} lacks {each!r}")
            for each in row.get(name + " lacks", []):
                if self.fill(each) in got:
                    wrong.append(f"std{name} has {each!r}")
        return wrong

    def watched(self, row):
        """A command that does not end by itself: what it prints while the commands of `during` run. They begin when its watch is
        open, which it notes with -v=6."""
        path, side = pathlib.Path(self.env["HOME"], "watched"), pathlib.Path(self.env["HOME"], "noted")
        said = lambda: path.read_text() + re.sub("^I\\d{4} .*\n", "", side.read_text(), flags=re.M)
        with open(path, "wb") as f, open(side, "wb") as g:
            p = subprocess.Popen([*self.argv(row["run"]), "-v=6"], env=self.env, stdout=f, stderr=g, cwd=self.env["HOME"])
            try:
                steps = list(row["during"])
                end = time.monotonic() + 60
                while not re.search("(watch|follow)=true.*200 OK", side.read_text()):
                    if time.monotonic() > end or p.poll() is not None:
                        return p.poll() or 1, path.read_text(), side.read_text()
                    time.sleep(0.02)
                end = time.monotonic() + 20
                while True:
                    if steps:
                        code, out, err = self.call(steps.pop(0), {})
                        if code:
                            return 1, out, err
                    over = time.monotonic() > end or p.poll() is not None
                    text = said()
                    if not steps and not misfit(self.fill(for_version(row["out"], self.minor)), text):
                        return 0, text, ""
                    if over and not steps:
                        return p.poll() or 0, text, side.read_text()
                    time.sleep(0.05)
            finally:
                p.kill()
                p.wait()

    def row(self, row):
        """None, or a text that says what the row expected and what happened."""
        if "versions" in row and not serves(row["versions"], self.minor):
            return None
        end = time.monotonic() + row.get("until", 0)
        while True:
            code, out, err = self.watched(row) if "during" in row else self.call(row.get("run"), row)
            wrong = self.judge(row, code, out, err)
            for command, text in (row.get("then") or {}).items():
                if wrong:
                    break
                c, o, e = self.call(command, {})
                bad = misfit(self.fill(str(text)), o if not c else o + e)
                wrong = [f"then {command}: {o}{e}{bad}"] if bad else []
            if not wrong or time.monotonic() >= end:
                break
            time.sleep(0.1)
        if not wrong:
            return None
        return f"$ kubectl {self.fill(row.get('run') or row.get('sh'))}\n" + "\n".join(wrong) + f"\n--- stdout\n{out[:2000]}\n--- stderr\n{err[:2000]}"

    def run(self, rows, target):
        """The failures of a group."""
        failed = []
        for row in rows:
            if target in row.get("at", target).split():
                bad = self.row(row)
                failed += [bad] if bad else []
        return failed
