# SPDX-License-Identifier: Apache-2.0
"""Is a history of operations on one register linearizable? The search of Wing & Gong with Lowe's memory of what was tried.

A register holds a value; each written value is unique. An operation is a dict:
    kind      "read" (value: what was read), "write" (value), "cas" (expect, value), "miss" (expect: a compare-and-swap
              that was refused because the register did not hold `expect`), "delete" (the register is empty: None)
    invoke    when it began; ret: when it was answered, or None: unknown, it may take effect at any later time, or never

check(ops, initial) returns None, or words that say where no order of the operations explains what was seen.
"""
import collections


def _apply(op, state):
    """(True, next state) when the operation can happen in this state."""
    kind = op["kind"]
    if kind == "read":
        return op["value"] == state, state
    if kind == "write":
        return True, op["value"]
    if kind == "delete":
        return True, None
    if kind == "cas":
        return op["expect"] == state, op["value"]
    if kind == "miss":
        return op["expect"] != state, state
    raise ValueError(kind)


def _held(op):
    """The value that the register holds when the operation happens, if it says so."""
    return op["value"] if op["kind"] == "read" else op["expect"] if op["kind"] == "cas" else None


class _Search:
    def __init__(self, ops, initial):
        self.done = sorted((o for o in ops if o["ret"] is not None), key=lambda o: o["invoke"])
        self.open = sorted((o for o in ops if o["ret"] is None and o["kind"] not in ("read", "miss")),
                           key=lambda o: o["invoke"])
        self.writer = {o["value"]: i for i, o in enumerate(self.open) if o["kind"] != "delete"}
        self.links = {o["expect"] for o in self.open if o["kind"] == "cas"}
        self.taken = bytearray(len(self.done))
        self.used = set()  # of self.open
        self.first = 0     # everything before it is taken,
        self.end = 0       # nothing from here on
        self.left = len(self.done)
        self.state = initial
        self.used_bits = 0  # self.used as a number
        self.tried = set()
        # A value is written once, so it is in the register once, for a while: who saw it must come in that while.
        self.due = collections.Counter(_held(o) for o in self.done)
        self.deepest = (-1, None)

    def front(self):
        """The operations that may come next: those that began before the first of them was answered."""
        while self.first < len(self.done) and self.taken[self.first]:
            self.first += 1
        found, limit, i = [], None, self.first
        while i < len(self.done) and (limit is None or self.done[i]["invoke"] < limit):
            if not self.taken[i]:
                found.append(i)
                ret = self.done[i]["ret"]
                limit = ret if limit is None else min(limit, ret)
            i += 1
        return found, limit

    def delete_unknown(self, chain, limit):
        """A deletion of unknown outcome; one is as good as the other."""
        return next((i for i, o in enumerate(self.open) if o["kind"] == "delete" and i not in self.used and i not in chain
                     and o["invoke"] < limit), None)

    def may_go(self, value, by=None):
        """May the register lose this value, by this operation? All that saw it must have come (None comes back)."""
        return value is None or self.due[value] == (1 if by and _held(by) == value else 0)

    def changes(self, op):
        return op["kind"] in ("write", "cas", "delete")

    def chain(self, want, limit):
        """Operations of unknown outcome that, one after the other, put `want` into the register now."""
        chain, state = [], want
        while state != self.state or not chain:
            i = self.delete_unknown(chain, limit) if state is None else self.writer.get(state)
            if i is None or i in self.used or i in chain or self.open[i]["invoke"] >= limit:
                return None
            chain.append(i)
            if self.open[i]["kind"] != "cas":
                break
            state = self.open[i]["expect"]
            if state != self.state and not self.may_go(state):
                return None
        return chain[::-1]

    def choices(self):
        front, limit = self.front()
        # What is answered first comes first: mostly right.
        for i in sorted(front, key=lambda i: self.done[i]["ret"]):
            o = self.done[i]
            if _apply(o, self.state)[0] and (not self.changes(o) or self.may_go(self.state, o)):
                yield "done", [i]
        if not self.may_go(self.state):
            return
        wants, others = [], False
        for i in front:
            o = self.done[i]
            if o["kind"] == "read" and o["value"] != self.state:
                wants.append(o["value"])
            elif o["kind"] == "cas" and o["expect"] != self.state:
                wants.append(o["expect"])
            elif o["kind"] == "miss" and o["expect"] == self.state:
                others = True
        for want in dict.fromkeys(wants):
            chain = self.chain(want, limit)
            if chain:
                yield "open", chain
        if others:  # anything else than what is there; of those that nobody saw one is as good as the other
            unseen = set()
            for i, o in enumerate(self.open):
                if i in self.used or o["invoke"] >= limit or not _apply(o, self.state)[0]:
                    continue
                if o["kind"] == "cas" or self.due[o["value"]] or o["value"] in self.links:
                    yield "open", [i]
                elif o["kind"] not in unseen:
                    unseen.add(o["kind"])
                    yield "open", [i]

    def take(self, where, which):
        before = (self.state, self.first, self.end, self.used_bits)
        for i in which:
            op = self.done[i] if where == "done" else self.open[i]
            self.state = _apply(op, self.state)[1]
            if where == "done":
                self.taken[i] = 1
                self.left -= 1
                self.due[_held(op)] -= 1
                self.end = max(self.end, i + 1)
            else:
                self.used.add(i)
                self.used_bits |= 1 << i
        return before

    def mark(self):
        """What is taken, and the state. Only what lies between first and end needs telling: a few operations, however long
        the history is."""
        while self.first < self.end and self.taken[self.first]:
            self.first += 1
        return self.first, bytes(self.taken[self.first:self.end]), self.used_bits, self.state

    def give_back(self, where, which, before):
        for i in which:
            if where == "done":
                self.taken[i] = 0
                self.left += 1
                self.due[_held(self.done[i])] += 1
            else:
                self.used.discard(i)
        self.state, self.first, self.end, self.used_bits = before

    def run(self):
        path = [(self.choices(), None)]
        while self.left:
            progress = len(self.done) - self.left
            if progress > self.deepest[0]:
                self.deepest = (progress, self.state)
            choice = next(path[-1][0], None)
            if choice is None:
                _, how = path.pop()
                if not path:
                    return False
                self.give_back(*how)
                continue
            before = self.take(*choice)
            mark = self.mark()
            if mark in self.tried:
                self.give_back(*choice, before)
                continue
            self.tried.add(mark)
            path.append((self.choices(), (*choice, before)))
        return True


def check(ops, initial=None):
    s = _Search(ops, initial)
    if s.run():
        return None
    n, state = s.deepest
    s = _Search(ops, initial)
    stuck = sorted(s.done, key=lambda o: o["ret"])[max(0, n - 3):n + 5]
    return (f"not linearizable: {n} of {len(s.done)} operations can be explained; the register then holds {state!r}, "
            f"about here:\n" + "\n".join(f"  {o}" for o in stuck))
