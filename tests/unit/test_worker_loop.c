/* The libuv door: timers, work beside the loop, descriptors, the page of metrics. */
#include "worker/loop.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/now.h"
#include "tests/lib/check.h"

static struct loop *loop;
static struct loop_timer *timer;
static struct loop_watch *watch;
static int n_fired, n_worked, n_after, n_signals, fds[2], port;
static char got[512];

static void stop(void *ctx) {
    (void)ctx;
    loop_stop(loop);
}

static void fire(void *ctx) {
    (void)ctx;
    if (++n_fired < 3)
        loop_timer_set(timer, 5);
    else
        loop_stop(loop);
}

static void timers_fire_once_and_may_be_set_again(void) {
    struct fail f = {0};
    CHECK_OK(loop_open(&loop, &f), &f);
    CHECK_OK(loop_timer_open(loop, &timer, fire, NULL, &f), &f);
    loop_timer_set(timer, 5);
    loop_run(loop);
    CHECK_INT(n_fired, 3);
    loop_close(loop);
    CHECK_INT(mem_alive(), 0);
}

static void work(void *ctx) {
    (void)ctx;
    now_sleep_ms(20);
    __atomic_add_fetch(&n_worked, 1, __ATOMIC_SEQ_CST);
}

static void after(void *ctx) {
    (void)ctx;
    if (++n_after == LOOP_THREADS) loop_stop(loop);
}

static void slow_work_runs_side_by_side(void) {
    struct fail f = {0};
    CHECK_OK(loop_open(&loop, &f), &f);
    int64_t start = now_mono_ms();
    for (int i = 0; i < LOOP_THREADS; i++)
        CHECK_OK(loop_work(loop, work, after, NULL, &f), &f);
    CHECK_INT(loop_n_working(loop), LOOP_THREADS);
    loop_run(loop);
    CHECK_INT(n_worked, LOOP_THREADS);
    CHECK_INT(loop_n_working(loop), 0);
    CHECK(now_mono_ms() - start < 20 * LOOP_THREADS);
    loop_close(loop);
    CHECK_INT(mem_alive(), 0);
}

static void on_readable(void *ctx) {
    char c;
    (void)ctx;
    if (read(fds[0], &c, 1) == 1) {
        close(fds[1]); /* the end of the other side must wake us too */
        return;
    }
    loop_watch_close(watch);
    loop_stop(loop);
}

static void on_signal(void *ctx) {
    (void)ctx;
    n_signals++;
}

static void descriptors_and_signals_wake_the_loop(void) {
    struct fail f = {0};
    CHECK_OK(loop_open(&loop, &f), &f);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_OK(loop_watch_open(loop, &watch, fds[0], on_readable, NULL, &f), &f);
    CHECK_OK(loop_signal(loop, SIGUSR1, on_signal, NULL, &f), &f);
    CHECK_INT(kill(getpid(), SIGUSR1), 0);
    CHECK_INT(write(fds[1], "x", 1), 1);
    loop_run(loop);
    CHECK_OK(loop_timer_open(loop, &timer, stop, NULL, &f), &f);
    loop_timer_set(timer, 20); /* the signal may come in a later turn */
    loop_run(loop);
    CHECK_INT(n_signals, 1);
    loop_close(loop);
    close(fds[0]);
    CHECK_INT(mem_alive(), 0);
}

static enum err page(void *ctx, struct buf *out, struct fail *f) {
    (void)ctx;
    return buf_add_str(out, "metric 1\n", f);
}

static int free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&a, n) == 0 &&
          getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int visit(void) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* One visitor says nothing, one garbage without end, one is polite: only the last is answered. */
static void read_page(void *ctx) {
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    char junk[5000];
    (void)ctx;
    int silent = visit(), loud = visit(), polite = visit();
    memset(junk, 'x', sizeof(junk));
    CHECK(send(loud, junk, sizeof(junk), MSG_NOSIGNAL) > 0);
    CHECK(send(polite, request, 10, MSG_NOSIGNAL) == 10);
    now_sleep_ms(10);
    CHECK(send(polite, request + 10, sizeof(request) - 11, MSG_NOSIGNAL) > 0);
    size_t n = 0;
    ssize_t k;
    while ((k = recv(polite, got + n, sizeof(got) - 1 - n, 0)) > 0)
        n += (size_t)k;
    CHECK(recv(loud, junk, sizeof(junk), 0) <= 0);
    close(silent);
    close(loud);
    close(polite);
}

static void the_page_is_served_to_whoever_asks(void) {
    struct fail f = {0};
    CHECK_OK(loop_open(&loop, &f), &f);
    port = free_port();
    CHECK_OK(loop_serve(loop, port, page, NULL, &f), &f);
    CHECK_OK(loop_work(loop, read_page, stop, NULL, &f), &f);
    loop_run(loop);
    CHECK_HAS(got, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(got, "\r\n\r\nmetric 1\n");
    loop_close(loop);
    CHECK_INT(mem_alive(), 0);
}

static const struct test tests[] = {
    TEST(timers_fire_once_and_may_be_set_again),
    TEST(slow_work_runs_side_by_side),
    TEST(descriptors_and_signals_wake_the_loop),
    TEST(the_page_is_served_to_whoever_asks),
};
TEST_MAIN(tests)
