/* SPDX-License-Identifier: Apache-2.0 */
/* regex.c: the machine: a list of places in the program, by priority, moved on for each character. */
#include "base/mem.h"
#include "codec/regex_priv.h"

enum { END_OF_TEXT = -1, SMALL = 96 };

struct place {
    uint32_t pc;
    size_t start; /* where this match began */
};
struct places { /* a sparse set: each pc once, in order of priority */
    struct place *dense;
    uint32_t *sparse;
    uint32_t n;
};
struct machine {
    const struct fed_regex *re;
    struct fed_str text;
    struct places now, next;
    uint32_t *stack;
    uint64_t steps;
};

/* The character at `at`, and its length; a byte that is no UTF-8 is a character of its own. */
static int32_t char_at(struct fed_str s, size_t at, size_t *n)
{
    unsigned char c;
    size_t more;
    int32_t v;

    *n = 0;
    if (at >= s.n)
        return END_OF_TEXT;
    c = (unsigned char)s.p[at];
    *n = 1;
    if (c < 0xc0)
        return c;
    more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (at + more >= s.n)
        return c;
    v = c & (0x3f >> more);
    for (size_t i = 1; i <= more; i++)
        v = v << 6 | ((unsigned char)s.p[at + i] & 0x3f);
    *n = more + 1;
    return v;
}

static bool is_word(struct fed_str s, size_t at)
{
    unsigned char c = at < s.n ? (unsigned char)s.p[at] : 0;

    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool holds(const struct machine *m, uint8_t op, size_t at)
{
    bool border;

    switch (op) {
    case FED_REGEX_TEXT_START:
        return at == 0;
    case FED_REGEX_TEXT_END:
        return at == m->text.n;
    case FED_REGEX_LINE_START:
        return at == 0 || m->text.p[at - 1] == '\n';
    case FED_REGEX_LINE_END:
        return at == m->text.n || m->text.p[at] == '\n';
    default:
        border = (at > 0 && is_word(m->text, at - 1)) != is_word(m->text, at);
        return border == (op == FED_REGEX_WORD);
    }
}

static bool has(const struct places *l, uint32_t pc)
{
    uint32_t i = l->sparse[pc];

    return i < l->n && l->dense[i].pc == pc;
}

static void put(struct places *l, uint32_t pc, size_t start)
{
    l->sparse[pc] = l->n;
    l->dense[l->n++] = (struct place){pc, start};
}

/* The place, and all that it leads to without a character. A place that is there already has priority. */
static void add(struct machine *m, struct places *l, uint32_t pc, size_t start, size_t at)
{
    uint32_t top = 0;

    m->stack[top++] = pc;
    while (top) {
        const struct fed_regex_ins *in;

        pc = m->stack[--top];
        m->steps++;
        if (has(l, pc))
            continue;
        put(l, pc, start);
        in = &m->re->ins[pc];
        if (in->op == FED_REGEX_JUMP) {
            m->stack[top++] = in->x;
        } else if (in->op == FED_REGEX_SPLIT) {
            m->stack[top++] = in->y;
            m->stack[top++] = in->x;
        } else if (in->op >= FED_REGEX_TEXT_START && in->op < FED_REGEX_MATCH && holds(m, in->op, at)) {
            m->stack[top++] = pc + 1;
        }
    }
}

static bool takes(const struct fed_regex_ins *in, int32_t c)
{
    uint32_t v = (uint32_t)c;
    bool in_class = false;

    switch (in->op) {
    case FED_REGEX_CHAR:
        return in->x == v;
    case FED_REGEX_ANY:
        return true;
    case FED_REGEX_LINE:
        return v != '\n';
    case FED_REGEX_CLASS:
        for (uint32_t i = 0; i < in->n_ranges && !in_class; i++)
            in_class = v >= in->ranges[i].lo && v <= in->ranges[i].hi;
        return in_class != in->negated;
    default:
        return false;
    }
}

/* One character for all places. True: a match was found (later places of lower priority are dropped). */
static bool move(struct machine *m, size_t at, int32_t c, size_t n, size_t *start)
{
    m->next.n = 0;
    for (uint32_t i = 0; i < m->now.n; i++) {
        const struct place *p = &m->now.dense[i];
        const struct fed_regex_ins *in = &m->re->ins[p->pc];

        m->steps += 1 + in->n_ranges / 4;
        if (in->op == FED_REGEX_MATCH) {
            *start = p->start;
            return true;
        }
        if (c != END_OF_TEXT && takes(in, c))
            add(m, &m->next, p->pc + 1, p->start, at + n);
    }
    return false;
}

static int search(struct machine *m, size_t from, size_t *start, size_t *end, uint64_t max_steps)
{
    bool found = false, only_whether = !start;
    size_t at = from, n, s = 0, e = 0;

    for (;; at += n) {
        int32_t c = char_at(m->text, at, &n);
        struct places swap = m->now;

        if (!found && !(m->re->anchored && at > 0))
            add(m, &m->now, 0, at, at);
        if (!m->now.n)
            break;
        if (move(m, at, c, n, &s)) {
            found = true;
            e = at;
            if (only_whether)
                break;
        }
        if (m->steps > max_steps)
            return FED_E_LIMIT;
        if (c == END_OF_TEXT)
            break;
        swap = m->now;
        m->now = m->next;
        m->next = swap;
    }
    if (found && start) {
        *start = s;
        *end = e;
    }
    return found;
}

uint32_t fed_regex_size(const struct fed_regex *re)
{
    return re->n;
}

int fed_regex_find(const struct fed_regex *re, struct fed_str text, size_t from, size_t *start, size_t *end,
                   uint64_t *steps, uint64_t max_steps)
{
    struct place places[2][SMALL];
    uint32_t numbers[4 * SMALL];
    struct machine m = {.re = re, .text = text};
    struct place *dense = places[0];
    uint32_t *rest = numbers;
    size_t n = re->n;
    bool small = n <= SMALL;
    int rc;

    if (!small) {
        dense = fed_calloc(2 * n, sizeof(*dense));
        rest = fed_calloc(4 * n, sizeof(*rest));
    } else {
        memset(numbers, 0, sizeof(numbers));
    }
    m.now = (struct places){dense, rest, 0};
    m.next = (struct places){dense + n, rest + n, 0};
    m.stack = rest + 2 * n; /* a place pushes two more at most, and is done once: never more than 2 n wait */
    rc = search(&m, from, start, end, max_steps);
    *steps += m.steps;
    if (!small) {
        free(dense);
        free(rest);
    }
    return rc;
}
