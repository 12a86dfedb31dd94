#include "engine/cpu/cpu_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/mem.h"

enum { SPIN_TURNS = 4000 };

struct scratch {
    void *data;
    size_t bytes;
};

struct worker {
    struct cpu_pool *pool;
    pthread_t thread;
    int number;
    bool is_started;
};

struct cpu_pool {
    int n_threads; /* with the caller */
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    _Atomic int64_t round; /* a new number is a new run; written under the lock */
    _Atomic bool is_closing;
    /* Of the run that is going on. Whoever took a tile pins the run until the tile is done, so
     * these may be read then; a thread that wakes up late finds n_left 0 and nobody waits for it.
     */
    cpu_pool_fn fn;
    void *ctx;
    int64_t n_tiles;
    _Atomic int64_t n_left, n_done;
    struct scratch scratch[CPU_POOL_THREADS_MAX], shared;
    struct worker worker[CPU_POOL_THREADS_MAX];
};

static void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static bool take_tile(struct cpu_pool *p, int64_t *tile) {
    int64_t left = atomic_load_explicit(&p->n_left, memory_order_acquire);
    while (left > 0)
        if (atomic_compare_exchange_weak(&p->n_left, &left, left - 1)) {
            *tile = p->n_tiles - left;
            return true;
        }
    return false;
}

static void work(struct cpu_pool *p, int thread) {
    int64_t tile;
    while (take_tile(p, &tile)) {
        int64_t n_tiles = p->n_tiles;
        p->fn(p->ctx, tile, thread);
        if (atomic_fetch_add(&p->n_done, 1) + 1 != n_tiles || thread == 0) continue;
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

/* Waits for a round other than `seen`; gives the new one. */
static int64_t wait_round(struct cpu_pool *p, int64_t seen) {
    for (int i = 0; i < SPIN_TURNS; i++) {
        int64_t now = atomic_load_explicit(&p->round, memory_order_acquire);
        if (now != seen) return now;
        pause_cpu();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->round) == seen)
        pthread_cond_wait(&p->start, &p->lock);
    int64_t now = atomic_load(&p->round);
    pthread_mutex_unlock(&p->lock);
    return now;
}

static int count_cores(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > CPU_POOL_THREADS_MAX ? CPU_POOL_THREADS_MAX : n;
}

/* When there is one thread for every core, each thread but the caller keeps to its own. The system
 * likes to wake a thread on the core of the one that woke it; there it waits until the caller has
 * done the work alone, and products of less than a millisecond never saw the second core. */
static void keep_to_core(const struct worker *w) {
    cpu_set_t allowed, one;
    CPU_ZERO(&allowed);
    CPU_ZERO(&one);
    if (w->pool->n_threads != count_cores()) return;
    if (pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) return;
    for (int core = 0, left = w->number; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &allowed) && left-- == 0) {
            CPU_SET(core, &one);
            pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        }
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    struct cpu_pool *p = w->pool;
    keep_to_core(w);
    for (int64_t seen = 0;;) {
        seen = wait_round(p, seen);
        if (p->is_closing) return NULL;
        work(p, w->number);
    }
}

enum err cpu_pool_open(struct cpu_pool **out, int n_threads, struct fail *f) {
    struct cpu_pool *p = mem_take(1, sizeof *p);
    *out = p;
    if (!p) return FAIL(f, ERR_NOMEM, "no memory for the threads");
    p->n_threads = n_threads > 0 && n_threads < CPU_POOL_THREADS_MAX ? n_threads : count_cores();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 1; i < p->n_threads; i++) {
        struct worker *w = &p->worker[i];
        *w = (struct worker){.pool = p, .number = i};
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
            p->n_threads = i;
            break;
        }
        w->is_started = true;
    }
    return ERR_OK;
}

static void start_round(struct cpu_pool *p) {
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->round, 1, memory_order_release);
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->lock);
}

void cpu_pool_close(struct cpu_pool *p) {
    if (!p) return;
    p->is_closing = true;
    start_round(p);
    for (int i = 1; i < p->n_threads; i++)
        if (p->worker[i].is_started) pthread_join(p->worker[i].thread, NULL);
    for (int i = 0; i < CPU_POOL_THREADS_MAX; i++)
        mem_free_aligned(p->scratch[i].data);
    mem_free_aligned(p->shared.data);
    pthread_cond_destroy(&p->start);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

int cpu_pool_n_threads(const struct cpu_pool *p) {
    return p->n_threads;
}

static void wait_done(struct cpu_pool *p) {
    for (int i = 0; i < SPIN_TURNS; i++) {
        if (atomic_load_explicit(&p->n_done, memory_order_acquire) == p->n_tiles) return;
        pause_cpu();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->n_done) != p->n_tiles)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void cpu_pool_run(struct cpu_pool *p, int64_t n_tiles, cpu_pool_fn fn, void *ctx) {
    if (n_tiles <= 1 || p->n_threads == 1) {
        for (int64_t i = 0; i < n_tiles; i++)
            fn(ctx, i, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    p->n_tiles = n_tiles;
    atomic_store(&p->n_done, 0);
    atomic_store(&p->n_left, n_tiles);
    start_round(p);
    work(p, 0);
    wait_done(p);
}

static enum err grow(struct scratch *s, size_t bytes, struct fail *f) {
    if (s->bytes >= bytes) return ERR_OK;
    mem_free_aligned(s->data);
    s->bytes = 0;
    s->data = mem_take_aligned(bytes);
    if (!s->data) return FAIL(f, ERR_NOMEM, "no %zu MiB of scratch for a core", bytes >> 20);
    s->bytes = bytes;
    return ERR_OK;
}

enum err cpu_pool_reserve(struct cpu_pool *p, size_t bytes, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 0; i < p->n_threads; i++)
        TRY(grow(&p->scratch[i], bytes, f));
out:
    return rc;
}

void *cpu_pool_scratch(const struct cpu_pool *p, int thread) {
    return p->scratch[thread].data;
}

enum err cpu_pool_reserve_shared(struct cpu_pool *p, size_t bytes, struct fail *f) {
    return grow(&p->shared, bytes, f);
}

void *cpu_pool_shared(const struct cpu_pool *p) {
    return p->shared.data;
}
