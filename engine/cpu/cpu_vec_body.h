/* cpu_vec_body.h - the source that cpu_vec_{base,avx2,avx512}.c compile, each after its vectors
 * (cpu_vec_types.h, cpu_vec_math.h). */

/* `one` is a statement about vectors at i; the tail runs it on a padded copy. */
#define EACH(n, full, tail)                  \
    do {                                     \
        int64_t i = 0;                       \
        for (; i + VEC_N <= (n); i += VEC_N) \
            full;                            \
        if (i < (n)) tail;                   \
    } while (0)

COLD void act_rows(float *out, const float *x, const float *b, int64_t n, enum act act) {
    EACH(n,
         vec_store(out + i, vec_act(b ? vec_load(x + i) + vec_load(b + i) : vec_load(x + i), act)),
         vec_store_n(out + i,
                     vec_act(vec_load_n(x + i, n - i, 0) +
                                 (b ? vec_load_n(b + i, n - i, 0) : VEC_SET1(0.0f)),
                             act),
                     n - i));
}

COLD void add_scaled_rows(float *out, const float *a, const float *b, float s, int64_t n) {
    EACH(n, vec_store(out + i, VEC_FMA(VEC_SET1(s), vec_load(b + i), vec_load(a + i))),
         vec_store_n(out + i,
                     VEC_FMA(VEC_SET1(s), vec_load_n(b + i, n - i, 0), vec_load_n(a + i, n - i, 0)),
                     n - i));
}

COLD void mul_rows(float *out, const float *a, const float *b, int64_t n) {
    EACH(n, vec_store(out + i, vec_load(a + i) * vec_load(b + i)),
         vec_store_n(out + i, vec_load_n(a + i, n - i, 0) * vec_load_n(b + i, n - i, 0), n - i));
}

COLD void affine_rows(float *out, const float *x, const float *scale, const float *shift,
                      int64_t n) {
    EACH(n, vec_store(out + i, VEC_FMA(vec_load(x + i), vec_load(scale + i), vec_load(shift + i))),
         vec_store_n(out + i,
                     VEC_FMA(vec_load_n(x + i, n - i, 0), vec_load_n(scale + i, n - i, 0),
                             vec_load_n(shift + i, n - i, 0)),
                     n - i));
}

COLD float row_sum(const float *x, int64_t n) {
    vec sum = VEC_SET1(0.0f);
    EACH(n, sum += vec_load(x + i), sum += vec_load_n(x + i, n - i, 0));
    return vec_sum(sum);
}

COLD float row_square(const float *x, float mean, int64_t n) {
    vec sum = VEC_SET1(0.0f), m = VEC_SET1(mean);
    EACH(n, sum = VEC_FMA(vec_load(x + i) - m, vec_load(x + i) - m, sum),
         sum =
             VEC_FMA(vec_load_n(x + i, n - i, mean) - m, vec_load_n(x + i, n - i, mean) - m, sum));
    return vec_sum(sum);
}

COLD float row_gain(const float *x, int64_t n, enum norm_kind kind, float eps, float *mean) {
    *mean = kind == NORM_LAYER ? row_sum(x, n) / (float)n : 0.0f;
    float square = row_square(x, *mean, n);
    if (kind == NORM_L2) {
        float length = sqrtf(square);
        return sqrtf((float)n) / (length > eps ? length : eps);
    }
    return 1.0f / sqrtf(square / (float)n + eps);
}

HOT vec norm_value(vec x, vec mean, vec gain, vec w, vec b, enum act act) {
    return vec_act(VEC_FMA((x - mean) * gain, w, b), act);
}

HOT void norm_apply(float *out, const float *x, int64_t n, float mean, float gain, const float *w,
                    const float *b, float w_plus, enum act act) {
    vec m = VEC_SET1(mean), g = VEC_SET1(gain), plus = VEC_SET1(w_plus), zero = VEC_SET1(0.0f);
    EACH(n,
         vec_store(out + i, norm_value(vec_load(x + i), m, g, plus + (w ? vec_load(w + i) : zero),
                                       b ? vec_load(b + i) : zero, act)),
         vec_store_n(out + i,
                     norm_value(vec_load_n(x + i, n - i, 0), m, g,
                                plus + (w ? vec_load_n(w + i, n - i, 0) : zero),
                                b ? vec_load_n(b + i, n - i, 0) : zero, act),
                     n - i));
}

COLD void norm_row(float *out, const float *x, int64_t n, const struct norm_opts *o) {
    float mean, gain = row_gain(x, n, o->kind, o->eps, &mean);
    const float *w = o->w ? o->w->data : NULL, *b = o->b ? o->b->data : NULL;
    if (o->act == ACT_SILU)
        norm_apply(out, x, n, mean, gain, w, b, w ? 0.0f : 1.0f, ACT_SILU);
    else if (o->act == ACT_NONE)
        norm_apply(out, x, n, mean, gain, w, b, w ? 0.0f : 1.0f, ACT_NONE);
    else
        norm_apply(out, x, n, mean, gain, w, b, w ? 0.0f : 1.0f, o->act);
}

COLD void norm_mod_row(float *out, const float *x, const float *shift, const float *scale,
                       int64_t n, float eps) {
    float mean, gain = row_gain(x, n, NORM_LAYER, eps, &mean);
    norm_apply(out, x, n, mean, gain, scale, shift, 1.0f, ACT_NONE);
}

COLD void widen_row(float *out, const uint16_t *x, int64_t n) {
    int64_t i = 0;
    for (; i + VEC_N <= n; i += VEC_N)
        vec_store(out + i, vec_load_half(x + i));
    for (; i < n; i++)
        out[i] = half_bf16(x[i]);
}

COLD void narrow_row(uint16_t *out, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + VEC_N <= n; i += VEC_N)
        vec_store_half(out + i, vec_load(x + i));
    for (; i < n; i++)
        out[i] = half_to_bf16(x[i]);
}

/* (a, b) -> (a c - b s, b c + a s): the sine comes with the sign of its place. */
HOT vec rotated(vec x, vec table, vec sign) {
    return VEC_FMA(x, VEC_EVEN(table), VEC_SWAP(x) * (VEC_ODD(table) * sign));
}

COLD void rope_row(float *out, const float *x, const float *table, int64_t n) {
    const vec one = VEC_SET1(1.0f), sign = VEC_SIGNS(one);
    EACH(n, vec_store(out + i, rotated(vec_load(x + i), vec_load(table + i), sign)),
         vec_store_n(out + i,
                     rotated(vec_load_n(x + i, n - i, 0), vec_load_n(table + i, n - i, 0), sign),
                     n - i));
}

#define VEC_TABLE(isa)                     \
    const struct cpu_vec cpu_vec_##isa = { \
        .name = #isa,                      \
        .act = act_rows,                   \
        .add_scaled = add_scaled_rows,     \
        .mul = mul_rows,                   \
        .affine = affine_rows,             \
        .norm = norm_row,                  \
        .norm_mod = norm_mod_row,          \
        .rope = rope_row,                  \
        .widen = widen_row,                \
        .narrow = narrow_row,              \
    }
