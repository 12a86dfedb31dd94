/* cpu_rows_body.h - the f32 kernel that cpu_rows_{base,avx2,avx512}.c compile, each after its
 * vectors (cpu_vec_types.h). */
#include "engine/cpu/cpu_rows.h"
#include "engine/half.h"

#define HOT static inline __attribute__((always_inline)) VEC_TARGET

HOT float sum_of(vec v) {
    float s = 0;
    for (int i = 0; i < VEC_N; i++)
        s += v[i];
    return s;
}

HOT void run(const struct cpu_rows_block *b, int n) {
    vec sum[CPU_ROWS_X][CPU_ROWS_W];
    const char *x = b->x;
    for (int i = 0; i < n; i++)
        for (int o = 0; o < CPU_ROWS_W; o++)
            sum[i][o] = VEC_SET1(0.0f);
    for (int64_t at = 0; at < b->K; at += VEC_N, x += n * (int)sizeof(vec)) {
        vec w[CPU_ROWS_W];
        for (int o = 0; o < CPU_ROWS_W; o++)
            w[o] = *(const vec_any *)(const void *)(b->w[o] + at * 4);
        for (int i = 0; i < n; i++) {
            vec row = *(const vec_any *)(const void *)(x + i * (int)sizeof(vec));
            for (int o = 0; o < CPU_ROWS_W; o++)
                sum[i][o] = VEC_FMA(row, w[o], sum[i][o]);
        }
    }
    for (int i = 0; i < n; i++)
        for (int o = 0; o < CPU_ROWS_W; o++)
            b->out[i * b->out_stride + o] = sum_of(sum[i][o]);
}

#define BLOCK(n)                                                       \
    VEC_TARGET static void block_##n(const struct cpu_rows_block *b) { \
        run(b, n);                                                     \
    }

/* Addresses are those of a file: of any alignment. */
VEC_TARGET static void convert(char *out, const char *from, enum dtype dtype, int64_t n) {
    if (dtype == DTYPE_F32) {
        memcpy(out, from, (size_t)n * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, from + i * 2, sizeof h);
        float v = dtype == DTYPE_BF16 ? half_bf16(h) : half_f16(h);
        memcpy(out + i * 4, &v, sizeof v);
    }
}

#define ROWS_KERNEL(isa, rows, ...)                 \
    const struct cpu_rows_kernel cpu_rows_##isa = { \
        .name = #isa,                               \
        .dtype = DTYPE_F32,                         \
        .step = VEC_N,                              \
        .n_x = rows,                                \
        .block = {__VA_ARGS__},                     \
        .convert = convert,                         \
    }
