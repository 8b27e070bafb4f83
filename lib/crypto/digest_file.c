/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "base/mem.h"

struct fed_digest {
    EVP_MD_CTX *ctx;
};

struct fed_digest *fed_digest_new(void)
{
    struct fed_digest *d = FED_NEW(struct fed_digest);
    d->ctx = EVP_MD_CTX_new();
    FED_REQUIRE(d->ctx && EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) == 1);
    return d;
}

void fed_digest_add(struct fed_digest *d, struct fed_str bytes)
{
    if (bytes.n)
        FED_REQUIRE(EVP_DigestUpdate(d->ctx, bytes.p, bytes.n) == 1);
}

void fed_digest_end(struct fed_digest *d, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    FED_REQUIRE(EVP_DigestFinal_ex(d->ctx, raw, &n) == 1 && n == 32);
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = digits[raw[i] >> 4];
        hex[2 * i + 1] = digits[raw[i] & 15];
    }
    hex[64] = '\0';
    fed_digest_free(d);
}

void fed_digest_free(struct fed_digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

int fed_digest_file(const char *path, char hex[65], struct fed_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    enum { PIECE = 256 * 1024 };
    char *buf = fed_malloc(PIECE);
    struct fed_digest *d = fed_digest_new();
    ssize_t n;
    while ((n = read(fd, buf, PIECE)) > 0)
        fed_digest_add(d, fed_str_n(buf, (size_t)n));
    int code = n < 0 ? fed_err_set(err, FED_E_IO, "%s: %s", path, strerror(errno)) : 0;
    fed_digest_end(d, hex);
    free(buf);
    close(fd);
    return code;
}
