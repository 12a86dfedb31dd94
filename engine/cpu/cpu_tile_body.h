/* cpu_tile_body.h - the source that cpu_tile_{base,avx2,avx512,bf16}.c compile. They define,
 * before: VEC_N       floats in a vector          VEC_TARGET  attribute that unlocks the
 * instructions TILE_MAC(acc, p, w)  acc + the word at p times the words at w, all lanes
 *   TILE_HALF(v)         v as bf16, to the nearest
 * Every function carries VEC_TARGET, so that nothing leaks into code for other processors. */

#define HOT  static inline __attribute__((always_inline)) VEC_TARGET
#define COLD static VEC_TARGET

/* Rows p, p+1, p+2, p+3 need one pointer and two distances, so that twelve rows fit the integer
 * registers. */
#define TILE(name, MR, NV)                                                                       \
    COLD void name(const struct cpu_tile *t) {                                                   \
        vec acc[MR][NV];                                                                         \
        _Pragma("GCC unroll 16") for (int p = 0; p < MR; p++)                                    \
            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) if (t->is_first) acc[p][v] =    \
                (vec){0};                                                                        \
        else acc[p][v] = (vec) * (const vec_any *)(t->sum + (p * NV + v) * VEC_N);               \
        ptrdiff_t s = t->stride * 4;                                                             \
        for (int i = 0; i < t->n_taps; i++) {                                                    \
            const char *a0 = (const char *)(t->tap[i].x + t->x), *w = (const char *)t->tap[i].w; \
            const char *a1 = a0 + 4 * s, *a2 = a1 + 4 * s;                                       \
            for (int64_t k = 0; k < t->run; k++) {                                               \
                _Pragma("GCC unroll 16") for (int p = 0; p < MR; p++) {                          \
                    const char *a = p < 4 ? a0 : p < 8 ? a1 : a2;                                \
                    a += p % 4 * s;                                                              \
                    _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) acc[p][v] =             \
                        TILE_MAC(acc[p][v], a, w + v * 4 * VEC_N);                               \
                }                                                                                \
                a0 += 4, a1 += 4, a2 += 4, w += NV * 4 * VEC_N;                                  \
            }                                                                                    \
        }                                                                                        \
        _Pragma("GCC unroll 16") for (int p = 0; p < MR; p++)                                    \
                _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) *                           \
            (vec_any *)(t->sum + (p * NV + v) * VEC_N) = acc[p][v];                              \
    }

HOT vec tile_load(const void *p, enum dtype dtype, int64_t i) {
    if (dtype == DTYPE_F32) return (vec) * (const vec_any *)((const float *)p + i);
    half h = (half) * (const half_any *)((const uint16_t *)p + i);
    return (vec)(__builtin_convertvector(h, word) << 16);
}

HOT void tile_store(void *p, enum dtype dtype, int64_t i, vec v) {
    if (dtype == DTYPE_F32)
        *(vec_any *)((float *)p + i) = v;
    else
        *(half_any *)((uint16_t *)p + i) = TILE_HALF(v);
}

/* The last O % VEC_N channels of a row go through a vector in memory. */
HOT vec tile_load_n(const void *p, enum dtype dtype, int64_t i, int64_t n) {
    uint32_t t[VEC_N] = {0};
    size_t size = dtype == DTYPE_F32 ? 4 : 2;
    memcpy(t, (const char *)p + (size_t)i * size, (size_t)n * size);
    return tile_load(t, dtype, 0);
}

HOT void tile_store_n(void *p, enum dtype dtype, int64_t i, vec v, int64_t n) {
    uint32_t t[VEC_N];
    size_t size = dtype == DTYPE_F32 ? 4 : 2;
    tile_store(t, dtype, 0, v);
    memcpy((char *)p + (size_t)i * size, t, (size_t)n * size);
}

HOT void tile_store_rows(const struct cpu_tile_out *o, enum dtype out_dtype, bool has_add,
                         enum dtype add_dtype) {
    for (int64_t r = 0; r < o->n; r++) {
        const float *sum = o->sum + r * o->panel;
        int64_t at = r * o->stride, c = 0;
        for (; c + VEC_N <= o->O; c += VEC_N) {
            vec v = (vec) * (const vec_any *)(sum + c);
            if (o->b) v += (vec) * (const vec_any *)(o->b + c);
            if (has_add) v += tile_load(o->add, add_dtype, at + c);
            tile_store(o->out, out_dtype, at + c, v);
        }
        if (c == o->O) continue;
        vec v = (vec) * (const vec_any *)(sum + c);
        if (o->b) v += tile_load_n(o->b, DTYPE_F32, c, o->O - c);
        if (has_add) v += tile_load_n(o->add, add_dtype, at + c, o->O - c);
        tile_store_n(o->out, out_dtype, at + c, v, o->O - c);
    }
}

COLD void tile_store_any(const struct cpu_tile_out *o) {
    bool is_f32 = o->out_dtype == DTYPE_F32, adds_f32 = o->add_dtype == DTYPE_F32;
    if (!o->add && is_f32)
        tile_store_rows(o, DTYPE_F32, false, DTYPE_F32);
    else if (!o->add)
        tile_store_rows(o, DTYPE_BF16, false, DTYPE_F32);
    else if (is_f32 && adds_f32)
        tile_store_rows(o, DTYPE_F32, true, DTYPE_F32);
    else if (is_f32)
        tile_store_rows(o, DTYPE_F32, true, DTYPE_BF16);
    else if (adds_f32)
        tile_store_rows(o, DTYPE_BF16, true, DTYPE_F32);
    else
        tile_store_rows(o, DTYPE_BF16, true, DTYPE_BF16);
}

#define TILE_CASE(NV, MR)    \
    case MR:                 \
        tile_##NV##_##MR(t); \
        return;
#define TILES_6(NV)                                                                  \
    TILE(tile_##NV##_1, 1, NV)                                                       \
    TILE(tile_##NV##_2, 2, NV) TILE(tile_##NV##_3, 3, NV) TILE(tile_##NV##_4, 4, NV) \
        TILE(tile_##NV##_5, 5, NV) TILE(tile_##NV##_6, 6, NV)
#define TILES_12(NV)                                                                   \
    TILES_6(NV)                                                                        \
    TILE(tile_##NV##_7, 7, NV)                                                         \
    TILE(tile_##NV##_8, 8, NV) TILE(tile_##NV##_9, 9, NV) TILE(tile_##NV##_10, 10, NV) \
        TILE(tile_##NV##_11, 11, NV) TILE(tile_##NV##_12, 12, NV)
#define CASES_6(NV)  \
    TILE_CASE(NV, 1) \
    TILE_CASE(NV, 2) TILE_CASE(NV, 3) TILE_CASE(NV, 4) TILE_CASE(NV, 5) TILE_CASE(NV, 6)
#define CASES_12(NV) \
    CASES_6(NV)      \
    TILE_CASE(NV, 7) \
    TILE_CASE(NV, 8) TILE_CASE(NV, 9) TILE_CASE(NV, 10) TILE_CASE(NV, 11) TILE_CASE(NV, 12)

/* MANY is 6 or 12: rows of a tile that the vector registers hold. */
#define TILE_KIND(isa, type, MANY)                                                                 \
    TILES_##MANY(1) TILES_##MANY(2) COLD void tile_run_wide(const struct cpu_tile *t, int64_t n) { \
        switch (n) { CASES_##MANY(2) }                                                             \
    }                                                                                              \
    COLD void tile_run_narrow(const struct cpu_tile *t, int64_t n) {                               \
        switch (n) { CASES_##MANY(1) }                                                             \
    }                                                                                              \
    const struct cpu_tile_kind cpu_tile_##isa = {                                                  \
        .name = #isa,                                                                              \
        .dtype = type,                                                                             \
        .wide = 2 * VEC_N,                                                                         \
        .narrow = VEC_N,                                                                           \
        .n_pixels_max = MANY,                                                                      \
        .run = {tile_run_wide, tile_run_narrow},                                                   \
        .store = tile_store_any,                                                                   \
    }
