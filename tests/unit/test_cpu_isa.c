/* Which kernels a device may use: what the processor has, and no more than was asked for. */
#include "common/base/assert.h"
#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/cpu_rows.h"
#include "engine/cpu/cpu_tile.h"
#include "tests/lib/check.h"

static void a_name_is_a_limit(void) {
    static const struct {
        const char *name;
        enum cpu_isa most;
    } rows[] = {{"base", CPU_ISA_BASE},
                {"avx2", CPU_ISA_AVX2},
                {"avx512", CPU_ISA_AVX512},
                {"avx512bf16", CPU_ISA_AVX512VNNI},
                {NULL, CPU_ISA_AVX512VNNI}};
    for (int i = 0; i < COUNT_OF(rows); i++) {
        enum cpu_isa isa;
        struct fail f = {0};
        if (cpu_isa_find(&isa, rows[i].name, &f) == ERR_OK)
            CHECK(isa <= rows[i].most);
        else
            CHECK(rows[i].name && strstr(f.text, rows[i].name));
    }
}

static void an_unknown_name_is_refused_with_those_that_exist(void) {
    enum cpu_isa isa;
    struct fail f = {0};
    CHECK_INT(cpu_isa_find(&isa, "sse9", &f), ERR_UNSUPPORTED);
    CHECK(strstr(f.text, "sse9") && strstr(f.text, "avx512bf16"));
}

/* A limit once picked the slowest rows where it should have picked the best. */
static void a_limit_above_all_is_no_limit(void) {
    enum cpu_isa all, named;
    CHECK_INT(cpu_isa_find(&all, NULL, NULL), ERR_OK);
    if (cpu_isa_find(&named, "avx512bf16", NULL) != ERR_OK) return;
    CHECK_INT(named, all);
    CHECK_INT(cpu_rows_find(named, PRECISION_BF16)->dtype, DTYPE_BF16);
    CHECK_INT(cpu_rows_find(named, PRECISION_F32)->dtype, DTYPE_F32);
    CHECK(cpu_tile_find(DTYPE_BF16, named) != NULL);
}

static const struct test tests[] = {
    TEST(a_name_is_a_limit),
    TEST(an_unknown_name_is_refused_with_those_that_exist),
    TEST(a_limit_above_all_is_no_limit),
};
TEST_MAIN(tests)
