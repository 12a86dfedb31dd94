#include "decode/jail.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/assert.h"

#if defined(__x86_64__)
#define ARCH        AUDIT_ARCH_X86_64
#define SYSCALL_MAX 0x3fffffffu /* the x32 calls live above */
#else
#define ARCH        AUDIT_ARCH_AARCH64
#define SYSCALL_MAX 0xffffffffu
#endif

/* Sanitizers reserve terabytes and look at their own threads: they get the limits of time and
 * files, but neither memory limit nor filter. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1, SANITIZED_FILES = 16 };
#else
enum { IS_SANITIZED = 0, SANITIZED_FILES = 16 };
#endif

/* What decoding in one thread needs, and nothing that reaches outside the process. */
static const int allowed[] = {
    SYS_close,          SYS_brk,         SYS_munmap,
    SYS_mremap,         SYS_madvise,     SYS_futex,
    SYS_clock_gettime,  SYS_getrandom,   SYS_rt_sigreturn,
    SYS_rt_sigprocmask, SYS_sched_yield, SYS_sched_getaffinity,
    SYS_exit,           SYS_exit_group,  SYS_restart_syscall,
    SYS_getpid,         SYS_gettid,
};

/* Bytes come from one descriptor and go to another. */
static const struct {
    int call;
    uint32_t fd;
} allowed_on_one[] = {{SYS_read, 0}, {SYS_pread64, 0}, {SYS_write, 1}};

enum { FILTER_MAX = 96 };

struct program {
    struct sock_filter line[FILTER_MAX];
    unsigned short n;
};

static void add(struct program *p, struct sock_filter line) {
    ASSERT(p->n < FILTER_MAX);
    p->line[p->n++] = line;
}

static void load(struct program *p, uint32_t offset) {
    add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

/* Goes on with the next line when the test holds, else skips `n_skipped` lines. */
static void unless(struct program *p, uint16_t test, uint32_t value, uint8_t n_skipped) {
    add(p, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | test | BPF_K), value, 0, n_skipped));
}

static void give(struct program *p, uint32_t verdict) {
    add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

/* Memory may be asked for, but never to run code from, and never over a file. */
static void write_memory_rules(struct program *p) {
    const uint32_t prot = offsetof(struct seccomp_data, args[2]); /* low halves */
    const uint32_t flags = offsetof(struct seccomp_data, args[3]);
    unless(p, BPF_JEQ, SYS_mprotect, 4);
    load(p, prot);
    unless(p, BPF_JSET, PROT_EXEC, 1);
    give(p, SECCOMP_RET_KILL_PROCESS);
    give(p, SECCOMP_RET_ALLOW);
    unless(p, BPF_JEQ, SYS_mmap, 7);
    load(p, prot);
    unless(p, BPF_JSET, PROT_EXEC, 1);
    give(p, SECCOMP_RET_KILL_PROCESS);
    load(p, flags);
    unless(p, BPF_JSET, MAP_ANONYMOUS, 1);
    give(p, SECCOMP_RET_ALLOW);
    give(p, SECCOMP_RET_KILL_PROCESS);
}

static void write_program(struct program *p) {
    load(p, offsetof(struct seccomp_data, arch));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    give(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
    unless(p, BPF_JGT, SYSCALL_MAX, 1);
    give(p, SECCOMP_RET_KILL_PROCESS);
    for (int i = 0; i < COUNT_OF(allowed); i++) {
        unless(p, BPF_JEQ, (uint32_t)allowed[i], 1);
        give(p, SECCOMP_RET_ALLOW);
    }
    for (int i = 0; i < COUNT_OF(allowed_on_one); i++) {
        unless(p, BPF_JEQ, (uint32_t)allowed_on_one[i].call, 4);
        load(p, offsetof(struct seccomp_data, args[0])); /* a descriptor is its low half */
        unless(p, BPF_JEQ, allowed_on_one[i].fd, 1);
        give(p, SECCOMP_RET_ALLOW);
        give(p, SECCOMP_RET_KILL_PROCESS);
    }
    write_memory_rules(p);
    give(p, SECCOMP_RET_KILL_PROCESS);
}

static bool set_limits(const struct jail_limits *l) {
    const struct {
        int what;
        rlim_t value;
    } rows[] = {
        {RLIMIT_AS, IS_SANITIZED ? RLIM_INFINITY : l->memory_bytes},
        {RLIMIT_CPU, l->cpu_s},
        {RLIMIT_FSIZE, 0},
        {RLIMIT_CORE, 0},
        {RLIMIT_NOFILE, IS_SANITIZED ? SANITIZED_FILES : 0},
        {RLIMIT_NPROC, 0},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct rlimit r = {rows[i].value, rows[i].value};
        if (setrlimit((__rlimit_resource_t)rows[i].what, &r) < 0) return false;
    }
    return true;
}

/* Only what every version of the kernel's header knows is named; later rights are their bits. */
struct rules {
    uint64_t fs, net;
};

enum { ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5 };

/* No right on any file and on no port, where the kernel knows Landlock; where it does not, the
 * filter below is what holds. False when the kernel knows it and the lock does not close. */
static bool close_landlock(void) {
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, 0, (unsigned)LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return true;
    int n_rights = abi >= ABI_IOCTL ? 16 : abi >= ABI_TRUNCATE ? 15 : abi == 2 ? 14 : 13;
    struct rules rules = {.fs = ((uint64_t)1 << n_rights) - 1, .net = abi >= ABI_NET ? 3 : 0};
    size_t size = abi >= ABI_NET ? sizeof(rules) : sizeof(rules.fs);
    long fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0u);
    bool is_closed = fd >= 0 && syscall(SYS_landlock_restrict_self, (int)fd, 0u) == 0;
    if (fd >= 0) close((int)fd);
    return is_closed;
}

bool jail_enter(const struct jail_limits *limits) {
    struct program p = {.n = 0};
    if (close_range(STDERR_FILENO + 1, ~0U, 0) != 0) return false;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    if (!IS_SANITIZED && !close_landlock()) return false;
    if (!set_limits(limits)) return false;
    if (IS_SANITIZED) return true;
    write_program(&p);
    struct sock_fprog prog = {.len = p.n, .filter = p.line};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}
