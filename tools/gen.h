/* gen.h - `misora gen`: a prompt to an mp4 with the engine alone; no Redis, no server. */
#ifndef TOOLS_GEN_H
#define TOOLS_GEN_H

int gen_main(int argc, char **argv);

#endif
