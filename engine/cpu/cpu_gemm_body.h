/* cpu_gemm_body.h - the kernel of cpu_gemm.h, compiled once per instruction set and type. Before it
 * come cpu_vec_types.h, cpu_vec_math.h and
 *   GEMM_NV          vectors in a panel
 *   gemm_number      type of a sum: float, or int32_t for u8 products
 *   GEMM_SPREAD(w)   a word in all lanes
 *   GEMM_MAC(sum, x, w)  sum plus the products of a word of x, in all lanes, and a vector of words
 *   GEMM_HALF(v)     a vector as bf16, where the processor can; else it is done here
 * Sums of u8 products lie where floats would. GEMM_REAL_KIND() or GEMM_KIND() at the end of the
 * file makes the kind. */

#define GEMM_NR (GEMM_NV * VEC_N)

typedef int32_t gemm_words __attribute__((vector_size(4 * VEC_N)));
typedef gemm_number gemm_sum __attribute__((vector_size(4 * VEC_N)));
typedef gemm_number gemm_sum_any __attribute__((vector_size(4 * VEC_N), aligned(4), may_alias));
typedef int32_t gemm_words_any __attribute__((vector_size(4 * VEC_N), aligned(4), may_alias));

HOT int32_t gemm_word(const char *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* gcc keeps sums in registers only when the loops over them are gone before it decides; clang does
 * it by itself. */
#if defined(__clang__)
#define GEMM_UNROLL
#else
#define GEMM_UNROLL _Pragma("GCC unroll 8")
#endif

/* All rows of sums take one word of K; row i of x is at x[i / 3] + i % 3 * stride. */
HOT void gemm_take(gemm_sum sum[][GEMM_NV], const char *const x[2], int64_t stride,
                   const uint32_t *w, int rows, int vecs) {
    gemm_words b[GEMM_NV];
    GEMM_UNROLL
    for (int v = 0; v < vecs; v++)
        b[v] = *(const gemm_words_any *)(w + v * VEC_N);
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        gemm_words a = GEMM_SPREAD(gemm_word(x[i / 3] + i % 3 * stride));
        GEMM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = GEMM_MAC(sum[i][v], a, b[v]);
    }
}

HOT void gemm_keep(gemm_sum sum[][GEMM_NV], float *to, bool is_first, int rows, int vecs) {
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int v = 0; v < vecs; v++) {
            gemm_sum_any *at = (gemm_sum_any *)(void *)(to + i * GEMM_NR + v * VEC_N);
            *at = is_first ? sum[i][v] : sum[i][v] + *at;
        }
    }
}

HOT void gemm_step(const struct cpu_gemm_step *s, int rows, int vecs) {
    gemm_sum sum[CPU_GEMM_ROWS][GEMM_NV];
    const char *x[2] = {s->x, s->x + 3 * s->x_stride}, *ahead = s->ahead;
    const uint32_t *w = s->w;
    int64_t stride = s->x_stride, ahead_step = s->ahead_step;
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = (gemm_sum){0};
    }
    for (int64_t k = s->n_words; k > 0; k--, x[0] += 4, x[1] += 4, w += GEMM_NR) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        gemm_take(sum, x, stride, w, rows, vecs);
    }
    if (s->is_first)
        gemm_keep(sum, s->sum, true, rows, vecs);
    else
        gemm_keep(sum, s->sum, false, rows, vecs);
}

#define GEMM_STEP(rows, vecs)                                       \
    COLD void step_##rows##_##vecs(const struct cpu_gemm_step *s) { \
        gemm_step(s, rows, vecs);                                   \
    }
#define GEMM_STEPS(vecs) \
    GEMM_STEP(1, vecs)   \
    GEMM_STEP(2, vecs)   \
    GEMM_STEP(3, vecs) GEMM_STEP(4, vecs) GEMM_STEP(5, vecs) GEMM_STEP(6, vecs)

typedef uint16_t gemm_half __attribute__((vector_size(2 * VEC_N)));
typedef uint16_t gemm_half_any __attribute__((vector_size(2 * VEC_N), aligned(2), may_alias));
typedef int32_t gemm_int_any __attribute__((vector_size(4 * VEC_N), aligned(4), may_alias));

#ifndef GEMM_HALF
/* As half_to_bf16(). */
HOT gemm_half gemm_to_half(vec v) {
    vec_int bits = (vec_int)v, one = {0};
    one += 1;
    vec_int up = (bits + 0x7fff + (bits >> 16 & one)) >> 16;
    vec_int is_number = v == v;
    return __builtin_convertvector((up & is_number) | ((bits >> 16 | 0x40) & ~is_number),
                                   gemm_half);
}
#define GEMM_HALF gemm_to_half
#endif

/* The last 1..VEC_N numbers; those past the end stay as they are. */
HOT void gemm_put(void *out, enum dtype dtype, int64_t at, vec v, int64_t n) {
    if (dtype == DTYPE_F32) {
        if (n == VEC_N)
            vec_store((float *)out + at, v);
        else
            vec_store_n((float *)out + at, v, n);
        return;
    }
    gemm_half h = GEMM_HALF(v);
    if (n == VEC_N)
        *(gemm_half_any *)((uint16_t *)out + at) = h;
    else
        memcpy((uint16_t *)out + at, &h, (size_t)n * sizeof(uint16_t));
}

HOT vec gemm_get(const void *x, enum dtype dtype, int64_t at, int64_t n) {
    if (dtype == DTYPE_F32) {
        const float *p = (const float *)x + at;
        return n == VEC_N ? vec_load(p) : vec_load_n(p, n, 0.0f);
    }
    gemm_half h = {0};
    if (n == VEC_N)
        h = *(const gemm_half_any *)((const uint16_t *)x + at);
    else
        memcpy(&h, (const uint16_t *)x + at, (size_t)n * sizeof(uint16_t));
    return (vec)(__builtin_convertvector(h, vec_int) << 16);
}

/* Columns at .. at+n-1 of all rows. */
HOT void gemm_finish_vec(const struct cpu_gemm_out *o, enum act act, int64_t at, int64_t n) {
    vec b = o->b ? gemm_get(o->b, DTYPE_F32, at, n) : VEC_SET1(0.0f);
    vec scale = o->scale_w ? vec_load(o->scale_w + at) : b;
    vec_int total = {0};
    if (o->total_w) total = *(const gemm_int_any *)(o->total_w + at);
    for (int64_t i = 0; i < o->n_rows; i++) {
        char *out = o->out + i * o->out_stride;
        const float *sum = o->sum + i * GEMM_NR + at;
        vec v = vec_load(sum);
        if (o->scale_w) {
            vec_int whole = *(const gemm_int_any *)(const void *)sum - total * o->zero_x[i];
            v = __builtin_convertvector(whole, vec) * (scale * VEC_SET1(o->scale_x[i]));
        }
        v = vec_act(v + b, act);
        if (o->add) {
            vec old = gemm_get(out, o->out_dtype, at, n);
            v = o->gate[i] ? VEC_FMA(gemm_get(o->gate[i], DTYPE_F32, at, n), v, old) : old + v;
        }
        gemm_put(out, o->out_dtype, at, v, n);
    }
}

HOT void gemm_finish_act(const struct cpu_gemm_out *o, enum act act) {
    int64_t i = 0;
    for (; i + VEC_N <= o->n_cols; i += VEC_N)
        gemm_finish_vec(o, act, i, VEC_N);
    if (i < o->n_cols) gemm_finish_vec(o, act, i, o->n_cols - i);
}

COLD void gemm_finish(const struct cpu_gemm_out *o) {
    if (o->act == ACT_NONE)
        gemm_finish_act(o, ACT_NONE);
    else if (o->act == ACT_GELU_TANH)
        gemm_finish_act(o, ACT_GELU_TANH);
    else
        gemm_finish_act(o, o->act);
}

/* n numbers from one type to another. */
HOT void gemm_cast(void *out, enum dtype to, const void *x, enum dtype from, int64_t n) {
    int64_t i = 0;
    for (; i + VEC_N <= n; i += VEC_N)
        gemm_put(out, to, i, gemm_get(x, from, i, VEC_N), VEC_N);
    if (i < n) gemm_put(out, to, i, gemm_get(x, from, i, n - i), n - i);
}

/* The steps of all heights and of `VECS` widths, and the kind: its name in C and in words, the
 * types of its weights and of what it reads, and how that is made. */
#define GEMM_STEPS_2 GEMM_STEPS(1) GEMM_STEPS(2)
#define GEMM_STEPS_4 GEMM_STEPS_2 GEMM_STEPS(3) GEMM_STEPS(4)
#define GEMM_ROW_2(rows) \
    { step_##rows##_1, step_##rows##_2 }
#define GEMM_ROW_4(rows) \
    { step_##rows##_1, step_##rows##_2, step_##rows##_3, step_##rows##_4 }
#define GEMM_ROWS(VECS)                                                             \
    GEMM_ROW_##VECS(1), GEMM_ROW_##VECS(2), GEMM_ROW_##VECS(3), GEMM_ROW_##VECS(4), \
        GEMM_ROW_##VECS(5), GEMM_ROW_##VECS(6)
#define GEMM_KIND(isa, words, w_type, read_type, VECS, how)         \
    GEMM_STEPS_##VECS const struct cpu_gemm_kind cpu_gemm_##isa = { \
        .name = words,                                              \
        .dtype = w_type,                                            \
        .x_dtype = read_type,                                       \
        .nr = GEMM_NR,                                              \
        .vec = VEC_N,                                               \
        .step = {GEMM_ROWS(VECS)},                                  \
        .finish = gemm_finish,                                      \
        .convert = how,                                             \
    }

/* A kind of real numbers, of one type all through. */
#define GEMM_REAL_KIND(isa, words, type, VECS)                                                  \
    COLD void gemm_convert(void *out, const void *x, enum dtype dtype, int64_t n, float *scale, \
                           int32_t *zero) {                                                     \
        (void)scale, (void)zero;                                                                \
        gemm_cast(out, type, x, dtype, n);                                                      \
    }                                                                                           \
    GEMM_KIND(isa, words, type, type, VECS, gemm_convert)
