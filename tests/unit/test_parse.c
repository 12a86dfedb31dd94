/* usage: test_parse [NAME] | test_parse --seeds N [FIRST]; the default is 2000 from 0. */
#include <stdlib.h>

#include "common/words/caption.h"
#include "common/words/parse.h"
#include "tests/lib/check.h"
#include "tests/unit/random_scene.h"
#include "train/world/world.h"

static int n_seeds = 2000, first_seed;

/* Writes a long caption, reads it back, and names the slot that got lost. */
static int is_lost(const struct scene *s, enum caption_lang lang, int seed) {
    char text[CAPTION_BYTES_MAX];
    struct parse got, want;
    const char *slot;
    caption_write(s, CAPTION_LONG, lang, (uint64_t)seed, text, sizeof(text));
    parse_caption(text, &got);
    parse_defaults(&got);
    parse_expect(s, &want);
    slot = parse_differ(&got, &want);
    if (slot || got.n_unmapped)
        fprintf(stderr, "  seed %d loses %s, %d words unmapped: %s\n", seed,
                slot ? slot : "nothing", got.n_unmapped, text);
    return slot || got.n_unmapped;
}

static void check_round_trip(int is_sampled) {
    int n_lost = 0;
    for (int i = first_seed; i < first_seed + n_seeds && n_lost < 5; i++) {
        struct world_opts opts = {.W = 128,
                                  .H = 128,
                                  .frames = i % 4 ? 33 : 1,
                                  .fps = i % 3 ? 16 : 8,
                                  .split = i % 7 ? WORLD_SPLIT_TRAIN : WORLD_SPLIT_HELD_OUT};
        struct scene s = random_scene((uint64_t)i);
        struct fail f = {0};
        if (is_sampled) CHECK_INT(world_scene_make(&s, (uint64_t)i, &opts, &f), ERR_OK);
        n_lost += is_lost(&s, CAPTION_EN, i);
        n_lost += is_lost(&s, CAPTION_ZH, i);
    }
    printf("     %d %s scenes, two languages: %d captions lost a slot\n", n_seeds,
           is_sampled ? "sampled" : "arbitrary", n_lost);
    CHECK_INT(n_lost, 0);
}

static void sampled_scenes_come_back_from_their_long_captions(void) {
    check_round_trip(1);
}
static void arbitrary_scenes_come_back_from_their_long_captions(void) {
    check_round_trip(0);
}

/* A prompt as people type it; -1 for a slot that stays unknown, and the first thing only. */
enum { NO = PARSE_NONE };
static const struct prompt {
    const char *text;
    int env, time, weather, camera;
    int n_ent, cls, colour, action;
    int n_unmapped;
} prompts[] = {
    {"a red ball bounces in the snow", WORLD_ENV_SNOW_VILLAGE, NO, NO, NO, 1, WORLD_CLASS_BALL,
     WORLD_COLOUR_RED, WORLD_ACTION_BOUNCE, 0},
    {"A CORGI runs through a snowy village!", WORLD_ENV_SNOW_VILLAGE, NO, NO, NO, 1,
     WORLD_CLASS_CORGI, NO, WORLD_ACTION_RUN, 0},
    {"woman in a red coat walking down a wet neon Tokyo street at night", WORLD_ENV_NEON_STREET,
     WORLD_TIME_NIGHT, NO, NO, 1, WORLD_CLASS_RED_COAT_WOMAN, NO, WORLD_ACTION_WALK, 0},
    {"Photorealistic closeup video of two pirate ships battling each other as they sail inside a "
     "cup of coffee.",
     WORLD_ENV_COFFEE_CUP, NO, NO, NO, 2, WORLD_CLASS_PIRATE_SHIP, NO, WORLD_ACTION_BATTLE, 0},
    {"a stylish woman walks down a Tokyo street filled with warm glowing neon and animated city "
     "signage, sunglasses",
     WORLD_ENV_NEON_STREET, NO, NO, NO, 1, WORLD_CLASS_RED_COAT_WOMAN, NO, WORLD_ACTION_WALK, 1},
    {"a puppy and a bird in the park on a sunny day", WORLD_ENV_MEADOW, WORLD_TIME_DAY, NO, NO, 2,
     WORLD_CLASS_CORGI, NO, NO, 0},
    {"blue truck drives fast across the desert, tracking shot", WORLD_ENV_DESERT, NO, NO,
     WORLD_CAMERA_FOLLOW, 1, WORLD_CLASS_CAR, WORLD_COLOUR_BLUE, WORLD_ACTION_SLIDE, 0},
    {"ball rolls behind a wall and comes out on the other side", NO, NO, NO, NO, 1,
     WORLD_CLASS_BALL, NO, WORLD_ACTION_BEHIND, 0},
    {"drone shot over a beach at sunset", WORLD_ENV_BEACH, WORLD_TIME_SUNSET, NO, WORLD_CAMERA_FPV,
     0, 0, 0, 0, 0},
    {"the camera slowly zooms in on a burger that is being eaten", NO, NO, NO, WORLD_CAMERA_ZOOM, 1,
     WORLD_CLASS_BURGER, NO, WORLD_ACTION_EATEN, 0},
    {"it is raining, a dog jumps", NO, NO, WORLD_WEATHER_RAIN, NO, 1, WORLD_CLASS_CORGI, NO,
     WORLD_ACTION_JUMP, 0},
    {"a purple elephant", NO, NO, NO, NO, 0, 0, 0, 0, 1},
    {"红色的小球在雪地里弹跳", WORLD_ENV_SNOW_VILLAGE, NO, NO, NO, 1, WORLD_CLASS_BALL,
     WORLD_COLOUR_RED, WORLD_ACTION_BOUNCE, 0},
    {"一只小狗在雪地里奔跑", WORLD_ENV_SNOW_VILLAGE, NO, NO, NO, 1, WORLD_CLASS_CORGI, NO,
     WORLD_ACTION_RUN, 0},
    {"穿红大衣的女人夜晚走在东京的霓虹街道上", WORLD_ENV_NEON_STREET, WORLD_TIME_NIGHT, NO, NO, 1,
     WORLD_CLASS_RED_COAT_WOMAN, NO, WORLD_ACTION_WALK, 0},
    {"两艘海盗船在咖啡杯里战斗，镜头慢慢推近", WORLD_ENV_COFFEE_CUP, NO, NO, WORLD_CAMERA_DOLLY, 2,
     WORLD_CLASS_PIRATE_SHIP, NO, WORLD_ACTION_BATTLE, 0},
    {"紫色的大象", NO, NO, NO, NO, 0, 0, 0, 0, 1},
    {"a 红色 ball 弹跳", NO, NO, NO, NO, 1, WORLD_CLASS_BALL, WORLD_COLOUR_RED, WORLD_ACTION_BOUNCE,
     0},
    {"", NO, NO, NO, NO, 0, 0, 0, 0, 0},
};

static void prompts_of_people_are_understood(void) {
    for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++) {
        const struct prompt *p = &prompts[i];
        struct parse got;
        int before = check_failed;
        parse_caption(p->text, &got);
        CHECK_INT(got.env, p->env);
        CHECK_INT(got.time, p->time);
        CHECK_INT(p->weather == NO ? NO : got.weather, p->weather);
        CHECK_INT(got.camera, p->camera);
        CHECK_INT(got.n_ent, p->n_ent);
        if (got.n_ent > 0) {
            CHECK_INT(got.ent[0].cls, p->cls);
            CHECK_INT(got.ent[0].colour, p->colour);
            CHECK_INT(got.ent[0].action, p->action);
        }
        CHECK_INT(got.n_unmapped, p->n_unmapped);
        if (check_failed > before) fprintf(stderr, "  in \"%s\"\n", p->text);
    }
}

static const struct relation_row {
    const char *text;
    int who, rel, to;
} relations[] = {
    {"a green cube to the left of a yellow sphere", 0, WORLD_RELATION_LEFT_OF, 1},
    {"behind the red ball there is a blue cube", 1, WORLD_RELATION_BEHIND, 0},
    {"A red ball. To its right there is a cone.", 1, WORLD_RELATION_RIGHT_OF, 0},
    {"a car rolls in front of a house", 0, WORLD_RELATION_IN_FRONT_OF, 1},
    {"蓝色方块后面有一个红球", 1, WORLD_RELATION_BEHIND, 0},
    {"红球在蓝色方块的左边", 0, WORLD_RELATION_LEFT_OF, 1},
    {"a cube with a ball behind it", 1, WORLD_RELATION_BEHIND, 0},
    {"一个红球，它的前面有一个圆锥", 1, WORLD_RELATION_IN_FRONT_OF, 0},
};

static void relations_hold_between_the_right_two(void) {
    for (size_t i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
        const struct relation_row *row = &relations[i];
        struct parse p;
        int before = check_failed;
        parse_caption(row->text, &p);
        CHECK_INT(p.n_ent, 2);
        CHECK_INT(p.ent[row->who].rel, row->rel);
        CHECK_INT(p.ent[row->who].rel_to, row->to);
        CHECK_INT(p.ent[!row->who].rel, PARSE_NONE);
        if (check_failed > before) fprintf(stderr, "  in \"%s\"\n", row->text);
    }
}

static void unmapped_words_are_pieces_of_the_callers_text(void) {
    const char *text = "An Elephant — plays   chess，with 恐龙 on the beach";
    static const char *const want[] = {"Elephant", "plays", "chess", "恐龙"};
    struct parse p;
    parse_caption(text, &p);
    CHECK_INT(p.n_unmapped, 4);
    for (int i = 0; i < p.n_unmapped && i < 4; i++) {
        CHECK_INT(p.unmapped[i].n, strlen(want[i]));
        CHECK(memcmp(text + p.unmapped[i].at, want[i], p.unmapped[i].n) == 0);
    }
}

static void two_of_a_kind_share_what_is_said(void) {
    struct parse p;
    parse_caption("two red boats sail to the left", &p);
    CHECK_INT(p.n_ent, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(p.ent[i].colour, WORLD_COLOUR_RED);
        CHECK_INT(p.ent[i].action, WORLD_ACTION_SAIL);
        CHECK_INT(p.ent[i].dir, -1);
    }
}

/* Whatever the bytes are: entities, indices and pieces stay inside their bounds. */
static void check_bounds(const char *text) {
    struct parse p;
    size_t n = strlen(text);
    parse_caption(text, &p);
    CHECK(p.n_ent >= 0 && p.n_ent <= WORLD_ENTITY_MAX);
    CHECK(p.n_unmapped >= 0 && p.n_unmapped <= PARSE_TEXT_MAX);
    CHECK_INT(p.is_cut, n > PARSE_TEXT_MAX);
    for (int i = 0; i < p.n_unmapped && i < PARSE_UNMAPPED_MAX; i++) {
        CHECK(p.unmapped[i].n > 0);
        CHECK((size_t)p.unmapped[i].at + p.unmapped[i].n <= n);
    }
    for (int i = 0; i < p.n_ent; i++)
        CHECK(p.ent[i].rel_to == PARSE_NONE || (p.ent[i].rel_to >= 0 && p.ent[i].rel_to < p.n_ent));
}

static void odd_bytes_do_no_harm(void) {
    char text[600];
    uint64_t state = 42;
    for (int i = 0; i < 3000; i++) {
        int n = random_scene_below(&state, (int)sizeof(text));
        for (int k = 0; k < n; k++)
            text[k] = (char)(1 + random_scene_below(&state, 255));
        text[n] = 0;
        check_bounds(text);
    }
    check_bounds("\xe7\xba");
    check_bounds("\xf4\x8f\xbf\xbf\xff\xfe red ball");
    check_bounds("\xc0\xaf ... ''' ,,, ");
    check_bounds("a ball 👍🏽 é ñ");
}

/* Shreds of good captions join to sentences that no grammar wrote. */
static void shredded_captions_do_no_harm(void) {
    char text[3 * CAPTION_BYTES_MAX];
    uint64_t state = 7;
    for (int i = 0; i < 1500; i++) {
        size_t n = 0;
        for (int k = 0; k < 3; k++) {
            struct scene s = random_scene((uint64_t)(3 * i + k));
            int got = caption_write(&s, CAPTION_LONG, (enum caption_lang)(k & 1), (uint64_t)i,
                                    text + n, CAPTION_BYTES_MAX);
            n += (size_t)random_scene_below(&state, got);
        }
        text[n] = 0;
        check_bounds(text);
    }
}

static void long_text_is_cut_and_said_so(void) {
    static char text[200000];
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = "a two red balls behind 大象 elephant, "[i % 39];
    check_bounds(text);
    memset(text, 'x', sizeof(text) - 1);
    check_bounds(text);
    memset(text, ' ', sizeof(text) - 1);
    check_bounds(text);
}

static void more_things_than_a_scene_holds_are_dropped(void) {
    struct parse p;
    parse_caption("four dogs, three balls, a car, a tree and two houses", &p);
    CHECK_INT(p.n_ent, WORLD_ENTITY_MAX);
    CHECK_INT(p.ent[3].cls, WORLD_CLASS_CORGI);
    CHECK_INT(p.ent[4].cls, WORLD_CLASS_BALL);
}

static const struct test tests[] = {
    {"sampled_scenes_come_back_from_their_long_captions",
     sampled_scenes_come_back_from_their_long_captions},
    {"arbitrary_scenes_come_back_from_their_long_captions",
     arbitrary_scenes_come_back_from_their_long_captions},
    {"prompts_of_people_are_understood", prompts_of_people_are_understood},
    {"relations_hold_between_the_right_two", relations_hold_between_the_right_two},
    {"unmapped_words_are_pieces_of_the_callers_text",
     unmapped_words_are_pieces_of_the_callers_text},
    {"two_of_a_kind_share_what_is_said", two_of_a_kind_share_what_is_said},
    {"odd_bytes_do_no_harm", odd_bytes_do_no_harm},
    {"shredded_captions_do_no_harm", shredded_captions_do_no_harm},
    {"long_text_is_cut_and_said_so", long_text_is_cut_and_said_so},
    {"more_things_than_a_scene_holds_are_dropped", more_things_than_a_scene_holds_are_dropped},
};

int main(int argc, char **argv) {
    int is_loop = argc > 2 && strcmp(argv[1], "--seeds") == 0;
    if (is_loop) n_seeds = (int)strtol(argv[2], NULL, 10);
    if (is_loop && argc > 3) first_seed = (int)strtol(argv[3], NULL, 10);
    return check_main(tests, (int)(sizeof(tests) / sizeof(tests[0])), is_loop ? 1 : argc, argv);
}
