/* cpu_attention_body.h - the source that cpu_attention_{base,avx2,avx512,bf16}.c compile, each
 * after its vectors (cpu_vec_types.h, cpu_vec_math.h). They define, before: SOFT_GROUP numbers in a
 * word SOFT_EXP(v)          the weight of a logit, less than or equal to 1 SOFT_STORE(p, i, v)
 * weights i .. i+VEC_N-1 of the row at p SOFT_TOP(v), SOFT_SUM(v)  over the lanes */

/* Scores become logits; gives the largest. */
HOT vec soft_logits(const struct cpu_attention_soft *s, float *score, int64_t key, int64_t n,
                    int64_t row, vec most) {
    vec by = VEC_SET1(s->scale);
    for (int64_t j = 0; j < n; j += VEC_N) {
        vec v = VEC_FMA(vec_load(score + j), by, vec_load(s->key_bias + key + j));
        if (s->bias) {
            int64_t left = s->n_bias - key - j;
            const float *b = s->bias + row * s->bias_stride + key + j;
            vec add = left >= VEC_N ? vec_load(b) : vec_load_n(b, left > 0 ? left : 0, 0);
            v = VEC_FMA(add, VEC_SET1(s->bias_by), v);
        }
        vec_store(score + j, v);
        most = VEC_MAX(most, v);
    }
    return most;
}

/* The panel of key `key`: where its row is, and how wide it is. */
HOT float *soft_panel(const struct cpu_attention_soft *s, int64_t key, int64_t row, int64_t *n) {
    *n = s->n_keys - key <= s->narrow ? s->narrow : s->wide;
    return s->score + key * s->n_rows + row * *n;
}

COLD void soften(const struct cpu_attention_soft *s) {
    for (int64_t row = 0; row < s->n_rows; row++) {
        vec most = VEC_SET1(-INFINITY), total = VEC_SET1(0.0f);
        int64_t n;
        for (int64_t key = 0; key < s->n_keys; key += n) {
            float *score = soft_panel(s, key, row, &n);
            most = soft_logits(s, score, key, n, row, most);
        }
        float now = SOFT_TOP(most), before = s->top[row];
        now = now > before ? now : before;
        s->top[row] = now;
        if (now == -INFINITY) now = 0; /* no key so far: all weights are zero */
        vec top = VEC_SET1(now);
        uint32_t *weight = (uint32_t *)s->weight + row * s->stride;
        for (int64_t key = 0; key < s->n_keys; key += n) {
            const float *score = soft_panel(s, key, row, &n);
            for (int64_t j = 0; j < n; j += VEC_N) {
                vec e = SOFT_EXP(vec_load(score + j) - top);
                total += e;
                SOFT_STORE(weight, key + j, e);
            }
        }
        s->keep[row] = before == now ? 1.0f : SOFT_SUM(SOFT_EXP(VEC_SET1(before - now))) / VEC_N;
        s->sum[row] = s->sum[row] * s->keep[row] + SOFT_SUM(total);
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

COLD void soft_keys(uint32_t *out, const struct cpu_attention_source *s, int64_t first, int64_t n) {
    int64_t K = (s->D + SOFT_GROUP - 1) / SOFT_GROUP;
    bool is_plain = source_is_plain(s);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t *row = (const uint32_t *)(const void *)source_row(s, first + i);
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
    if (dtype == DTYPE_F32)
        for (int64_t i = 0; i < n; i++)
            ((float *)out)[i] = x[i] * s;
    else
        for (int64_t i = 0; i < n; i++)
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
