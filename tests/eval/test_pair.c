/* The judge of layouts is right on renders that it was not made on, spoilt ones among them. */
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/str.h"
#include "eval/draw.h"
#include "eval/pair.h"
#include "tests/lib/check.h"

#define SEED (((uint64_t)7 << 38) + 500000000) /* nobody else's */

static void mirror(struct reel *r) {
    for (int t = 0; t < r->n_frames; t++)
        for (int y = 0; y < r->height; y++)
            for (int x = 0; x < r->width / 2; x++)
                for (int c = 0; c < 3; c++) {
                    uint8_t *row = reel_frame(r, t) + (size_t)y * (size_t)r->width * 3;
                    uint8_t *a = row + x * 3 + c, *b = row + (r->width - 1 - x) * 3 + c, v = *a;
                    *a = *b;
                    *b = v;
                }
}

/* Scenes with this relation, looked at as they are and spoilt: mirrored, or told the other way
 * round when they stand one behind the other. */
static void judge(enum world_relation relation, int n, int right[2]) {
    static const uint8_t opposite[] = {0, WORLD_RELATION_RIGHT_OF, WORLD_RELATION_LEFT_OF,
                                       WORLD_RELATION_IN_FRONT_OF, WORLD_RELATION_BEHIND};
    struct world_opts o = {.W = 128, .H = 80, .frames = 33, .fps = 12};
    right[0] = right[1] = 0;
    for (uint64_t seed = SEED + (uint64_t)relation * 1000000; n > 0; seed++) {
        struct scene s;
        struct reel r = {0};
        struct fail f = {0};
        int is_right = 0;
        CHECK_OK(world_scene_make(&s, seed, &o, &f), &f);
        if (!pair_fits(&s) || s.ent[1].rel != relation) continue;
        n--;
        CHECK_OK(reel_render(&r, &s, (s.frames + 3) / 4, &f), &f);
        r.n_frames = (s.frames + 3) / 4;
        CHECK_OK(pair_look(&is_right, &r, &s, &f), &f);
        right[0] += is_right;
        if (relation <= WORLD_RELATION_RIGHT_OF)
            mirror(&r);
        else
            s.ent[1].rel = opposite[relation];
        CHECK_OK(pair_look(&is_right, &r, &s, &f), &f);
        right[1] += !is_right;
        reel_free(&r);
    }
}

/* PAIR_CALIBRATED verdicts take a quarter of a minute; PAIR_CLIPS=50 in the environment asks for
 * them. */
static void right_on_renders_and_on_spoilt_ones(void) {
    const char *asked = getenv("PAIR_CLIPS");
    int64_t each = 15;
    int all = 0;
    if (asked) CHECK(str_parse_i64(str_of(asked), 1, 1000, &each));
    for (int k = WORLD_RELATION_LEFT_OF; k < WORLD_RELATION_COUNT; k++) {
        int right[2];
        judge((enum world_relation)k, (int)each, right);
        printf("  %-12s right on %d and %d spoilt of %d\n", world_name(WORLD_SLOT_RELATION, k),
               right[0], right[1], (int)each);
        all += right[0] + right[1];
    }
    int n = 8 * (int)each;
    printf("  accuracy %.3f of %d\n", (double)all / n, n);
    /* Two deviations of a share of so few are .04. */
    CHECK(all >= (PAIR_ACCURACY - (asked ? 0 : .04)) * n);
}

static const struct test tests[] = {TEST(right_on_renders_and_on_spoilt_ones)};
TEST_MAIN(tests)
