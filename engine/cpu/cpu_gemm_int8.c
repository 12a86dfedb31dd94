#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cpu/cpu_gemm.h"

#define VEC_N 16
#define VEC_TARGET \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,avx512bf16,avx512vnni")))
#define VEC_SET1(s)      ((vec)_mm512_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm512_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)    ((vec)_mm512_max_ps(a, b))
#define GEMM_NV          4
#define GEMM_HALF(v)     ((gemm_half)_mm512_cvtneps_pbh(v))
#define GEMM_SPREAD(w)   ((gemm_words)_mm512_set1_epi32(w))
#define GEMM_MAC(sum, x, w) \
    ((gemm_sum)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), (__m512i)(w)))

typedef int32_t gemm_number;

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_gemm_body.h"

/* x = scale * (u8 - zero): the range of a row, which always holds 0, spread over 256 levels. */
COLD void quantise(void *out, const void *x, enum dtype dtype, int64_t n, float *scale,
                   int32_t *zero) {
    vec low = VEC_SET1(0.0f), high = low;
    for (int64_t i = 0; i < n; i += VEC_N) {
        vec v = gemm_get(x, dtype, i, n - i < VEC_N ? n - i : VEC_N);
        low = (vec)_mm512_min_ps(low, v);
        high = (vec)_mm512_max_ps(high, v);
    }
    float least = _mm512_reduce_min_ps(low), most = _mm512_reduce_max_ps(high);
    float step = (most - least) / 255.0f;
    *scale = step > 0.0f ? step : 1.0f;
    *zero = (int32_t)lrintf(-least / *scale);
    vec gain = VEC_SET1(1.0f / *scale), shift = VEC_SET1((float)*zero);
    for (int64_t i = 0; i < n; i += VEC_N) {
        int64_t m = n - i < VEC_N ? n - i : VEC_N;
        __m512i level = _mm512_cvtps_epi32(VEC_FMA(gemm_get(x, dtype, i, m), gain, shift));
        level = _mm512_max_epi32(level, _mm512_setzero_si512());
        _mm_mask_storeu_epi8((char *)out + i, (__mmask16)(0xffff >> (VEC_N - m)),
                             _mm512_cvtusepi32_epi8(level));
    }
}

GEMM_KIND(int8, "avx512vnni", DTYPE_I8, DTYPE_U8, 4, quantise);
#endif
