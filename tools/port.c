#include "tools/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/config.h"

int port_main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int bad = fd < 0 || bind(fd, (struct sockaddr *)&at, n) != 0 ||
              getsockname(fd, (struct sockaddr *)&at, &n) != 0;
    if (bad) fprintf(stderr, "misora port: %s\n", strerror(errno));
    if (fd >= 0) close(fd);
    if (bad) return EXIT_CODE_UNAVAILABLE;
    printf("%d\n", ntohs(at.sin_port));
    return 0;
}
