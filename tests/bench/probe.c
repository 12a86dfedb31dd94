#include "tests/bench/probe.h"

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* More chains than latency times units, and as many registers as both instruction sets have. */
enum { CHAINS = 12, BURST = 20000, READ_BYTES = 64 << 20 };

static const double probe_s = 0.06;

typedef float (*burst_fn)(void *memory);

#define CHAIN_LOOP(ZERO, STEP)                                                   \
    for (int c = 0; c < CHAINS; c++)                                             \
        acc[c] = ZERO;                                                           \
    for (int i = 0; i < BURST; i++) {                                            \
        _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) acc[c] = STEP; \
    }

__attribute__((target("avx2,fma"))) static float burst_avx2(void *memory) {
    __m256 acc[CHAINS], a = _mm256_set1_ps(1e-3f), b = _mm256_loadu_ps(memory);
    CHAIN_LOOP(b, _mm256_fmadd_ps(a, b, acc[c]))
    for (int c = 1; c < CHAINS; c++)
        acc[0] = _mm256_add_ps(acc[0], acc[c]);
    return _mm256_cvtss_f32(acc[0]);
}

__attribute__((target("avx512f"))) static float burst_avx512(void *memory) {
    __m512 acc[CHAINS], a = _mm512_set1_ps(1e-3f), b = _mm512_loadu_ps(memory);
    CHAIN_LOOP(b, _mm512_fmadd_ps(a, b, acc[c]))
    for (int c = 1; c < CHAINS; c++)
        acc[0] = _mm512_add_ps(acc[0], acc[c]);
    return _mm512_cvtss_f32(acc[0]);
}

__attribute__((target("avx512f,avx512bf16"))) static float burst_bf16(void *memory) {
    __m512 acc[CHAINS], zero = _mm512_loadu_ps(memory);
    __m512bh a = (__m512bh)_mm512_set1_epi16(0x3c00), b = (__m512bh)_mm512_castps_si512(zero);
    CHAIN_LOOP(zero, _mm512_dpbf16_ps(acc[c], a, b))
    for (int c = 1; c < CHAINS; c++)
        acc[0] = _mm512_add_ps(acc[0], acc[c]);
    return _mm512_cvtss_f32(acc[0]);
}

__attribute__((target("avx512f,avx512vnni"))) static float burst_int8(void *memory) {
    __m512i acc[CHAINS], a = _mm512_set1_epi8(1), b = _mm512_loadu_si512(memory);
    CHAIN_LOOP(b, _mm512_dpbusd_epi32(acc[c], a, b))
    for (int c = 1; c < CHAINS; c++)
        acc[0] = _mm512_add_epi32(acc[0], acc[c]);
    return (float)_mm512_cvtsi512_si32(acc[0]);
}

__attribute__((target("avx2"))) static float burst_read(void *memory) {
    __m256i sum = _mm256_setzero_si256();
    const __m256i *p = memory;
    for (size_t i = 0; i < READ_BYTES / sizeof *p; i += 4) {
        __m256i x = _mm256_xor_si256(_mm256_load_si256(p + i), _mm256_load_si256(p + i + 1));
        __m256i y = _mm256_xor_si256(_mm256_load_si256(p + i + 2), _mm256_load_si256(p + i + 3));
        sum = _mm256_xor_si256(sum, _mm256_xor_si256(x, y));
    }
    return (float)_mm256_extract_epi32(sum, 0);
}

/* Work of one burst: multiply and add count as two; bytes when reading. */
static const struct kind {
    const char *name;
    burst_fn burst;
    double work;
} kinds[PROBE_COUNT] = {
    [PROBE_F32_AVX2] = {"f32_avx2", burst_avx2, 16.0 * CHAINS *BURST},
    [PROBE_F32_AVX512] = {"f32_avx512", burst_avx512, 32.0 * CHAINS *BURST},
    [PROBE_BF16] = {"bf16", burst_bf16, 64.0 * CHAINS *BURST},
    [PROBE_INT8] = {"int8", burst_int8, 128.0 * CHAINS *BURST},
    [PROBE_READ] = {"read", burst_read, READ_BYTES},
};

static bool is_possible(enum probe_kind kind) {
    switch (kind) {
    case PROBE_F32_AVX2:
    case PROBE_READ: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case PROBE_F32_AVX512: return __builtin_cpu_supports("avx512f");
    case PROBE_BF16: return __builtin_cpu_supports("avx512bf16");
    default: return __builtin_cpu_supports("avx512vnni");
    }
}

const char *probe_name(enum probe_kind kind) {
    return kinds[kind].name;
}

bool probe_find(enum probe_kind *out, const char *name) {
    for (int i = 0; i < PROBE_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *out = (enum probe_kind)i;
            return true;
        }
    return false;
}

struct worker {
    pthread_t thread;
    pthread_barrier_t *start;
    const struct kind *kind;
    int core;
    double rate, core_rate;
    volatile float sink; /* so that nothing is optimised away */
};

static double clock_s(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *work(void *arg) {
    struct worker *w = arg;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(w->core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    size_t bytes = w->kind->burst == burst_read ? READ_BYTES : 64;
    void *memory = aligned_alloc(64, bytes);
    if (memory) memset(memory, 0, bytes);
    pthread_barrier_wait(w->start);
    if (!memory) return NULL;
    double start = clock_s(CLOCK_MONOTONIC), own = clock_s(CLOCK_THREAD_CPUTIME_ID), n = 0;
    do {
        w->sink = w->kind->burst(memory);
        n++;
    } while (clock_s(CLOCK_MONOTONIC) - start < probe_s);
    w->rate = n * w->kind->work / (clock_s(CLOCK_MONOTONIC) - start) * 1e-9;
    w->core_rate = n * w->kind->work / (clock_s(CLOCK_THREAD_CPUTIME_ID) - own) * 1e-9;
    free(memory);
    return NULL;
}

bool probe_run(struct probe *out, enum probe_kind kind) {
    struct worker worker[PROBE_CORES_MAX] = {0};
    pthread_barrier_t start;
    cpu_set_t allowed;
    int n = 0;
    *out = (struct probe){0};
    if (!is_possible(kind) || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
    for (int core = 0; core < PROBE_CORES_MAX && core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &allowed)) worker[n++].core = core;
    pthread_barrier_init(&start, NULL, (unsigned)n);
    for (int i = 0; i < n; i++) {
        worker[i].start = &start;
        worker[i].kind = &kinds[kind];
        if (pthread_create(&worker[i].thread, NULL, work, &worker[i]) != 0) abort();
    }
    for (int i = 0; i < n; i++) {
        pthread_join(worker[i].thread, NULL);
        out->rate[i] = worker[i].rate;
        out->core_rate[i] = worker[i].core_rate;
    }
    pthread_barrier_destroy(&start);
    out->n_cores = n;
    return true;
}
