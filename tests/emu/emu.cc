/* emu.cc - threads, memory and instructions of tests/emu/cuda_runtime.h. */
#include "tests/emu/cuda_hopper_emu.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define EMU_ASSERT(cond)                                                        \
    do {                                                                        \
        if (!(cond)) {                                                          \
            fprintf(stderr, "emulator %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                            \
        }                                                                       \
    } while (0)

enum { THREADS_MAX = 1024, STACK_BYTES = 256 << 10, SHARED_MAX = 232448, LANES = 32 };
enum { COPIES_MAX = 4096, GROUPS_MAX = 16, REGIONS_MAX = 4096 };

struct emu_index threadIdx, blockIdx;
dim3 blockDim, gridDim;

/* Where a thread stands. */
enum state { STATE_IDLE, STATE_RUNS, STATE_AT_BARRIER, STATE_AT_WARP, STATE_DONE };

struct copy {
    void *to;
    unsigned char bytes[16];
};

struct thread {
    ucontext_t context;
    jmp_buf at;
    char *stack;
    enum state state;
    unsigned index;
    bool has_begun;
    /* Copies past the registers: committed groups, oldest first, then what is not committed. */
    struct copy *copies;
    int n_copies, group_end[GROUPS_MAX], n_groups;
};

static struct thread *threads;
static jmp_buf scheduler;
static struct thread *now;
static const std::function<void()> *work;
static unsigned char shared[SHARED_MAX] __attribute__((aligned(1024)));
static size_t shared_bytes;
/* Words that the lanes of each warp have brought, and those that they may read. */
static uint32_t brought[THREADS_MAX][EMU_WORDS_MAX], given[THREADS_MAX][EMU_WORDS_MAX];

/* Memory of the device. */
static struct region {
    char *p;
    size_t bytes;
} regions[REGIONS_MAX];
static int n_regions, depth;
static const size_t memory_bytes = (size_t)2 << 30;
static size_t used_bytes;
static cudaError_t last_error;

static void protect(int how) {
    for (int i = 0; i < n_regions; i++)
        EMU_ASSERT(mprotect(regions[i].p, regions[i].bytes, how) == 0);
}

void emu_enter() {
    if (depth++ == 0) protect(PROT_READ | PROT_WRITE);
}

void emu_leave() {
    if (--depth == 0) protect(PROT_NONE);
}

static void thread_main() {
    for (;;) {
        (*work)();
        now->state = STATE_DONE;
        if (_setjmp(now->at) == 0) _longjmp(scheduler, 1);
    }
}

/* Back to the scheduler until it is this thread's turn again. */
static void rest(enum state why) {
    struct thread *t = now;
    t->state = why;
    if (_setjmp(t->at) == 0) _longjmp(scheduler, 1);
}

static void resume(struct thread *t) {
    now = t;
    threadIdx.x = t->index;
    t->state = STATE_RUNS;
    if (_setjmp(scheduler) != 0) return;
    if (t->has_begun) _longjmp(t->at, 1);
    t->has_begun = true;
    getcontext(&t->context);
    if (!t->stack) t->stack = (char *)malloc(STACK_BYTES);
    t->context.uc_stack.ss_sp = t->stack;
    t->context.uc_stack.ss_size = STACK_BYTES;
    t->context.uc_link = NULL;
    makecontext(&t->context, thread_main, 0);
    setcontext(&t->context);
}

void __syncthreads() {
    rest(STATE_AT_BARRIER);
}

const uint32_t *emu_exchange(const uint32_t *mine, int n) {
    unsigned t = threadIdx.x;
    memcpy(brought[t], mine, (size_t)n * sizeof *mine);
    rest(STATE_AT_WARP);
    return given[t / LANES * LANES];
}

/* A warp goes on when all of its lanes that still live have come. */
static bool release_warp(unsigned first, unsigned n) {
    bool has_any = false;
    for (unsigned i = first; i < first + n; i++) {
        if (threads[i].state != STATE_AT_WARP) return false;
        has_any = true;
    }
    memcpy(given[first], brought[first], n * sizeof given[0]);
    for (unsigned i = first; i < first + n; i++)
        threads[i].state = STATE_RUNS;
    return has_any;
}

static bool release_barrier(unsigned n) {
    bool has_any = false;
    for (unsigned i = 0; i < n; i++) {
        if (threads[i].state != STATE_AT_BARRIER && threads[i].state != STATE_DONE) return false;
        has_any = has_any || threads[i].state == STATE_AT_BARRIER;
    }
    for (unsigned i = 0; i < n; i++)
        if (threads[i].state == STATE_AT_BARRIER) threads[i].state = STATE_RUNS;
    return has_any;
}

static bool is_over(unsigned n) {
    for (unsigned i = 0; i < n; i++)
        if (threads[i].state != STATE_DONE) return false;
    return true;
}

static void run_block(unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        threads[i].state = STATE_RUNS;
        threads[i].index = i;
        threads[i].n_copies = threads[i].n_groups = 0;
    }
    while (!is_over(n)) {
        for (unsigned i = 0; i < n; i++)
            if (threads[i].state == STATE_RUNS) resume(&threads[i]);
        bool goes_on = false;
        for (unsigned i = 0; i < n; i += LANES)
            goes_on = release_warp(i, n - i < LANES ? n - i : (unsigned)LANES) || goes_on;
        goes_on = release_barrier(n) || goes_on;
        EMU_ASSERT(goes_on || is_over(n)); /* else some threads wait for others that never come */
    }
}

cudaError_t emu_launch(const cudaLaunchConfig_t *config, const std::function<void()> &thread) {
    unsigned n = config->blockDim.x;
    if (n == 0 || n > THREADS_MAX || config->gridDim.x == 0 ||
        config->dynamicSmemBytes > SHARED_MAX)
        return last_error = cudaErrorInvalidConfiguration;
    if (!threads) threads = (struct thread *)calloc(THREADS_MAX, sizeof *threads);
    work = &thread;
    blockDim = config->blockDim;
    gridDim = config->gridDim;
    shared_bytes = config->dynamicSmemBytes;
    emu_enter();
    for (unsigned b = 0; b < config->gridDim.x; b++) {
        blockIdx.x = b;
        memset(shared, 0xff, shared_bytes); /* NaN: what nobody wrote shows */
        run_block(n);
    }
    emu_leave();
    return cudaSuccess;
}

unsigned char *cuda_ptx_shared(void) {
    return shared;
}

void emu_check_shared(const void *p, size_t n) {
    const unsigned char *at = (const unsigned char *)p;
    EMU_ASSERT(at >= shared && at + n <= shared + shared_bytes && (uintptr_t)at % 16 == 0);
}

uint32_t cuda_ptx_address(const void *p) {
    return (uint32_t)((const unsigned char *)p - shared);
}

/* The bytes travel only when they are waited for: what is read too early is not there. */
void cuda_ptx_copy16(void *to, const void *from, bool is_there) {
    struct thread *t = now;
    emu_check_shared(to, 16);
    EMU_ASSERT((uintptr_t)from % 16 == 0 && t->n_copies < COPIES_MAX);
    if (!t->copies) t->copies = (struct copy *)calloc(COPIES_MAX, sizeof *t->copies);
    struct copy *c = &t->copies[t->n_copies++];
    c->to = to;
    if (is_there)
        memcpy(c->bytes, from, 16);
    else
        memset(c->bytes, 0, 16);
}

void cuda_ptx_commit(void) {
    EMU_ASSERT(now->n_groups < GROUPS_MAX);
    now->group_end[now->n_groups++] = now->n_copies;
}

void emu_wait(int n) {
    struct thread *t = now;
    while (t->n_groups > n) {
        int end = t->group_end[0];
        for (int i = 0; i < end; i++)
            memcpy(t->copies[i].to, t->copies[i].bytes, 16);
        memmove(t->copies, t->copies + end, (size_t)(t->n_copies - end) * sizeof *t->copies);
        t->n_copies -= end;
        t->n_groups--;
        for (int i = 0; i < t->n_groups; i++)
            t->group_end[i] = t->group_end[i + 1] - end;
    }
}

/* Lane l gets of matrix i the elements 2 (l % 4) and the next one of row l / 4; turned: of column.
 */
static void load4(uint32_t r[4], const void *row, bool is_turned) {
    uint64_t address = (uint64_t)(uintptr_t)row;
    uint32_t mine[2] = {(uint32_t)address, (uint32_t)(address >> 32)};
    emu_check_shared(row, 16);
    const uint32_t *all = emu_exchange(mine, 2);
    unsigned lane = threadIdx.x % LANES, g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < 4; i++) {
        const uint16_t *rows[8];
        for (unsigned k = 0; k < 8; k++) {
            const uint32_t *words = all + (i * 8 + k) * EMU_WORDS_MAX;
            rows[k] = (const uint16_t *)(uintptr_t)(words[0] | (uint64_t)words[1] << 32);
        }
        uint16_t low = is_turned ? rows[2 * t][g] : rows[g][2 * t];
        uint16_t high = is_turned ? rows[2 * t + 1][g] : rows[g][2 * t + 1];
        r[i] = low | (uint32_t)high << 16;
    }
}

void cuda_ptx_load4(uint32_t r[4], const void *row) {
    load4(r, row, false);
}

void cuda_ptx_load4_turned(uint32_t r[4], const void *row) {
    load4(r, row, true);
}

static float half_at(uint32_t word, unsigned high) {
    return __uint_as_float(high ? word & 0xffff0000u : word << 16);
}

void cuda_ptx_mma(float c[4], const uint32_t a[4], const uint32_t b[2]) {
    uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    const uint32_t *all = emu_exchange(mine, 6);
    unsigned lane = threadIdx.x % LANES, g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < 4; i++) {
        unsigned row = g + i / 2 * 8, col = 2 * t + i % 2;
        float sum = 0;
        for (unsigned k = 0; k < 16; k++) {
            unsigned of_a = row % 8 * 4 + k % 8 / 2, of_b = col * 4 + k % 8 / 2;
            uint32_t wa = all[of_a * EMU_WORDS_MAX + row / 8 + k / 8 * 2];
            uint32_t wb = all[of_b * EMU_WORDS_MAX + 4 + k / 8];
            sum += half_at(wa, k % 2) * half_at(wb, k % 2);
        }
        c[i] += sum;
    }
}

static uint32_t to_half(float v) {
    uint32_t u = __float_as_uint(v);
    if ((u & 0x7fffffffu) > 0x7f800000u) return u >> 16 | 0x40;
    return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

uint32_t cuda_ptx_pair(float low, float high) {
    return to_half(low) | to_half(high) << 16;
}

/* Products of warpgroups. Each thread computes its own results, when it waits for them: until then
 * they are NaN. */
struct product {
    float *d;
    int n, adds;
    uint64_t a, b;
    bool is_gather;
    float row[2][16]; /* of a gather: this thread's two rows of a */
};

enum { PRODUCTS_MAX = 64 };

struct queue {
    struct product product[PRODUCTS_MAX];
    int n, group_end[GROUPS_MAX], n_groups;
};

static struct queue *queues;

static struct queue *queue_of() {
    if (!queues) queues = (struct queue *)calloc(THREADS_MAX, sizeof *queues);
    return &queues[threadIdx.x];
}

void cuda_hopper_show(void) {}
void cuda_hopper_begin(void) {}

void cuda_hopper_commit(void) {
    struct queue *q = queue_of();
    EMU_ASSERT(q->n_groups < GROUPS_MAX);
    q->group_end[q->n_groups++] = q->n;
}

/* One bf16 of a tile; the swap of chunks is part of the address. */
static float tile_at(uint64_t tile, uint32_t offset) {
    EMU_ASSERT(tile >> 62 == 1 && (tile >> 49 & 7) == 0);
    uint32_t at = (uint32_t)(tile & 0x3fff) * 16 + offset;
    at ^= (at >> 7 & 7) << 4;
    EMU_ASSERT(at + 2 <= shared_bytes);
    uint16_t bits;
    memcpy(&bits, shared + at, sizeof bits);
    return __uint_as_float((uint32_t)bits << 16);
}

/* k along the rows: groups of 8 rows follow each other at the stride of the descriptor. */
static float along(uint64_t tile, unsigned row, unsigned k) {
    uint32_t stride = (uint32_t)(tile >> 32 & 0x3fff) * 16;
    return tile_at(tile, row / 8 * stride + row % 8 * 128 + k * 2);
}

/* k down the rows: 64 columns, then the next tile. */
static float down(uint64_t tile, unsigned col, unsigned k) {
    uint32_t stride = (uint32_t)(tile >> 32 & 0x3fff) * 16;
    uint32_t beside = (uint32_t)(tile >> 16 & 0x3fff) * 16;
    return tile_at(tile, col / 64 * beside + col % 64 * 2 + k / 8 * stride + k % 8 * 128);
}

static struct product *enqueue(float *d, int n) {
    struct queue *q = queue_of();
    EMU_ASSERT(q->n < PRODUCTS_MAX);
    struct product *p = &q->product[q->n++];
    p->d = d;
    p->n = n;
    return p;
}

void emu_multiply(float *d, int n, uint64_t a, uint64_t b, int adds) {
    struct product *p = enqueue(d, n);
    p->a = a, p->b = b, p->adds = adds, p->is_gather = false;
    for (int i = 0; !adds && i < n / 2; i++)
        d[i] = NAN; /* what is read too early is no number */
}

void emu_gather(float *d, int n, const uint32_t a[4], uint64_t b) {
    struct product *p = enqueue(d, n);
    p->b = b, p->adds = 1, p->is_gather = true;
    const uint32_t *all = emu_exchange(a, 4);
    unsigned quad = threadIdx.x % LANES / 4 * 4;
    for (unsigned half = 0; half < 2; half++)
        for (unsigned k = 0; k < 16; k++) {
            uint32_t word = all[(quad + k % 8 / 2) * EMU_WORDS_MAX + half + k / 8 * 2];
            p->row[half][k] = __uint_as_float(k % 2 ? word & 0xffff0000u : word << 16);
        }
}

static void compute(const struct product *p) {
    unsigned warp = threadIdx.x / LANES % 4, lane = threadIdx.x % LANES;
    for (int i = 0; i < p->n / 2; i++) {
        unsigned half = i / 2 % 2, col = i / 4 * 8 + lane % 4 * 2 + i % 2;
        unsigned row = warp * 16 + lane / 4 + half * 8;
        float sum = 0;
        for (unsigned k = 0; k < 16; k++)
            sum += p->is_gather ? p->row[half][k] * down(p->b, col, k)
                                : along(p->a, row, k) * along(p->b, col, k);
        p->d[i] = p->adds ? p->d[i] + sum : sum;
    }
}

void emu_hopper_wait(int n) {
    struct queue *q = queue_of();
    while (q->n_groups > n) {
        int end = q->group_end[0];
        for (int i = 0; i < end; i++)
            compute(&q->product[i]);
        memmove(q->product, q->product + end, (size_t)(q->n - end) * sizeof q->product[0]);
        q->n -= end;
        q->n_groups--;
        for (int i = 0; i < q->n_groups; i++)
            q->group_end[i] = q->group_end[i + 1] - end;
    }
}

cudaError_t cudaMalloc(void **p, size_t bytes) {
    size_t room = (bytes + 4095) / 4096 * 4096;
    *p = NULL;
    if (used_bytes + room > memory_bytes || n_regions == REGIONS_MAX)
        return last_error = cudaErrorMemoryAllocation;
    void *m = mmap(NULL, room, depth ? PROT_READ | PROT_WRITE : PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) return last_error = cudaErrorMemoryAllocation;
    regions[n_regions++] = (struct region){(char *)m, room};
    used_bytes += room;
    *p = m;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p) {
    for (int i = 0; p && i < n_regions; i++)
        if (regions[i].p == p) {
            munmap(p, regions[i].bytes);
            used_bytes -= regions[i].bytes;
            regions[i] = regions[--n_regions];
            return cudaSuccess;
        }
    return p ? cudaErrorInvalidValue : cudaSuccess;
}

static bool is_on_device(const void *p, size_t n) {
    for (int i = 0; i < n_regions; i++)
        if ((const char *)p >= regions[i].p &&
            (const char *)p + n <= regions[i].p + regions[i].bytes)
            return true;
    return false;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind,
                            cudaStream_t s) {
    (void)s;
    EMU_ASSERT(is_on_device(to, n) == (kind != cudaMemcpyDeviceToHost));
    EMU_ASSERT(is_on_device(from, n) == (kind != cudaMemcpyHostToDevice));
    emu_enter();
    memmove(to, from, n);
    emu_leave();
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes) {
    *p = malloc(bytes);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *p) {
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total) {
    *total = memory_bytes;
    *left = memory_bytes - used_bytes;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *n) {
    *n = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int index) {
    return index == 0 ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int index) {
    (void)index;
    const char *hopper = getenv("MISORA_EMU_HOPPER");
    *p = (struct cudaDeviceProp){
        "emulated, on the processor", hopper ? 9 : 8, 0, 1, memory_bytes, SHARED_MAX - 1024};
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags) {
    (void)flags;
    *s = NULL;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s) {
    (void)s;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    (void)s;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags) {
    (void)flags;
    *e = NULL;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e) {
    (void)e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    (void)e, (void)s;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    (void)e;
    return cudaSuccess;
}

cudaError_t cudaGetLastError() {
    cudaError_t e = last_error;
    last_error = cudaSuccess;
    return e;
}

cudaError_t cudaPeekAtLastError() {
    return last_error;
}

const char *cudaGetErrorString(cudaError_t e) {
    return e == cudaErrorMemoryAllocation ? "out of memory" : "emulated error";
}
