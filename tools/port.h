/* port.h - `misora port`: asks the kernel for a free loopback port, for scripts. */
#ifndef TOOLS_PORT_H
#define TOOLS_PORT_H

int port_main(int argc, char **argv);

#endif
