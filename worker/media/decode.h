/* decode.h - see common/decode.h. */
#include "common/decode.h"
