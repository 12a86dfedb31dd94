/* prompt.h - `misora prompt`: how a prompt is rewritten for the embedded model, and which of its
 * words that model does not know. */
#ifndef TOOLS_PROMPT_H
#define TOOLS_PROMPT_H

int prompt_main(int argc, char **argv);

#endif
