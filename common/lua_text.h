/* lua_text.h - the library common/lua/misora.lua as text; the build generates lua_text.c from it.
 */
#ifndef COMMON_LUA_TEXT_H
#define COMMON_LUA_TEXT_H

#include <stddef.h>

extern const char lua_text[];      /* NUL-terminated */
extern const size_t lua_text_size; /* without the NUL */

#endif
