/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ws_accept.h"

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/base64.h"

int fed_ws_accept(struct fed_str key, char out[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[24 + sizeof(guid) - 1];
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (key.n != 24 || key.p[22] != '=' || key.p[23] != '=')
        return FED_E_SYNTAX;
    memcpy(text, key.p, 24);
    memcpy(text + 24, guid, sizeof(guid) - 1);
    /* SHA-1 as the protocol wants it: it proves that the server understood, not who it is. */
    if (EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha1(), NULL) != 1)
        return FED_E_INTERNAL;
    struct fed_buf b = {.max = 28};
    fed_base64_encode(&b, fed_str_n((const char *)digest, 20));
    memcpy(out, fed_buf_z(&b), 29);
    fed_buf_release(&b);
    return 0;
}
