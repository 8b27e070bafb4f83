# SPDX-License-Identifier: Apache-2.0
"""The checker of histories itself: good ones pass, known bad ones do not."""
import itertools
import os
import random
import sys

import pytest

from linear import check


def op(kind, invoke, ret, value=None, expect=None):
    return {"kind": kind, "invoke": invoke, "ret": ret, "value": value, "expect": expect}


def w(a, b, v): return op("write", a, b, v)
def r(a, b, v): return op("read", a, b, v)
def c(a, b, e, v): return op("cas", a, b, v, e)
def miss(a, b, e): return op("miss", a, b, None, e)
def d(a, b): return op("delete", a, b)


ROUNDS = int(os.environ.get("HANSA_TEST_ROUNDS", 1500))

GOOD = {
    "nothing": [],
    "in order": [w(0, 1, "a"), r(2, 3, "a"), c(4, 5, "a", "b"), r(6, 7, "b"), d(8, 9), r(10, 11, None)],
    "a read during a write sees either": [w(0, 1, "a"), w(2, 9, "b"), r(3, 4, "a"), r(5, 6, "b")],
    "two writes at once, in either order": [w(0, 5, "a"), w(0, 5, "b"), r(6, 7, "a")],
    "unknown, never happened": [w(0, 1, "a"), w(2, None, "b"), r(3, 4, "a"), r(9, 10, "a")],
    "unknown, happened late": [w(0, 1, "a"), w(2, None, "b"), r(3, 4, "a"), r(9, 10, "b")],
    "unknown, seen only by a refusal": [w(0, 1, "a"), w(2, None, "b"), miss(3, 4, "a"), w(5, 6, "c"), r(7, 8, "c")],
    "unknown swaps in a chain": [w(0, 1, "a"), c(2, None, "a", "b"), c(3, None, "b", "x"), r(4, 5, "x")],
    "an unknown chain that begins with a delete": [w(0, 1, "a"), d(2, None), c(3, None, None, "b"), c(4, 5, "b", "x")],
    "an unknown delete": [w(0, 1, "a"), d(2, None), r(3, 4, "a"), r(5, 6, None)],
    "the later invoked comes first": [w(0, 9, "a"), w(1, 2, "b"), r(3, 4, "b"), r(10, 11, "a")],
}
BAD = {
    "a stale read": [w(0, 1, "a"), w(2, 3, "b"), r(4, 5, "a")],
    "an acknowledged write is lost": [w(0, 1, "a"), r(2, 3, None)],
    "a value that nobody wrote": [w(0, 1, "a"), r(2, 3, "z")],
    "both swaps from one value succeed": [w(0, 1, "a"), c(2, 5, "a", "b"), c(2, 5, "a", "x")],
    "a swap from a value that was not there": [w(0, 1, "a"), c(2, 3, "b", "x")],
    "back in time between two readers": [w(0, 1, "a"), w(2, 9, "b"), r(3, 4, "b"), r(5, 6, "a")],
    "seen, then gone": [w(0, 1, "a"), w(2, None, "b"), r(3, 4, "b"), r(5, 6, "a")],
    "an unknown write is seen before it began": [w(0, 1, "a"), r(2, 3, "b"), w(4, None, "b")],
    "refused for no reason": [w(0, 1, "a"), miss(2, 3, "a")],
    "a refused swap is seen": [w(0, 1, "a"), miss(2, 3, "z"), r(4, 5, "b")],
    "deleted, and there again": [w(0, 1, "a"), d(2, 3), r(4, 5, "a")],
    "an unknown chain from a value that was gone": [w(0, 1, "a"), w(2, 3, "q"), c(4, None, "a", "b"), r(6, 7, "b")],
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    assert check(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    assert "not linearizable" in check(BAD[name])


def brute(ops, initial=None):
    """All orders, all subsets of the unknown: the definition itself."""
    done = [o for o in ops if o["ret"] is not None]
    unknown = [o for o in ops if o["ret"] is None and o["kind"] not in ("read", "miss")]
    for n in range(len(unknown) + 1):
        for extra in itertools.combinations(unknown, n):
            for order in itertools.permutations(done + list(extra)):
                if any(a["invoke"] > b["ret"] for i, b in enumerate(order) if b["ret"] is not None for a in order[:i]):
                    continue
                state, fine = initial, True
                for o in order:
                    k = o["kind"]
                    fine &= {"read": o["value"] == state, "cas": o["expect"] == state,
                             "miss": o["expect"] != state}.get(k, True)
                    state = {"write": o["value"], "cas": o["value"], "delete": None}.get(k, state)
                if fine:
                    return True
    return False


def test_agrees_with_the_definition():
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    verdicts = [0, 0]
    for _ in range(ROUNDS):
        ops, written = [], [None]
        for i in range(dice.randint(2, 6)):
            a = dice.randint(0, 12)
            b = None if dice.random() < 0.25 else a + dice.randint(1, 6) + dice.random()
            kind = dice.choice(["write", "write", "read", "read", "cas", "miss", "delete"])
            if kind in ("write", "cas"):
                ops.append(op(kind, a, b, f"v{i}", dice.choice(written) if kind == "cas" else None))
                written.append(f"v{i}")
            elif kind == "delete":
                ops.append(op(kind, a, b))
            else:
                v = dice.choice(written)
                ops.append(op(kind, a, b, v if kind == "read" else None, v if kind == "miss" else None))
        mine = check(ops) is None
        assert mine == brute(ops), (seed, ops)
        verdicts[mine] += 1
    assert min(verdicts) > 100  # both kinds were tried


def test_a_long_history_takes_no_long_time():
    """20,000 operations of eight clients with restarts that leave some unknown."""
    dice, ops, state, t, n = random.Random(5), [], None, 0, 0
    for i in range(20000):
        t += 1
        kind = dice.choice(["write", "read", "cas"])
        n += 1
        span = (t - dice.random() * 4, t + dice.random() * 4)
        if kind == "read":
            ops.append(op("read", *span, state))
        elif dice.random() < 0.02:  # unknown: happens or not
            ops.append(op("write", span[0], None, n))
            state = dice.choice([n, state])
        elif kind == "write":
            ops.append(op("write", *span, n))
            state = n
        else:
            ops.append(op("cas", *span, n, state))
            state = n
    assert check(ops) is None
    # and one stale read in the middle of it
    last = [o for o in ops if o["kind"] == "write" and o["ret"]]
    stale = dict(last[100], kind="read", invoke=15000.5, ret=15000.6)
    assert check(ops + [stale]) is not None


def test_a_slow_swap_is_found():
    """It came before all that was answered before it; what was written meanwhile may have gone a thousand ways."""
    ops = [w(0, 1, "a"), c(2, 1000, "a", "b")] + [w(2, None, f"unknown{i}") for i in range(300)]
    for i in range(40):
        at = 20 * i + 10
        ops += [w(at, at + 9, f"w{i}"), w(at + 1, at + 8, f"x{i}"), miss(at + 10, at + 12, f"w{i}"), miss(at + 11, at + 15, f"x{i}")]
    assert check(ops) is None
    assert check(ops + [r(2000, 2001, "a")]) is not None


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
