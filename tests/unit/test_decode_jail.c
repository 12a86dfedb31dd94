/* The jail of misora-decode: twenty and more ways out, all closed. */
#include "decode/jail.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/lib/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static const struct jail_limits limits = {.memory_bytes = 800u << 20, .cpu_s = 5};

static void try_open(void) {
    open("/etc/hostname", O_RDONLY);
}
static void try_create(void) {
    open("/tmp/jail_was_here", O_WRONLY | O_CREAT, 0600);
}
static void try_openat2(void) {
    syscall(437, AT_FDCWD, "/etc/hostname", NULL, 0);
}
static void try_socket(void) {
    socket(AF_INET, SOCK_STREAM, 0);
}
static void try_unix(void) {
    socket(AF_UNIX, SOCK_STREAM, 0);
}
static void try_socketpair(void) {
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
}
static void try_fork(void) {
    if (fork() == 0) _exit(0);
}
static void try_vfork(void) {
    syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static void try_exec(void) {
    execl("/bin/true", "true", (char *)NULL);
}
static void try_ptrace(void) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static void try_kill(void) {
    kill(getppid(), 0);
}
static void try_unlink(void) {
    unlink("/tmp/nothing");
}
static void try_rename(void) {
    rename("/tmp/nothing", "/tmp/nothing2");
}
static void try_mkdir(void) {
    mkdir("/tmp/jail_dir", 0700);
}
static void try_chmod(void) {
    chmod("/tmp", 01777);
}
static void try_stat(void) {
    struct stat st;
    stat("/etc/passwd", &st);
}
static void try_readlink(void) {
    char b[64];
    if (readlink("/proc/self/exe", b, 64)) return;
}
static void try_exec_memory(void) {
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void try_make_exec(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
static void try_unshare(void) {
    unshare(CLONE_NEWUSER);
}
static void try_setuid(void) {
    if (setuid(0)) return;
}
static void try_limits(void) {
    setrlimit(RLIMIT_AS, &(struct rlimit){1 << 30, 1 << 30});
}
static void try_memfd(void) {
    syscall(SYS_memfd_create, "x", 0);
}
static void try_io_uring(void) {
    syscall(425, 8, NULL);
}
static void try_bpf(void) {
    syscall(SYS_bpf, 0, NULL, 0);
}
static void try_keyctl(void) {
    syscall(SYS_keyctl, 0, 0);
}
static void try_vm_read(void) {
    syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
}
static void try_pidfd(void) {
    syscall(434, 1, 0);
}
static void try_prctl(void) {
    syscall(SYS_prctl, 38, 1, 0, 0, 0);
}
static void try_ioctl(void) {
    syscall(SYS_ioctl, 0, 0x5412, "x");
}

static const struct {
    const char *name;
    void (*act)(void);
} acts[] = {
    {"open", try_open},
    {"create", try_create},
    {"openat2", try_openat2},
    {"socket", try_socket},
    {"unix", try_unix},
    {"socketpair", try_socketpair},
    {"fork", try_fork},
    {"clone", try_vfork},
    {"exec", try_exec},
    {"ptrace", try_ptrace},
    {"kill", try_kill},
    {"unlink", try_unlink},
    {"rename", try_rename},
    {"mkdir", try_mkdir},
    {"chmod", try_chmod},
    {"stat", try_stat},
    {"readlink", try_readlink},
    {"exec memory", try_exec_memory},
    {"mprotect", try_make_exec},
    {"unshare", try_unshare},
    {"setuid", try_setuid},
    {"setrlimit", try_limits},
    {"memfd", try_memfd},
    {"io_uring", try_io_uring},
    {"bpf", try_bpf},
    {"keyctl", try_keyctl},
    {"vm_readv", try_vm_read},
    {"pidfd_open", try_pidfd},
    {"prctl", try_prctl},
    {"ioctl", try_ioctl},
};

static int status_of(void (*act)(void)) {
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!jail_enter(&limits)) _exit(100);
        act();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return status;
}

static void every_way_out_is_closed(void) {
    if (IS_SANITIZED) {
        test_skip("the filter is off under AddressSanitizer");
        return;
    }
    for (int i = 0; i < (int)(sizeof(acts) / sizeof(acts[0])); i++) {
        int status = status_of(acts[i].act);
        bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
        if (!is_killed) fprintf(stderr, "  not stopped: %s (status %x)\n", acts[i].name, status);
        CHECK(is_killed);
    }
    CHECK(access("/tmp/jail_was_here", F_OK) != 0);
}

static void work(void) {
    int sum = 0;
    for (int i = 0; i < 64; i++) {
        char *p = mem_take(1, (size_t)1 << (i % 22));
        if (!p) _exit(1);
        sum += p[0];
        mem_free(p);
    }
    if (write(1, "", 0) < 0 || sum != 0) _exit(1);
}

static void computing_reading_and_writing_go_on(void) {
    CHECK_INT(status_of(work), 0);
}

static void spin(void) {
    for (volatile unsigned long i = 0;; i++)
        continue;
}

static void time_and_memory_are_bounded(void) {
    static const struct jail_limits tight = {.memory_bytes = 800u << 20, .cpu_s = 1};
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!jail_enter(&tight)) _exit(100);
        spin();
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status));
}

static const struct test tests[] = {
    TEST(every_way_out_is_closed),
    TEST(computing_reading_and_writing_go_on),
    TEST(time_and_memory_are_bounded),
};
TEST_MAIN(tests)
