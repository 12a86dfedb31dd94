#include "engine/mapped.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/assert.h"

/* State of the process, because a signal handler has no other: what is mapped where. A slot is
 * free when `end` is 0; `begin` is written before `end`. Pages are of a size known before. */
static struct slot {
    _Atomic uintptr_t begin, end;
    _Atomic bool is_taken, is_broken;
} slots[MAPPED_MAX];

static struct sigaction previous;
static uintptr_t page_bytes;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct slot *find_slot(uintptr_t at) {
    for (int i = 0; i < MAPPED_MAX; i++)
        if (at >= atomic_load(&slots[i].begin) && at < atomic_load(&slots[i].end)) return &slots[i];
    return NULL;
}

/* Zeros from the page of `at` to the end: what follows a missing page of a cut file is missing
 * too, and a signal for each of a million pages would take its time. */
static bool lay_zeros(const struct slot *s, uintptr_t at) {
    uintptr_t first = at & ~(page_bytes - 1);
    void *p = mmap((void *)first, atomic_load(&s->end) - first, PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED;
}

static void on_bus(int number, siginfo_t *info, void *context) {
    int kept = errno;
    struct slot *s = find_slot((uintptr_t)info->si_addr);
    if (s && lay_zeros(s, (uintptr_t)info->si_addr)) {
        atomic_store(&s->is_broken, true);
    } else if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else {
        signal(number, SIG_DFL); /* the fault comes again and ends the process as it should */
    }
    errno = kept;
}

static void install(void) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = on_bus;
    sigemptyset(&action.sa_mask);
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    ASSERT(sigaction(SIGBUS, &action, &previous) == 0);
}

static int take_slot(void) {
    for (int i = 0; i < MAPPED_MAX; i++) {
        bool is_free = false;
        if (atomic_compare_exchange_strong(&slots[i].is_taken, &is_free, true)) return i;
    }
    return -1;
}

enum err mapped_open(struct mapped *out, const struct file *file, const char *path,
                     struct fail *f) {
    *out = (struct mapped){0};
    pthread_once(&once, install);
    int slot = take_slot();
    if (slot < 0) return FAIL(f, ERR_LIMIT, "more than %d files are mapped", MAPPED_MAX);
    size_t n = (size_t)file->size_bytes;
    void *p = n ? mmap(NULL, n, PROT_READ, MAP_SHARED, file->fd, 0) : MAP_FAILED;
    if (p == MAP_FAILED) {
        int why = n ? errno : EINVAL;
        atomic_store(&slots[slot].is_taken, false);
        return FAIL(f, why == ENOMEM ? ERR_NOMEM : ERR_IO, "%.180s cannot be mapped: %s", path,
                    strerror(why));
    }
    /* Big pages: the disk is read by megabytes, and a big page costs one fault instead of many. */
    (void)madvise(p, n, MADV_HUGEPAGE);
    atomic_store(&slots[slot].is_broken, false);
    atomic_store(&slots[slot].begin, (uintptr_t)p);
    atomic_store(&slots[slot].end, ((uintptr_t)p + n + page_bytes - 1) & ~(page_bytes - 1));
    *out = (struct mapped){p, n, slot};
    return ERR_OK;
}

void mapped_close(struct mapped *m) {
    if (m->data) {
        atomic_store(&slots[m->slot].end, 0);
        munmap((void *)(uintptr_t)m->data, m->bytes);
        atomic_store(&slots[m->slot].is_taken, false);
    }
    *m = (struct mapped){0};
}

enum err mapped_check(const struct mapped *m, const char *path, struct fail *f) {
    if (m->data && atomic_load(&slots[m->slot].is_broken))
        return FAIL(f, ERR_CORRUPT, "%.160s: a part of it is gone: it was cut while it was in use",
                    path);
    return ERR_OK;
}

/* Advice never changes what is read, so whether it was taken does not matter. */
void mapped_expect(const void *p, size_t n) {
    uintptr_t first = (uintptr_t)p & ~(page_bytes - 1);
    (void)madvise((void *)first, (uintptr_t)p + n - first, MADV_WILLNEED);
}

/* Pages that only begin or end here are shared with a neighbour and stay. */
void mapped_forget(const void *p, size_t n) {
    uintptr_t first = ((uintptr_t)p + page_bytes - 1) & ~(page_bytes - 1);
    uintptr_t end = ((uintptr_t)p + n) & ~(page_bytes - 1);
    if (end > first) (void)madvise((void *)first, end - first, MADV_DONTNEED);
}
