/* cpu_vec_math.h - loads, stores, sums and functions of one vector, for every file that is compiled
 * once per instruction set. Such a file defines, before cpu_vec_types.h and this one:
 *   VEC_N       floats in a vector          VEC_TARGET  attribute that unlocks the instructions
 *   VEC_FMA, VEC_MAX, VEC_SET1
 * Every function carries VEC_TARGET, so that nothing leaks into code for other processors. */

#define HOT  static inline __attribute__((always_inline)) VEC_TARGET
#define COLD static VEC_TARGET

HOT vec vec_load(const float *p) {
    return *(const vec_any *)p;
}

HOT void vec_store(float *p, vec v) {
    *(vec_any *)p = v;
}

/* The last 1..VEC_N-1 floats of a row; missing lanes read `other`. */
HOT vec vec_load_n(const float *p, int64_t n, float other) {
    float t[VEC_N];
    for (int i = 0; i < VEC_N; i++)
        t[i] = i < n ? p[i] : other;
    return vec_load(t);
}

HOT void vec_store_n(float *p, vec v, int64_t n) {
    float t[VEC_N];
    vec_store(t, v);
    for (int64_t i = 0; i < n; i++)
        p[i] = t[i];
}

/* bf16 and back, to the nearest, ties to even. What is no number stays none, because arithmetic
 * sets its quiet bit. */
HOT vec vec_load_half(const uint16_t *p) {
    return (vec)(__builtin_convertvector(*(const vec_half_any *)p, vec_word) << 16);
}

HOT void vec_store_half(uint16_t *p, vec v) {
    vec_word w = (vec_word)v;
    *(vec_half_any *)p = __builtin_convertvector((w + 0x7fffu + (w >> 16 & 1u)) >> 16, vec_half);
}

/* Over the lanes: four at a time, then these. */
HOT float vec_sum(vec v) {
    vec_four q[VEC_N / 4];
    memcpy(q, &v, sizeof v);
    for (int i = 1; i < VEC_N / 4; i++)
        q[0] += q[i];
    return (q[0][0] + q[0][2]) + (q[0][1] + q[0][3]);
}

HOT float vec_top(vec v) {
    float t[VEC_N];
    memcpy(t, &v, sizeof v);
    for (int n = VEC_N / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            t[i] = t[i + n] > t[i] ? t[i + n] : t[i];
    return t[0];
}

/* exp in float accuracy (2e-7): split off the power of two, a polynomial for the rest. */
HOT vec vec_exp(vec x) {
    const vec magic = VEC_SET1(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    x = VEC_MAX(x, VEC_SET1(-87.0f));
    x = -VEC_MAX(-x, VEC_SET1(-88.0f));
    vec n = VEC_FMA(x, VEC_SET1(1.44269504f), magic) - magic;
    vec r = VEC_FMA(n, VEC_SET1(-0.693359375f), x);
    r = VEC_FMA(n, VEC_SET1(2.12194440e-4f), r);
    vec p = VEC_SET1(1.9875691500e-4f);
    p = VEC_FMA(p, r, VEC_SET1(1.3981999507e-3f));
    p = VEC_FMA(p, r, VEC_SET1(8.3334519073e-3f));
    p = VEC_FMA(p, r, VEC_SET1(4.1665795894e-2f));
    p = VEC_FMA(p, r, VEC_SET1(1.6666665459e-1f));
    p = VEC_FMA(p, r, VEC_SET1(5.0000001201e-1f));
    p = VEC_FMA(p, r * r, r + VEC_SET1(1.0f));
    vec_int power = (__builtin_convertvector(n, vec_int) + 127) << 23;
    return p * (vec)power;
}

HOT vec vec_silu(vec x) {
    return x / (VEC_SET1(1.0f) + vec_exp(-x));
}

/* 0.5 (1 + tanh u) is 1 / (1 + exp(-2u)). */
HOT vec vec_gelu_tanh(vec x) {
    vec u = VEC_SET1(-2.0f * 0.7978845608f) * VEC_FMA(VEC_SET1(0.044715f) * x * x, x, x);
    return x / (VEC_SET1(1.0f) + vec_exp(u));
}

/* 0.5 x (1 + erf(x / sqrt 2)); erf by Abramowitz and Stegun 7.1.26, off by 1.5e-7 at most. */
HOT vec vec_gelu_erf(vec x) {
    const vec one = VEC_SET1(1.0f);
    vec z = VEC_MAX(x, -x) * VEC_SET1(0.70710678f);
    vec t = one / VEC_FMA(VEC_SET1(0.3275911f), z, one);
    vec p = VEC_SET1(1.061405429f);
    p = VEC_FMA(p, t, VEC_SET1(-1.453152027f));
    p = VEC_FMA(p, t, VEC_SET1(1.421413741f));
    p = VEC_FMA(p, t, VEC_SET1(-0.284496736f));
    p = VEC_FMA(p, t, VEC_SET1(0.254829592f));
    vec tail = VEC_SET1(0.5f) * VEC_MAX(x, -x) * p * t * vec_exp(-z * z);
    return VEC_MAX(x, x - x) - tail; /* x > 0: x - tail; x < 0: -tail */
}

HOT vec vec_act(vec x, enum act act) {
    if (act == ACT_SILU) return vec_silu(x);
    if (act == ACT_GELU_TANH) return vec_gelu_tanh(x);
    if (act == ACT_GELU_ERF) return vec_gelu_erf(x);
    if (act == ACT_RELU) return VEC_MAX(x, x - x);
    return x;
}
