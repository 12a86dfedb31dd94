/* cpu_attention_body.h - the source that cpu_attention_{base,avx2,avx512,bf16}.c compile, each
 * after its vectors (cpu_vec_types.h, cpu_vec_math.h). They define, before:
 *
 *   SOFT_GROUP               numbers in a word
 *   SOFT_EXP(v)              the weight of a logit that is at most 0
 *   SOFT_STORE(p, i, v)      weights i .. i+VEC_N-1 of the row at p
 *   SOFT_STORE_2(p, i, a, b) twice as many
 *   SOFT_TOP(v), SOFT_SUM(v) over the lanes */

/* Logits that say "no key" become finite, so that differences of them are numbers. */
static const float soft_least = -1e30f;

/* The vector of scores of one row and the keys from `key` on. Panels are two vectors wide, the last
 * one may be one. */
HOT float *soft_score(const struct cpu_attention_soft *s, int64_t row, int64_t key) {
    int64_t panel = key / (2 * VEC_N) * (2 * VEC_N);
    int64_t n = s->n_keys - panel == VEC_N ? VEC_N : 2 * VEC_N;
    return s->score + panel * s->n_rows + row * n + (key - panel);
}

/* With biases scores become logits; gives the largest logit of a row. */
HOT float soft_biased(const struct cpu_attention_soft *s, int64_t row) {
    vec by = VEC_SET1(s->scale), least = VEC_SET1(soft_least), most = least;
    for (int64_t key = 0; key < s->n_keys; key += VEC_N) {
        float *score = soft_score(s, row, key);
        vec v = VEC_FMA(vec_load(score), by, vec_load(s->key_bias + key));
        if (s->bias) {
            int64_t left = s->n_bias - key;
            const float *b = s->bias + row * s->bias_stride + key;
            vec add = left >= VEC_N ? vec_load(b) : vec_load_n(b, left > 0 ? left : 0, 0);
            v = VEC_FMA(add, VEC_SET1(s->bias_by), v);
        }
        v = VEC_MAX(v, least);
        vec_store(score, v);
        most = VEC_MAX(most, v);
    }
    return SOFT_TOP(most);
}

/* Without, they stay what they are. */
HOT float soft_plain(const struct cpu_attention_soft *s, int64_t row) {
    vec a = VEC_SET1(-INFINITY), b = a;
    const float *score = s->score + row * 2 * VEC_N;
    int64_t key = 0;
    for (; key + 2 * VEC_N <= s->n_keys; key += 2 * VEC_N, score += s->n_rows * 2 * VEC_N) {
        a = VEC_MAX(a, vec_load(score));
        b = VEC_MAX(b, vec_load(score + VEC_N));
    }
    if (key < s->n_keys) a = VEC_MAX(a, vec_load(soft_score(s, row, key)));
    return SOFT_TOP(VEC_MAX(a, b)) * s->scale;
}

/* Weights exp(score * by - top) of a row; gives their sum. */
HOT float soft_weights(const struct cpu_attention_soft *s, int64_t row, float by, float top) {
    vec times = VEC_SET1(by), less = VEC_SET1(-top), sum_a = VEC_SET1(0.0f), sum_b = sum_a;
    uint32_t *weight = (uint32_t *)s->weight + row * s->stride;
    const float *score = s->score + row * 2 * VEC_N;
    int64_t key = 0;
    for (; key + 2 * VEC_N <= s->n_keys; key += 2 * VEC_N, score += s->n_rows * 2 * VEC_N) {
        vec a = SOFT_EXP(VEC_FMA(vec_load(score), times, less));
        vec b = SOFT_EXP(VEC_FMA(vec_load(score + VEC_N), times, less));
        sum_a += a;
        sum_b += b;
        SOFT_STORE_2(weight, key, a, b);
    }
    if (key < s->n_keys) {
        vec a = SOFT_EXP(VEC_FMA(vec_load(soft_score(s, row, key)), times, less));
        sum_a += a;
        SOFT_STORE(weight, key, a);
    }
    return SOFT_SUM(sum_a + sum_b);
}

/* Weights may grow to exp(SOFT_SLACK) before the largest logit is raised, because raising means
 * that all sums are multiplied. All rows at once, a lane each. */
enum { SOFT_SLACK = 5 };

HOT void soft_raise(const struct cpu_attention_soft *s, const float *most) {
    float top[CPU_ATTENTION_LANES] = {0}, keep[CPU_ATTENTION_LANES];
    memcpy(top, s->top, (size_t)s->n_rows * sizeof *top);
    for (int i = 0; i < CPU_ATTENTION_LANES; i += VEC_N) {
        vec before = vec_load(top + i), now = vec_load(most + i);
        vec_int rises = now > before + VEC_SET1((float)SOFT_SLACK);
        vec e = SOFT_EXP(VEC_MAX(before, VEC_SET1(soft_least)) - now);
        vec_store(top + i, (vec)(((vec_int)now & rises) | ((vec_int)before & ~rises)));
        vec_store(keep + i, (vec)(((vec_int)e & rises) | ((vec_int)VEC_SET1(1.0f) & ~rises)));
    }
    memcpy(s->top, top, (size_t)s->n_rows * sizeof *top);
    memcpy(s->keep, keep, (size_t)s->n_rows * sizeof *keep);
}

/* In three passes, so that no row waits for the one before. */
COLD void soften(const struct cpu_attention_soft *s) {
    float most[CPU_ATTENTION_LANES] = {0};
    for (int64_t row = 0; row < s->n_rows; row++)
        most[row] = s->key_bias ? soft_biased(s, row) : soft_plain(s, row);
    soft_raise(s, most);
    for (int64_t row = 0; row < s->n_rows; row++) {
        float sum = soft_weights(s, row, s->key_bias ? 1.0f : s->scale, s->top[row]);
        s->sum[row] = s->sum[row] * s->keep[row] + sum;
    }
}

HOT uint32_t word_of(float v) {
    uint32_t w;
    memcpy(&w, &v, sizeof w);
    return w;
}

HOT float source_at(const struct cpu_attention_source *s, int64_t row, int64_t d) {
    if (d >= s->D || row >= s->n_rows) return 0;
    int64_t i = row * s->stride + d;
    return s->dtype == DTYPE_F32 ? ((const float *)s->data)[i]
                                 : half_bf16(((const uint16_t *)s->data)[i]);
}

/* Word w of a row. */
HOT uint32_t source_word(const struct cpu_attention_source *s, int64_t row, int64_t w) {
    if (SOFT_GROUP == 1) return word_of(source_at(s, row, w));
    uint32_t low = half_to_bf16(source_at(s, row, 2 * w));
    return low | (uint32_t)half_to_bf16(source_at(s, row, 2 * w + 1)) << 16;
}

/* True when the words of a row can be copied as they are. */
HOT bool source_is_plain(const struct cpu_attention_source *s) {
    return s->dtype == (SOFT_GROUP == 1 ? DTYPE_F32 : DTYPE_BF16) && s->D % SOFT_GROUP == 0;
}

HOT const char *source_row(const struct cpu_attention_source *s, int64_t row) {
    return (const char *)s->data + row * s->stride * (s->dtype == DTYPE_F32 ? 4 : 2);
}

COLD void soft_copy(uint32_t *out, const struct cpu_attention_source *s, int64_t first, int64_t n) {
    int64_t K = (s->D + SOFT_GROUP - 1) / SOFT_GROUP;
    for (int64_t i = 0; i < n; i++, out += K)
        if (source_is_plain(s))
            memcpy(out, source_row(s, first + i), (size_t)K * 4);
        else
            for (int64_t w = 0; w < K; w++)
                out[w] = source_word(s, first + i, w);
}

/* Rows of a head lie far apart: the caches are told some rows ahead. */
enum { SOFT_AHEAD = 6 };

COLD void soft_keys(uint32_t *out, const struct cpu_attention_source *s, int64_t first, int64_t n) {
    int64_t K = (s->D + SOFT_GROUP - 1) / SOFT_GROUP;
    bool is_plain = source_is_plain(s);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t *row = (const uint32_t *)(const void *)source_row(s, first + i);
        for (int64_t w = 0; i + SOFT_AHEAD < n && w < K; w += 16)
            __builtin_prefetch((const char *)source_row(s, first + i + SOFT_AHEAD) + w * 4);
        if (is_plain && first + i < s->n_rows)
            for (int64_t w = 0; w < K; w++)
                out[w * n + i] = row[w];
        else
            for (int64_t w = 0; w < K; w++)
                out[w * n + i] = source_word(s, first + i, w);
    }
}

/* Words of a panel of values hold SOFT_GROUP keys of one channel. */
HOT void values_slow(uint32_t *out, const struct cpu_attention_source *s, int64_t row, int64_t c,
                     int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float low = source_at(s, row, c + i);
        out[i] = SOFT_GROUP == 1 ? word_of(low)
                                 : half_to_bf16(low) |
                                       (uint32_t)half_to_bf16(source_at(s, row + 1, c + i)) << 16;
    }
}

COLD void soft_values(uint32_t *out, const struct cpu_attention_source *s, int64_t first,
                      int64_t n_keys, int64_t c, int64_t n) {
    bool is_plain = s->dtype == (SOFT_GROUP == 1 ? DTYPE_F32 : DTYPE_BF16) && c + n <= s->D;
    for (int64_t key = first; key < first + n_keys; key += SOFT_GROUP, out += n) {
        if (!is_plain || key + SOFT_GROUP > s->n_rows) {
            values_slow(out, s, key, c, n);
            continue;
        }
        if (SOFT_GROUP == 1) {
            memcpy(out, source_row(s, key) + c * 4, (size_t)n * 4);
            continue;
        }
        const uint16_t *a = (const uint16_t *)(const void *)source_row(s, key) + c;
        const uint16_t *b = a + s->stride;
        for (int64_t i = 0; i < n; i++)
            out[i] = a[i] | (uint32_t)b[i] << 16;
    }
}

COLD void soft_fade(float *sum, const float *keep, int64_t n, int64_t panel) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; keep[i] != 1.0f && c < panel; c += VEC_N)
            vec_store(sum + i * panel + c, vec_load(sum + i * panel + c) * VEC_SET1(keep[i]));
}

COLD void soft_finish(void *out, enum dtype dtype, const float *x, float s, int64_t n) {
    int64_t i = 0;
    for (; dtype == DTYPE_F32 && i < n; i++)
        ((float *)out)[i] = x[i] * s;
    for (; i + VEC_N <= n; i += VEC_N)
        vec_store_half((uint16_t *)out + i, vec_load(x + i) * VEC_SET1(s));
    for (; i < n; i++)
        ((uint16_t *)out)[i] = half_to_bf16(x[i] * s);
}

#define SOFT_KIND(isa, unit)                                \
    const struct cpu_attention_kind cpu_attention_##isa = { \
        .name = #isa,                                       \
        .group = SOFT_GROUP,                                \
        .log_unit = unit,                                   \
        .copy = soft_copy,                                  \
        .keys = soft_keys,                                  \
        .values = soft_values,                              \
        .soften = soften,                                   \
        .fade = soft_fade,                                  \
        .finish = soft_finish,                              \
    }
