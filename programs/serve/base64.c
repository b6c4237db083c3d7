/* Base64 (RFC 4648).
 * Owner rule: nothing is kept. */
#include "serve/base64.h"

/* 0..63, or -1. */
static int value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62; /* the second one of each is of the alphabet for URLs */
    if (c == '/' || c == '_') return 63;
    return -1;
}

bool sv_base64(const char *text, size_t bytes, uint8_t *to, size_t *n) {
    uint32_t bits = 0;
    int held = 0;
    size_t at = 0;
    while (bytes && text[bytes - 1] == '=' && bytes % 4 != 1) bytes--;
    if (bytes % 4 == 1) return false;
    for (size_t i = 0; i < bytes; i++) {
        int v = value(text[i]);
        if (v < 0) return false;
        bits = bits << 6 | (uint32_t)v, held += 6;
        if (held >= 8) held -= 8, to[at++] = (uint8_t)(bits >> held);
    }
    *n = at;
    return true;
}

size_t sv_base64_of(const uint8_t *data, size_t bytes, char *to) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16 | (i + 1 < bytes ? (uint32_t)data[i + 1] << 8 : 0);
        bits |= i + 2 < bytes ? data[i + 2] : 0;
        for (int k = 0; k < 4; k++) to[n++] = DIGITS[bits >> (18 - 6 * k) & 63];
    }
    for (size_t k = 0; k < (3 - bytes % 3) % 3; k++) to[n - 1 - k] = '=';
    return n;
}
