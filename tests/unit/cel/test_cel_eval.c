/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions and what they are: {expression, value or "!error"}. */
#include "unit/unit.h"

#include "cel/cel.h"

struct row {
    const char *text, *want; /* "!…": evaluating is this error */
};

static const char *kept(struct fed_buf *b, struct fed_arena *a)
{
    const char *z = fed_arena_dupz(a, fed_buf_str(b));

    fed_buf_release(b);
    return z;
}

static const char *result(struct fed_arena *a, const struct fed_cel_var *vars, const struct fed_json *const *trees,
                          size_t n, const char *text)
{
    struct fed_cel_program *p = NULL;
    struct fed_cel_run r;
    struct fed_cel_value values[8], v;
    struct fed_str why = {NULL, 0};
    struct fed_buf b = {0};
    int rc;

    if (fed_cel_compile(a, vars, n, fed_str(text), &p, &why))
        return fed_arena_dupz(a, why);
    fed_cel_run_init(&r);
    for (size_t i = 0; i < n; i++)
        fed_cel_from_json(&r, trees[i], vars[i].type, &values[i]);
    rc = fed_cel_eval(&r, p, values, &v);
    if (rc)
        fed_buf_addf(&b, "!%.*s", FED_STR_ARG(r.error));
    else
        fed_cel_write(&r, &v, &b);
    fed_cel_run_release(&r);
    return kept(&b, a);
}

static void check_rows(const struct row *rows, size_t n, const struct fed_cel_var *vars,
                       const struct fed_json *const *trees, size_t n_vars)
{
    for (size_t i = 0; i < n; i++) {
        struct fed_arena a = {0};

        CHECK_TEXT(rows[i].text, fed_str(result(&a, vars, trees, n_vars, rows[i].text)), rows[i].want);
        fed_arena_release(&a);
    }
}
#define CHECK_ROWS(rows) check_rows(rows, FED_ARRAY_LEN(rows), NULL, NULL, 0)

static void literals_and_arithmetic(void **state)
{
    static const struct row rows[] = {
        {"1 + 2 * 3 - 4 / 2", "5"},
        {"-7 / 2", "-3"},
        {"-7 % 3", "-1"},
        {"0x1F", "31"},
        {"0xFFFFFFFFFFFFFFFFu", "18446744073709551615"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775807 + 1", "!integer overflow"},
        {"-9223372036854775808 - 1", "!integer overflow"},
        {"-(-9223372036854775808)", "!integer overflow"},
        {"9223372036854775807 * 2", "!integer overflow"},
        {"-9223372036854775808 / -1", "!integer overflow"},
        {"-9223372036854775808 % -1", "!integer overflow"},
        {"1u - 2u", "!unsigned integer overflow"},
        {"18446744073709551615u * 18446744073709551615u", "!unsigned integer overflow"},
        {"18446744073709551615u + 1u", "!unsigned integer overflow"},
        {"1 / 0", "!division by zero"},
        {"1 % 0", "!modulus by zero"},
        {"1.0 / 0.0", "+Inf"},
        {"--3", "3"},
        {"---3", "-3"},
        {"!!true", "true"},
        {"!true", "false"},
        {"1.5 + 1.25", "2.75"},
        {"1e3", "1000"},
        {".5 * 4.0", "2"},
        {"0.1 + 0.2", "0.30000000000000004"},
        {"1e21", "1e+21"},
        {"1e20", "100000000000000000000"},
        {"1.5e-7", "1.5e-07"},
        {"'a' + \"b\"", "\"ab\""},
        {"r'\\d' + '\\\\d'", "\"\\\\d\\\\d\""},
        {"'\\x41\\u00e9\\U0001F600\\101'", "\"A\xc3\xa9\xf0\x9f\x98\x80"
                                           "A\""},
        {"'''a'b\n\"c'''", "\"a'b\\n\\\"c\""},
        {"b'\\xff' == b'\\377'", "true"},
        {"size(b'\\u0041')", "compilation failed: ERROR: <input>:1:6: Syntax error: token recognition error at: "
                             "'b'\\u0'\n | size(b'\\u0041')\n | .....^"},
        {"b'abc' + b'd' == bytes('abcd')", "true"},
        {"[1, 2] + [3]", "[1, 2, 3]"},
        {"{'a': 1, 'b': 2}", "{\"a\": 1, \"b\": 2}"},
        {"{'a': 1}.a", "1"},
        {"{'a': 1}['b']", "!no such key: b"},
        {"{1: 'x'}[1]", "\"x\""},
        {"{1: 'x'}[dyn(1u)]", "\"x\""},
        {"{'a': 1, 'a': 2}", "!insert failed: key a already exists"},
        {"[1, 2, 3][1]", "2"},
        {"[1][5]", "!index out of bounds: 5"},
        {"[1][-1]", "!index out of bounds: -1"},
        {"null", "null"},
        {"1 + 1 // a comment\n + 2", "4"},
        {"true ? 1 : 2", "1"},
        {"false ? 1 / 0 : 2", "2"},
        {"true ? (false ? 1 : 2) : 3", "2"},
        {"false ? 1 : true ? 2 : 3", "2"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void comparisons(void **state)
{
    static const struct row rows[] = {
        {"1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", "true"},
        {"1 < 1.5", "true"},
        {"2u > 1", "true"},
        {"-1 < 0u", "true"},
        {"9223372036854775807 < 9223372036854775808.0", "true"},
        {"9007199254740993 > 9007199254740992.0", "true"},
        {"18446744073709551615u < 1e30", "true"},
        {"dyn(1) == 1.0", "true"},
        {"dyn(1) == 1u", "true"},
        {"dyn(1) == 'a'", "false"},
        {"dyn(1) != 'a'", "true"},
        {"dyn(1) < 'a'", "!no such overload"},
        {"'a' < 'b'", "true"},
        {"'abc' < 'abd' && 'a' < 'aa'", "true"},
        {"b'a' < b'b'", "true"},
        {"false < true", "true"},
        {"[1, 2] == [1, 2]", "true"},
        {"[1, 2] == [2, 1]", "false"},
        {"[dyn(1)] == [dyn(1.0)]", "true"},
        {"{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", "true"},
        {"{'a': 1} == {'a': 2}", "false"},
        {"double('NaN') == double('NaN')", "false"},
        {"double('NaN') < 1.0", "!NaN values cannot be ordered"},
        {"1 in [1, 2]", "true"},
        {"3 in [1, 2]", "false"},
        {"'a' in {'a': 1}", "true"},
        {"'b' in {'a': 1}", "false"},
        {"dyn(1.0) in [1, 2]", "true"},
        {"null == null", "true"},
        {"dyn(1) == null", "false"},
        {"type(1) == int", "true"},
        {"type('a') == string && type(1u) == uint && type(1.0) == double && type(b'') == bytes", "true"},
        {"type([]) == list && type({}) == map && type(null) == null_type && type(type(1)) == type", "true"},
        {"type(duration('1s')) == google.protobuf.Duration", "true"},
        {"type(timestamp('2024-01-01T00:00:00Z')) == google.protobuf.Timestamp", "true"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void errors_in_logic(void **state)
{
    static const struct row rows[] = {
        {"true || 1 / 0 == 1", "true"},
        {"1 / 0 == 1 || true", "true"},
        {"1 / 0 == 1 || false", "!division by zero"},
        {"1 / 0 == 1 && false", "false"},
        {"false && 1 / 0 == 1", "false"},
        {"1 / 0 == 1 && true", "!division by zero"},
        {"1 / 0 == 1 && 1 % 0 == 1 && false", "false"},
        {"dyn(1) && false", "false"},
        {"dyn(1) && true", "!no such overload"},
        {"[0, 1].all(x, 1 / x == 5)", "false"},
        {"[0, 1].exists(x, 1 / x == 1)", "true"},
        {"[0, 1].exists(x, 1 / x == 2)", "!division by zero"},
        {"[1, 0].all(x, 1 / x == 1)", "!division by zero"},
        {"[0].exists_one(x, 1 / x == 1)", "!division by zero"},
        {"dyn('a') ? 1 : 2", "!no such overload"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void macros(void **state)
{
    static const struct row rows[] = {
        {"[1, 2, 3].all(x, x > 0)", "true"},
        {"[].all(x, false)", "true"},
        {"[].exists(x, true)", "false"},
        {"[1, 2, 3].exists(x, x == 2)", "true"},
        {"[1, 2, 2].exists_one(x, x == 1)", "true"},
        {"[1, 2, 2].existsOne(x, x == 2)", "false"},
        {"[1, 2, 3].map(x, x * 2)", "[2, 4, 6]"},
        {"[1, 2, 3].map(x, x > 1, x * 2)", "[4, 6]"},
        {"[1, 2, 3].filter(x, x % 2 == 1)", "[1, 3]"},
        {"{'a': 1, 'b': 2}.all(k, k in ['a', 'b'])", "true"},
        {"{'a': 1, 'b': 2}.filter(k, k > 'a')", "[\"b\"]"},
        {"{'a': 1, 'b': 2}.map(k, k + '!')", "[\"a!\", \"b!\"]"},
        {"[[1, 2], [3]].map(l, l.map(x, x + 1))", "[[2, 3], [4]]"},
        {"[1, 2].map(x, [3, 4].map(y, x * y))", "[[3, 4], [6, 8]]"},
        {"[1, 2].map(x, [x].map(x, x + 10))", "[[11], [12]]"},
        {"['a', 'b'].all(i, v, i < 2 && v != 'c')", "true"},
        {"{'a': 1}.exists(k, v, k == 'a' && v == 1)", "true"},
        {"[5, 6].transformList(i, v, i + v)", "[5, 7]"},
        {"[5, 6].transformList(i, v, i > 0, v)", "[6]"},
        {"{'a': 1, 'b': 2}.transformMap(k, v, v * 2)", "{\"a\": 2, \"b\": 4}"},
        {"has({'a': 1}.a)", "true"},
        {"has({'a': 1}.b)", "false"},
        {"dyn(1).all(x, true)", "!no such overload"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void conversions(void **state)
{
    static const struct row rows[] = {
        {"int('42') + int(3u) + int(2.9)", "47"},
        {"int('x')", "!type conversion error from 'string' to 'int'"},
        {"int(1e30)", "!integer overflow"},
        {"int(18446744073709551615u)", "!integer overflow"},
        {"uint('7')", "7"},
        {"uint(-1)", "!unsigned integer overflow"},
        {"double('1.5')", "1.5"},
        {"double('abc')", "!type conversion error from 'string' to 'double'"},
        {"double(3)", "3"},
        {"string(1)", "\"1\""},
        {"string(1.0)", "\"1\""},
        {"string(2.5)", "\"2.5\""},
        {"string(true)", "\"true\""},
        {"string(b'abc')", "\"abc\""},
        {"string(b'\\xff')", "!invalid UTF-8 in bytes, cannot convert to string"},
        {"string(duration('90m'))", "\"5400s\""},
        {"string(duration('1500ms'))", "\"1.5s\""},
        {"string(timestamp('2024-02-29T12:30:00.5+02:00'))", "\"2024-02-29T10:30:00.5Z\""},
        {"bool('true') && !bool('False')", "true"},
        {"bool('yes')", "!type conversion error from 'string' to 'bool'"},
        {"size('h\xc3\xa9llo')", "5"},
        {"'h\xc3\xa9llo'.size()", "5"},
        {"size(bytes('h\xc3\xa9llo'))", "6"},
        {"size([1, 2]) + size({'a': 1})", "3"},
        {"int(timestamp(1700000000))", "1700000000"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void times(void **state)
{
    static const struct row rows[] = {
        {"timestamp('2024-01-01T00:00:00Z') + duration('24h') == timestamp('2024-01-02T00:00:00Z')", "true"},
        {"timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z')", "86400s"},
        {"timestamp('2024-01-01T00:00:00Z') - duration('1ns')", "2023-12-31T23:59:59.999999999Z"},
        {"duration('1h') + duration('30m') - duration('1s')", "5399s"},
        {"duration('-1.5h')", "-5400s"},
        {"duration('1h') < duration('61m')", "true"},
        {"timestamp('2024-01-01T00:00:00Z') < timestamp('2024-01-01T00:00:00.000000001Z')", "true"},
        {"timestamp('9999-12-31T23:59:59Z') + duration('1s')", "!timestamp overflow"},
        {"duration('2562047h') + duration('2562047h')", "!duration overflow"},
        {"duration('1h' + '30m').getMinutes()", "90"},
        {"duration('3723s').getHours()", "1"},
        {"duration('3723s').getSeconds()", "3723"},
        {"duration('1.5s').getMilliseconds()", "1500"},
        {"timestamp('2024-03-15T10:20:30.123Z').getFullYear()", "2024"},
        {"timestamp('2024-03-15T10:20:30.123Z').getMonth()", "2"},
        {"timestamp('2024-03-15T10:20:30.123Z').getDate()", "15"},
        {"timestamp('2024-03-15T10:20:30.123Z').getDayOfMonth()", "14"},
        {"timestamp('2024-03-15T10:20:30.123Z').getDayOfWeek()", "5"},
        {"timestamp('2024-03-15T10:20:30.123Z').getDayOfYear()", "74"},
        {"timestamp('2024-03-15T10:20:30.123Z').getHours()", "10"},
        {"timestamp('2024-03-15T10:20:30.123Z').getMinutes()", "20"},
        {"timestamp('2024-03-15T10:20:30.123Z').getSeconds()", "30"},
        {"timestamp('2024-03-15T10:20:30.123Z').getMilliseconds()", "123"},
        {"timestamp('2024-03-15T23:20:30Z').getDate('+02:00')", "16"},
        {"timestamp('2024-03-15T23:20:30Z').getHours('-01:30')", "21"},
        {"timestamp('2024-03-15T23:20:30Z').getHours('Europe/Paris')", "!unknown time zone Europe/Paris"},
        {"timestamp('nothing' + '')", "!type conversion error from 'string' to 'google.protobuf.Timestamp'"},
        {"duration('' + '1d')", "!type conversion error from 'string' to 'google.protobuf.Duration'"},
        {"timestamp('2023-02-29T00:00:00' + 'Z')", "!type conversion error from 'string' to "
                                                   "'google.protobuf.Timestamp'"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void texts(void **state)
{
    static const struct row rows[] = {
        {"'hello'.contains('ell') && 'hello'.startsWith('he') && 'hello'.endsWith('lo')", "true"},
        {"'hello'.contains('')", "true"},
        {"'h\xc3\xa9llo'.charAt(1)", "\"\xc3\xa9\""},
        {"'abc'.charAt(3)", "\"\""},
        {"'abc'.charAt(4)", "!index out of range: 4"},
        {"'h\xc3\xa9llo'.indexOf('l')", "2"},
        {"'hello'.indexOf('l', 3)", "3"},
        {"'hello'.indexOf('x')", "-1"},
        {"'hello'.indexOf('')", "0"},
        {"'hello'.lastIndexOf('l')", "3"},
        {"'hello'.lastIndexOf('l', 2)", "2"},
        {"'hello'.lastIndexOf('x')", "-1"},
        {"['a', 'b'].join()", "\"ab\""},
        {"['a', 'b', 'c'].join('-')", "\"a-b-c\""},
        {"[].join(',')", "\"\""},
        {"'HeLLo'.lowerAscii() + 'HeLLo'.upperAscii()", "\"helloHELLO\""},
        {"'hello hello'.replace('he', 'we')", "\"wello wello\""},
        {"'hello hello'.replace('he', 'we', 1)", "\"wello hello\""},
        {"'hello hello'.replace('he', 'we', 0)", "\"hello hello\""},
        {"'ab'.replace('', '_')", "\"_a_b_\""},
        {"'a,b,c'.split(',')", "[\"a\", \"b\", \"c\"]"},
        {"'a,b,c'.split(',', 2)", "[\"a\", \"b,c\"]"},
        {"'a,b,c'.split(',', 0)", "[]"},
        {"'h\xc3\xa9l'.split('')", "[\"h\", \"\xc3\xa9\", \"l\"]"},
        {"''.split(',')", "[\"\"]"},
        {"'tacocat'.substring(4)", "\"cat\""},
        {"'tacocat'.substring(0, 4)", "\"taco\""},
        {"'abc'.substring(2, 1)", "!invalid substring range. start: 2, end: 1"},
        {"'abc'.substring(1, 9)", "!index out of range: 9"},
        {"'  \\ttrim\\n '.trim()", "\"trim\""},
        {"'\\u00a0x\\u3000'.trim()", "\"x\""},
        {"'%s is %d, %.2f, %x, %b, %%'.format([dyn('a'), 5, 1.5, 255, 5])", "\"a is 5, 1.50, ff, 101, %\""},
        {"'%s'.format([[dyn(1), 'a', true, null]])", "\"[1, a, true, null]\""},
        {"'%s'.format([{'a': 1}])", "\"{a: 1}\""},
        {"'%d'.format(['x'])", "!error during formatting: %d cannot be used on string"},
        {"'%s'.format([])", "!index 0 out of range"},
        {"strings.quote('a\"b\\n')", "\"\\\"a\\\\\\\"b\\\\n\\\"\""},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void patterns(void **state)
{
    static const struct row rows[] = {
        {"'hello'.matches('^h.*o$')", "true"},
        {"matches('hello', 'ell')", "true"},
        {"'hello'.matches('^ell')", "false"},
        {"'a1b22'.find('[0-9]+')", "\"1\""},
        {"'a1b22'.findAll('[0-9]+')", "[\"1\", \"22\"]"},
        {"'a1b22c3'.findAll('[0-9]+', 2)", "[\"1\", \"22\"]"},
        {"'abc'.find('x')", "\"\""},
        {"'abc'.findAll('x')", "[]"},
        {"'abc'.findAll('')", "[\"\", \"\", \"\", \"\"]"},
        {"'abc'.matches('[' + 'a')", "!error parsing regexp: missing closing ]: `[a`"},
        {"'abc'.matches('a(b' + ')c')", "true"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void lists_and_sets(void **state)
{
    static const struct row rows[] = {
        {"[1, 2, 3].isSorted()", "true"},
        {"['b', 'a'].isSorted()", "false"},
        {"[].isSorted()", "true"},
        {"[1, 2, 3].sum()", "6"},
        {"[1.5, 2.5].sum()", "4"},
        {"[].sum() == 0", "true"},
        {"[duration('1h'), duration('1m')].sum()", "3660s"},
        {"[3, 1, 2].min()", "1"},
        {"[3, 1, 2].max()", "3"},
        {"['b', 'a'].max()", "\"b\""},
        {"[].map(x, 1).min()", "!min called on empty list"},
        {"[1, 2, 2].indexOf(2)", "1"},
        {"[1, 2, 2].lastIndexOf(2)", "2"},
        {"[1].indexOf(3)", "-1"},
        {"sets.contains([1, 2, 3], [1, 3])", "true"},
        {"sets.contains([1], [1, 3])", "false"},
        {"sets.equivalent([1, 2, 2], [2, 1])", "true"},
        {"sets.intersects([1, 2], [2, 3])", "true"},
        {"sets.intersects([1], [])", "false"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void network_and_quantities(void **state)
{
    static const struct row rows[] = {
        {"url('https://user@example.com:80/a%20b?k=1&k=2&z=x%20y').getHost()", "\"example.com:80\""},
        {"url('https://example.com:80/a%20b?k=1&k=2').getHostname()", "\"example.com\""},
        {"url('https://[::1]:80/').getHostname()", "\"::1\""},
        {"url('https://example.com:80/').getPort()", "\"80\""},
        {"url('https://example.com/a%20b').getEscapedPath()", "\"/a%20b\""},
        {"url('/path').getScheme()", "\"\""},
        {"url('https://e/?k=1&k=2&z=x%20y').getQuery()", "{\"k\": [\"1\", \"2\"], \"z\": [\"x y\"]}"},
        {"isURL('https://example.com') && isURL('/a') && !isURL('nothing') && !isURL('')", "true"},
        {"isIP('10.0.0.1') && isIP('::1') && !isIP('10.0.0.300') && !isIP('10.0.0.01')", "true"},
        {"ip('10.0.0.1').family()", "4"},
        {"ip('2001:db8::68').family()", "6"},
        {"ip.isCanonical('2001:db8::abcd')", "true"},
        {"ip.isCanonical('2001:DB8::ABCD')", "false"},
        {"ip('127.0.0.1').isLoopback() && ip('::1').isLoopback() && !ip('10.0.0.1').isLoopback()", "true"},
        {"ip('0.0.0.0').isUnspecified() && ip('169.254.1.1').isLinkLocalUnicast()", "true"},
        {"ip('10.0.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()", "true"},
        {"string(ip('::ffff'))", "\"::ffff\""},
        {"cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"},
        {"cidr('10.0.0.0/8').containsIP(ip('11.1.2.3'))", "false"},
        {"cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", "true"},
        {"cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))", "false"},
        {"string(cidr('10.1.2.3/8').masked())", "\"10.0.0.0/8\""},
        {"cidr('10.0.0.0/12').prefixLength()", "12"},
        {"string(cidr('10.1.2.3/8').ip())", "\"10.1.2.3\""},
        {"isCIDR('::/0') && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0')", "true"},
        {"isQuantity('1Gi') && isQuantity('100m') && !isQuantity('1X') && !isQuantity('')", "true"},
        {"quantity('1Gi').isGreaterThan(quantity('1G'))", "true"},
        {"quantity('1000m') == quantity('1')", "true"},
        {"quantity('50k').asInteger()", "50000"},
        {"quantity('1.5').asInteger()", "!cannot convert value to integer"},
        {"quantity('50m').asApproximateFloat()", "0.05"},
        {"quantity('1').add(quantity('500m')).compareTo(quantity('1500m'))", "0"},
        {"quantity('1').sub(2).sign()", "-1"},
        {"quantity('1').isLessThan(quantity('1001m'))", "true"},
        {"quantity('1Ei').isGreaterThan(quantity('1n')) && quantity('12345678901234567890123456789').isInteger()",
         "false"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void formats(void **state)
{
    static const struct row rows[] = {
        {"format.dns1123Label().validate('my-name')", "optional.none()"},
        {"format.dns1123Label().validate('My').hasValue()", "true"},
        {"format.dns1123Label().validate('-a').value()[0].startsWith('a lowercase RFC 1123 label')", "true"},
        {"format.dns1123Subdomain().validate('a.b-c').hasValue()", "false"},
        {"format.dns1123Subdomain().validate('a..b').hasValue()", "true"},
        {"format.dns1035Label().validate('1a').hasValue()", "true"},
        {"format.dns1123LabelPrefix().validate('a-').hasValue()", "false"},
        {"format.qualifiedName().validate('example.com/My_Name').hasValue()", "false"},
        {"format.qualifiedName().validate('/a').value()", "[\"prefix part must be non-empty\"]"},
        {"format.labelValue().validate('').hasValue() || format.labelValue().validate('a b').hasValue()", "true"},
        {"format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()", "false"},
        {"format.uuid().validate('123e4567').hasValue()", "true"},
        {"format.uri().validate('https://a/b').hasValue() || format.byte().validate('aGk=').hasValue()", "false"},
        {"format.date().validate('2024-02-30').hasValue() && format.datetime().validate('x').hasValue()", "true"},
        {"format.named('dns1123Label').value().validate('a').hasValue()", "false"},
        {"format.named('nope').hasValue()", "false"},
        {"['a' + 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'].all(x, "
         "format.dns1123Label().validate(x).value() == ['must be no more than 63 bytes'])",
         "true"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

static void optionals(void **state)
{
    static const struct row rows[] = {
        {"optional.of(1).hasValue()", "true"},
        {"optional.none().hasValue()", "false"},
        {"optional.ofNonZeroValue('').hasValue()", "false"},
        {"optional.none().value()", "!optional.none() dereference"},
        {"optional.of(1).value() + 1", "2"},
        {"optional.none().orValue(5)", "5"},
        {"optional.none().or(optional.of(2)).value()", "2"},
        {"{'a': {'b': 1}}.?a.?b.orValue(0)", "1"},
        {"{'a': {'b': 1}}.?x.?b.orValue(0)", "0"},
        {"{'a': {'b': 1}}.?x.b.orValue(0)", "0"},
        {"[1, 2][?5].orValue(9)", "9"},
        {"{'a': 1}[?'a'].value()", "1"},
        {"optional.of(2).optMap(x, x * 2).value()", "4"},
        {"optional.of(2).optFlatMap(x, optional.of(x + 1)).value()", "3"},
        {"optional.none().optMap(x, x * 2).hasValue()", "false"},
        {"[1, ?optional.none(), ?optional.of(3)]", "[1, 3]"},
        {"{'a': 1, ?'b': optional.none()}", "{\"a\": 1}"},
        {"optional.of(1) == optional.of(1) && optional.none() != optional.of(1)", "true"},
    };
    (void)state;
    CHECK_ROWS(rows);
}

/* --- trees --- */

#define FIELD(field, json, t)                                                                                          \
    {                                                                                                                  \
        FED_STR_INIT(field), FED_STR_INIT(json), t                                                                     \
    }
static const struct fed_cel_type int_type = {.kind = FED_CEL_INT}, text_type = {.kind = FED_CEL_STRING};
static const struct fed_cel_type double_type = {.kind = FED_CEL_DOUBLE}, dyn_type = {.kind = FED_CEL_DYN};
static const struct fed_cel_type time_type = {.kind = FED_CEL_TIMESTAMP}, span_type = {.kind = FED_CEL_DURATION};
static const struct fed_cel_type day_type = {.kind = FED_CEL_TIMESTAMP, .date = true};
static const struct fed_cel_type bytes_type = {.kind = FED_CEL_BYTES};
static const struct fed_cel_field item_fields[] = {FIELD("name", "name", &text_type),
                                                   FIELD("value", "value", &int_type)};
static const struct fed_cel_type item_type = {.kind = FED_CEL_OBJECT, .fields = item_fields, .n_fields = 2};
static const struct fed_str item_keys[] = {FED_STR_INIT("name")};
static const struct fed_cel_type items_type = {.kind = FED_CEL_LIST, .elem = &item_type};
static const struct fed_cel_type set_type = {.kind = FED_CEL_LIST, .elem = &text_type, .list = FED_CEL_LIST_SET};
static const struct fed_cel_type keyed_type = {
    .kind = FED_CEL_LIST, .elem = &item_type, .list = FED_CEL_LIST_KEYED, .list_keys = item_keys, .n_list_keys = 1};
static const struct fed_cel_type labels_type = {.kind = FED_CEL_MAP, .elem = &text_type, .key = &text_type};
static const struct fed_cel_field self_fields[] = {
    FIELD("__namespace__", "namespace", &text_type),
    FIELD("a__dash__b", "a-b", &int_type),
    FIELD("bytes", "bytes", &bytes_type),
    FIELD("day", "day", &day_type),
    FIELD("either", "either", &dyn_type),
    FIELD("items", "items", &items_type),
    FIELD("keyed", "keyed", &keyed_type),
    FIELD("labels", "labels", &labels_type),
    FIELD("ratio", "ratio", &double_type),
    FIELD("replicas", "replicas", &int_type),
    FIELD("set", "set", &set_type),
    FIELD("span", "span", &span_type),
    FIELD("when", "when", &time_type),
};
static const struct fed_cel_type self_type = {
    .kind = FED_CEL_OBJECT, .fields = self_fields, .n_fields = FED_ARRAY_LEN(self_fields)};
static const struct fed_cel_var vars[] = {{FED_STR_INIT("self"), &self_type}, {FED_STR_INIT("oldSelf"), &self_type}};

static void trees(void **state)
{
    static const char self[] =
        "{\"namespace\":\"ns\",\"a-b\":5,\"bytes\":\"aGk=\",\"day\":\"2024-02-03\",\"either\":\"50%\",\"ratio\":2,"
        "\"items\":[{\"name\":\"x\",\"value\":1},{\"name\":\"y\"}],\"labels\":{\"k\":\"v\",\"a.b\":\"c\"},"
        "\"keyed\":[{\"name\":\"a\",\"value\":1},{\"name\":\"b\",\"value\":2}],\"replicas\":3,\"set\":[\"x\",\"y\"],"
        "\"span\":\"1h30m\",\"when\":\"2024-01-01T00:00:00Z\"}";
    static const char old[] =
        "{\"either\":5,\"set\":[\"y\",\"x\"],\"keyed\":[{\"name\":\"b\",\"value\":2},{\"name\":\"a\",\"value\":1}],"
        "\"items\":[{\"name\":\"y\"},{\"name\":\"x\",\"value\":1}],\"replicas\":2}";
    static const struct row rows[] = {
        {"self.replicas + oldSelf.replicas", "5"},
        {"self.__namespace__", "\"ns\""},
        {"self.a__dash__b", "5"},
        {"has(self.replicas) && !has(oldSelf.ratio)", "true"},
        {"oldSelf.ratio", "!no such key: ratio"},
        {"self.items[0].name", "\"x\""},
        {"self.items.all(i, has(i.name))", "true"},
        {"self.items.exists(i, has(i.value) && i.value == 1)", "true"},
        {"self.items[1].value", "!no such key: value"},
        {"self.items[9]", "!index out of bounds: 9"},
        {"self.items.map(i, i.name)", "[\"x\", \"y\"]"},
        {"self.labels['a.b']", "\"c\""},
        {"self.labels.k", "\"v\""},
        {"'k' in self.labels && !('z' in self.labels)", "true"},
        {"self.labels.all(k, self.labels[k].size() == 1)", "true"},
        {"self.ratio / 4.0", "0.5"},
        {"type(self.either) == string && self.either.endsWith('%')", "true"},
        {"type(oldSelf.either) == int ? oldSelf.either < 10 : false", "true"},
        {"self.either < 10", "!no such overload"},
        {"self.when < timestamp('2025-01-01T00:00:00Z')", "true"},
        {"self.day.getMonth()", "1"},
        {"self.span == duration('90m')", "true"},
        {"self.bytes == b'hi'", "true"},
        {"self.set == oldSelf.set", "true"},
        {"self.keyed == oldSelf.keyed", "true"},
        {"self.items == oldSelf.items", "false"},
        {"self == self", "true"},
        {"self == oldSelf", "false"},
        {"self.set + ['y', 'z']", "[\"x\", \"y\", \"z\"]"},
        {"size(self.keyed + oldSelf.keyed)", "2"},
        {"self.items.size() + size(self.labels)", "4"},
        {"self.?ratio.orValue(1.0) + oldSelf.?ratio.orValue(1.0)", "3"},
        {"self.items.filter(i, i.name == 'x')[0].value", "1"},
    };
    struct fed_arena a = {0};
    struct fed_json *trees[2];

    (void)state;
    assert_int_equal(fed_json_parse(&a, FED_STR(self), NULL, &trees[0], NULL), 0);
    assert_int_equal(fed_json_parse(&a, FED_STR(old), NULL, &trees[1], NULL), 0);
    check_rows(rows, FED_ARRAY_LEN(rows), vars, (const struct fed_json *const *)trees, 2);
    fed_arena_release(&a);
}

/* --- mistakes that show when an expression is written --- */

static void mistakes(void **state)
{
    static const struct row rows[] = {
        {"self.foo", "ERROR: <input>:1:5: undefined field 'foo'\n | self.foo\n | ....^"},
        {"nothing", "ERROR: <input>:1:1: undeclared reference to 'nothing' (in container '')\n | nothing\n | ^"},
        {"self.replicas + 'a'", "ERROR: <input>:1:15: found no matching overload for '_+_' applied to '(int, string)'\n"
                                " | self.replicas + 'a'\n | ..............^"},
        {"self.replicas == 'a'", "ERROR: <input>:1:15: found no matching overload for '_==_' applied to "
                                 "'(int, string)'\n | self.replicas == 'a'\n | ..............^"},
        {"self.replicas.size()", "ERROR: <input>:1:19: found no matching overload for 'size' applied to 'int.()'\n | "
                                 "self.replicas.size()\n | ..................^"},
        {"self.replicas.x", "ERROR: <input>:1:14: type 'int' does not support field selection\n | self.replicas.x\n | "
                            ".............^"},
        {"self.nope()", "ERROR: <input>:1:10: undeclared reference to 'nope' (in container '')\n | self.nope()\n | "
                        ".........^"},
        {"true && 1", "ERROR: <input>:1:9: expected type 'bool' but found 'int'\n | true && 1\n | ........^"},
        {"[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"},
        {"self.replicas.all(x, true)", "ERROR: <input>:1:5: expression of type 'int' cannot be range of a "
                                       "comprehension (must be list, map, or dynamic)\n | self.replicas.all(x, true)"
                                       "\n | ....^"},
        {"[1].all(1, true)", "ERROR: <input>:1:9: argument must be a simple name\n | [1].all(1, true)\n | ........^"},
        {"has(self)", "ERROR: <input>:1:5: invalid argument to has() macro\n | has(self)\n | ....^"},
        {"'a'.matches('[')", "ERROR: <input>:1:13: invalid matches argument\n | 'a'.matches('[')\n | ............^"},
        {"duration('x') == duration('1s')", "ERROR: <input>:1:10: invalid duration argument\n | duration('x') == "
                                            "duration('1s')\n | .........^"},
        {"timestamp('x') == self.when", "ERROR: <input>:1:11: invalid timestamp argument\n | timestamp('x') == "
                                        "self.when\n | ..........^"},
        {"{[1]: 1}", "ERROR: <input>:1:2: unsupported key type 'list(int)'\n | {[1]: 1}\n | .^"},
        {"Foo{a: 1}", "ERROR: <input>:1:4: undeclared reference to 'Foo' (in container '')\n | Foo{a: 1}\n | ...^"},
        {"1 +", "ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', "
                "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | 1 +\n | ...^"},
        {"self.a b", "ERROR: <input>:1:8: Syntax error: mismatched input 'b' expecting <EOF>\n | self.a b\n | "
                     ".......^"},
        {"1 @ 2", "ERROR: <input>:1:3: Syntax error: token recognition error at: '@'\n | 1 @ 2\n | ..^"},
        {"'abc", "ERROR: <input>:1:1: Syntax error: token recognition error at: ''abc'\n | 'abc\n | ^"},
        {"while", "ERROR: <input>:1:1: reserved identifier: while\n | while\n | ^"},
        {"9223372036854775808", "ERROR: <input>:1:1: invalid int literal\n | 9223372036854775808\n | ^"},
        {"true ||\n self.foo", "ERROR: <input>:2:6: undefined field 'foo'\n |  self.foo\n | .....^"},
        {"self.foo == self.bar", "ERROR: <input>:1:5: undefined field 'foo'\n | self.foo == self.bar\n | ....^\n"
                                 "ERROR: <input>:1:17: undefined field 'bar'\n | self.foo == self.bar\n | "
                                 "................^"},
        {"", "ERROR: <input>:1:1: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', "
             "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | \n | ^"},
    };

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_cel_program *p;
        struct fed_str why = {NULL, 0};

        CHECK(rows[i].text, fed_cel_compile(&a, vars, 2, fed_str(rows[i].text), &p, &why) == FED_E_INVALID);
        CHECK(rows[i].text, fed_str_starts(why, FED_STR("compilation failed: ")));
        CHECK_TEXT(rows[i].text, fed_str_from(why, 20), rows[i].want);
        fed_arena_release(&a);
    }
}

static void bounds_of_expressions(void **state)
{
    struct fed_arena a = {0};
    struct fed_cel_program *p;
    struct fed_str why = {NULL, 0};
    struct fed_buf b = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        fed_buf_addc(&b, '(');
    assert_int_equal(fed_cel_compile(&a, NULL, 0, fed_buf_str(&b), &p, &why), FED_E_INVALID);
    assert_true(fed_str_find(why, FED_STR("expression recursion limit exceeded: 250"), 0) > 0);
    fed_buf_reset(&b);
    fed_buf_addc(&b, '1');
    for (int i = 0; i < 1000; i++)
        fed_buf_addz(&b, "+1");
    assert_int_equal(fed_cel_compile(&a, NULL, 0, fed_buf_str(&b), &p, &why), FED_E_INVALID);
    fed_buf_reset(&b);
    fed_buf_addz(&b, "true");
    for (int i = 0; i < 1000; i++)
        fed_buf_addz(&b, " && true");
    assert_int_equal(fed_cel_compile(&a, NULL, 0, fed_buf_str(&b), &p, &why), 0);
    fed_buf_reset(&b);
    while (b.n < 100001)
        fed_buf_addc(&b, ' ');
    assert_int_equal(fed_cel_compile(&a, NULL, 0, fed_buf_str(&b), &p, &why), FED_E_INVALID);
    CHECK_TEXT("long", fed_str_head(why, 105),
               "compilation failed: ERROR: <input>:1:1: expression code point size exceeds limit: size: 100001, limit "
               "100");
    fed_buf_release(&b);
    fed_arena_release(&a);
}

/* Whatever is expensive ends at the limit. */
static void bounds_of_cost(void **state)
{
    static const char *const texts[] = {
        "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, "
        "[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, a + f > 0))))))",
        "self.map(x, self.map(y, x + y)).size() > 0",
        "self.all(x, self.all(y, x.contains(y) || true))",
        "self.all(x, self.all(y, (x + y).matches('(a*)*b|(x+x+)+y') || true))",
        "self.map(x, self + self).map(l, l + l).map(l, l + l).size() > 0",
        "self.join('').split('').map(x, self.join('')).size() > 0",
        "self.all(x, self.indexOf(x) >= 0)",
        "self.map(x, self) == self.map(x, self)",
        "self.transformMap(i, v, self).size() > 0 && self.transformMap(i, v, i).transformMap(i, v, i).size() > 0",
        "sets.equivalent(self, self)",
        "self.all(x, self == self)",
        "self.map(x, '%s'.format([self])).size() > 0",
        "self.all(x, x.replace('', x).replace('', x).size() >= 0)",
        "self.all(x, x.matches('(((a{0,30}){0,30}){0,9}b)' + 'c') || true)",
    };
    const struct fed_cel_type list = {.kind = FED_CEL_LIST, .elem = &text_type};
    struct fed_cel_var var = {FED_STR("self"), &list};
    struct fed_arena a = {0};
    struct fed_json *tree = fed_json_array(&a);

    (void)state;
    for (int i = 0; i < 3000; i++)
        fed_json_push(tree, fed_json_new_strf(&a, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%d", i));
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++) {
        struct fed_cel_program *p;
        struct fed_cel_run r;
        struct fed_cel_value self, v;
        struct fed_str why = {NULL, 0};

        CHECK(texts[i], fed_cel_compile(&a, &var, 1, fed_str(texts[i]), &p, &why) == 0);
        fed_cel_run_init(&r);
        fed_cel_from_json(&r, tree, &list, &self);
        CHECK(texts[i], fed_cel_eval(&r, p, &self, &v) == FED_E_LIMIT);
        CHECK_TEXT(texts[i], r.error, "operation cancelled: actual cost limit exceeded");
        CHECK(texts[i], r.arena.used < 300u << 20);
        fed_cel_run_release(&r);
    }
    fed_arena_release(&a);
}

static void escapes(void **state)
{
    static const struct {
        const char *name, *want;
    } rows[] = {{"replicas", "replicas"},
                {"a-b", "a__dash__b"},
                {"a.b", "a__dot__b"},
                {"a/b", "a__slash__b"},
                {"a__b", "a__underscores__b"},
                {"namespace", "__namespace__"},
                {"in", "__in__"},
                {"for", "__for__"},
                {"_a", "_a"},
                {"1a", NULL},
                {"a b", NULL},
                {"\xc3\xa9", NULL},
                {"", NULL},
                {"a___b", "a__underscores___b"}};
    struct fed_arena a = {0};

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_str out = {NULL, 0};
        bool ok = fed_cel_escape(&a, fed_str(rows[i].name), &out);

        CHECK(rows[i].name, ok == (rows[i].want != NULL));
        if (ok)
            CHECK_TEXT(rows[i].name, out, rows[i].want);
    }
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_and_arithmetic),
        cmocka_unit_test(comparisons),
        cmocka_unit_test(errors_in_logic),
        cmocka_unit_test(macros),
        cmocka_unit_test(conversions),
        cmocka_unit_test(times),
        cmocka_unit_test(texts),
        cmocka_unit_test(patterns),
        cmocka_unit_test(lists_and_sets),
        cmocka_unit_test(network_and_quantities),
        cmocka_unit_test(formats),
        cmocka_unit_test(optionals),
        cmocka_unit_test(trees),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(bounds_of_expressions),
        cmocka_unit_test(bounds_of_cost),
        cmocka_unit_test(escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
