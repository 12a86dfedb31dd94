#include "worker/media/jail.h"

#include <linux/audit.h>
#include <linux/filter.h>
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
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

/* What decoding a picture in one thread needs, and nothing that reaches outside the process. */
static const int allowed[] = {
    SYS_read,        SYS_write,        SYS_close,          SYS_lseek,
    SYS_fstat,       SYS_brk,          SYS_munmap,         SYS_mremap,
    SYS_madvise,     SYS_futex,        SYS_clock_gettime,  SYS_clock_nanosleep,
    SYS_getrandom,   SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_sched_getaffinity,
    SYS_sched_yield, SYS_exit,         SYS_exit_group,     SYS_restart_syscall,
    SYS_getpid,      SYS_gettid,
};

/* Memory may be asked for, but never to run code from. */
static const int allowed_without_exec[] = {SYS_mmap, SYS_mprotect};

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
    for (int i = 0; i < COUNT_OF(allowed_without_exec); i++) {
        unless(p, BPF_JEQ, (uint32_t)allowed_without_exec[i], 4);
        load(p, (uint32_t)offsetof(struct seccomp_data, args[2])); /* the low half of `prot` */
        unless(p, BPF_JSET, PROT_EXEC, 1);
        give(p, SECCOMP_RET_KILL_PROCESS);
        give(p, SECCOMP_RET_ALLOW);
    }
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
        {RLIMIT_NOFILE, l->n_files},
        {RLIMIT_NPROC, 0},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct rlimit r = {rows[i].value, rows[i].value};
        if (setrlimit((__rlimit_resource_t)rows[i].what, &r) < 0) return false;
    }
    return true;
}

bool jail_enter(const struct jail_limits *limits) {
    struct program p = {.n = 0};
    if (!set_limits(limits)) return false;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    if (IS_SANITIZED) return true;
    write_program(&p);
    struct sock_fprog prog = {.len = p.n, .filter = p.line};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}
