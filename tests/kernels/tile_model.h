/* A model of AMX's tiles: the intrinsics of palette 1 in C after the pseudo-code of Intel's manual, with its checks;
 * what raises an exception there ends the program here. Included where <immintrin.h>'s intrinsics would be used. Owner
 * rule: tiles belong to the thread. */
#ifndef KF_TILE_MODEL_H
#define KF_TILE_MODEL_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tile_model {
    bool configured;
    unsigned configurations; /* how often, in this thread */
    uint16_t bytes[8];       /* of a row; 0: the tile is not valid */
    uint8_t rows[8];
    uint8_t data[8][16][64];
} tile_model;

static _Thread_local tile_model tiles;

#define TILE_MUST(condition)                                                                                           \
    do {                                                                                                               \
        if (condition) break;                                                                                          \
        fprintf(stderr, "tiles: not %s\n", #condition);                                                                \
        abort();                                                                                                       \
    } while (0)

static inline void tile_model_release(void) {
    tiles.configured = false;
    memset(tiles.bytes, 0, sizeof tiles.bytes), memset(tiles.rows, 0, sizeof tiles.rows),
        memset(tiles.data, 0, sizeof tiles.data);
}

/* LDTILECFG: palette 0 is a release. */
static inline void tile_model_loadconfig(const void *from) {
    uint8_t c[64];
    memcpy(c, from, sizeof c);
    tile_model_release();
    if (c[0] == 0) return;
    TILE_MUST(c[0] == 1);
    TILE_MUST(c[1] == 0); /* start_row: for restarts after a fault alone */
    for (int i = 2; i < 16; i++) TILE_MUST(c[i] == 0);
    for (int i = 32; i < 48; i++) TILE_MUST(c[i] == 0);
    for (int i = 56; i < 64; i++) TILE_MUST(c[i] == 0);
    for (int t = 0; t < 8; t++) {
        memcpy(&tiles.bytes[t], c + 16 + 2 * t, 2);
        tiles.rows[t] = c[48 + t];
        TILE_MUST(tiles.bytes[t] <= 64 && tiles.rows[t] <= 16);
        TILE_MUST((tiles.bytes[t] == 0) == (tiles.rows[t] == 0));
    }
    tiles.configured = true;
    tiles.configurations++;
}

static inline void tile_model_valid(int t) {
    TILE_MUST(t >= 0 && t < 8);
    TILE_MUST(tiles.configured);
    TILE_MUST(tiles.rows[t] > 0);
    TILE_MUST(tiles.bytes[t] % 4 == 0);
}

/* TILELOADD: bytes and rows beyond the configured ones become zero. */
static inline void tile_model_loadd(int t, const void *base, ptrdiff_t stride) {
    tile_model_valid(t);
    memset(tiles.data[t], 0, sizeof tiles.data[t]);
    for (int r = 0; r < tiles.rows[t]; r++) memcpy(tiles.data[t][r], (const char *)base + r * stride, tiles.bytes[t]);
}

static inline void tile_model_stored(int t, void *base, ptrdiff_t stride) {
    tile_model_valid(t);
    for (int r = 0; r < tiles.rows[t]; r++) memcpy((char *)base + r * stride, tiles.data[t][r], tiles.bytes[t]);
}

static inline void tile_model_zero(int t) {
    tile_model_valid(t);
    memset(tiles.data[t], 0, sizeof tiles.data[t]);
}

/* TDPBUSD: unsigned bytes of a by signed ones of b, quads summed into i32 that wrap. */
static inline void tile_model_dpbusd(int c, int a, int b) {
    tile_model_valid(c), tile_model_valid(a), tile_model_valid(b);
    TILE_MUST(c != a && c != b && a != b);
    TILE_MUST(tiles.rows[c] == tiles.rows[a]);
    TILE_MUST(tiles.bytes[c] == tiles.bytes[b]);
    TILE_MUST(tiles.bytes[a] == 4 * tiles.rows[b]);
    for (int m = 0; m < tiles.rows[c]; m++) {
        uint32_t sums[16];
        memcpy(sums, tiles.data[c][m], sizeof sums);
        for (int k = 0; k < tiles.rows[b]; k++) {
            const uint8_t *x = tiles.data[a][m] + 4 * k;
            const int8_t *y = (const int8_t *)tiles.data[b][k];
            for (int n = 0; n < tiles.bytes[c] / 4; n++)
                sums[n] +=
                    (uint32_t)(x[0] * y[4 * n] + x[1] * y[4 * n + 1] + x[2] * y[4 * n + 2] + x[3] * y[4 * n + 3]);
        }
        memset(tiles.data[c][m], 0, sizeof tiles.data[c][m]);
        memcpy(tiles.data[c][m], sums, tiles.bytes[c]);
    }
    for (int m = tiles.rows[c]; m < 16; m++) memset(tiles.data[c][m], 0, sizeof tiles.data[c][m]);
}

#undef _tile_loadd
#undef _tile_stream_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbusd
#define _tile_loadconfig tile_model_loadconfig
#define _tile_release tile_model_release
#define _tile_loadd(t, base, stride) tile_model_loadd(t, base, (ptrdiff_t)(stride))
#define _tile_stream_loadd(t, base, stride) tile_model_loadd(t, base, (ptrdiff_t)(stride))
#define _tile_stored(t, base, stride) tile_model_stored(t, base, (ptrdiff_t)(stride))
#define _tile_zero(t) tile_model_zero(t)
#define _tile_dpbusd(c, a, b) tile_model_dpbusd(c, a, b)

#endif
