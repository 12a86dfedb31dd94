/* crop.h - see common/base/crop.h. */
#include "common/base/crop.h"
