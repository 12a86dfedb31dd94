/* A prompt of the street becomes a caption of the world that says the same. */
#include "common/words/upsample.h"

#include <string.h>

#include "tests/lib/check.h"
#include "tests/unit/random_scene.h"

enum { NO = -1 };

/* What the caption must say; NO: anything will do. */
static const struct row {
    const char *prompt;
    int env, time, camera;
    int n_ent, cls, action, second;
    int n_unmapped; /* NO: any number */
} rows[] = {
    {"Photorealistic closeup video of two pirate ships battling each other as they sail inside a "
     "cup of coffee.",
     WORLD_ENV_COFFEE_CUP, WORLD_TIME_DAY, WORLD_CAMERA_STATIC, 2, WORLD_CLASS_PIRATE_SHIP,
     WORLD_ACTION_BATTLE, WORLD_CLASS_PIRATE_SHIP, 0},
    {"A stylish woman walks down a Tokyo street filled with warm glowing neon and animated city "
     "signage. She wears a black leather jacket, a long red dress, and black boots, and carries a "
     "black purse. She wears sunglasses and red lipstick. The street is damp and reflective, "
     "creating a mirror effect of the colorful lights. Many pedestrians walk about.",
     WORLD_ENV_NEON_STREET, WORLD_TIME_NIGHT, NO, NO, WORLD_CLASS_RED_COAT_WOMAN, WORLD_ACTION_WALK,
     NO, NO},
    {"两艘海盗船在一杯咖啡里激战，照片级真实的特写", WORLD_ENV_COFFEE_CUP, WORLD_TIME_DAY,
     WORLD_CAMERA_STATIC, 2, WORLD_CLASS_PIRATE_SHIP, WORLD_ACTION_BATTLE, WORLD_CLASS_PIRATE_SHIP,
     NO},
    {"一位时尚女性走在东京街头，街上满是温暖的霓虹灯和动画广告牌，她穿着黑色皮夹克和红色长裙",
     WORLD_ENV_NEON_STREET, WORLD_TIME_NIGHT, NO, 1, WORLD_CLASS_RED_COAT_WOMAN, WORLD_ACTION_WALK,
     NO, NO},
    {"a puppy in the snow", WORLD_ENV_SNOW_VILLAGE, NO, NO, 1, WORLD_CLASS_CORGI, NO, NO, 0},
    {"a red ball", NO, NO, NO, 1, WORLD_CLASS_BALL, WORLD_ACTION_BOUNCE, NO, 0},
    {"一只小狗", NO, NO, NO, 1, WORLD_CLASS_CORGI, WORLD_ACTION_RUN, NO, 0},
    {"Minecraft, the player turns left and then digs", WORLD_ENV_BLOCK_WORLD, NO,
     WORLD_CAMERA_PLAYER, 0, NO, NO, NO, 0},
    {"player walks forward", WORLD_ENV_BLOCK_WORLD, NO, WORLD_CAMERA_PLAYER, 0, NO, NO, NO, 0},
    {"我的世界，玩家向左转", WORLD_ENV_BLOCK_WORLD, NO, WORLD_CAMERA_PLAYER, 0, NO, NO, NO, 0},
    {"drone shot over a beach at sunset", WORLD_ENV_BEACH, WORLD_TIME_SUNSET, WORLD_CAMERA_FPV, 0,
     NO, NO, NO, 0},
    {"a burger that is eaten bite by bite", WORLD_ENV_KITCHEN, NO, NO, 1, WORLD_CLASS_BURGER,
     WORLD_ACTION_EATEN, NO, 0},
    {"two men fight in the desert", WORLD_ENV_DESERT, NO, NO, 2, WORLD_CLASS_PERSON,
     WORLD_ACTION_COLLIDE, WORLD_CLASS_PERSON, 0},
    {"four dogs and a car", NO, NO, NO, 2, WORLD_CLASS_CORGI, NO, WORLD_CLASS_CORGI, 0},
    {"an elephant plays chess with a red ball", NO, NO, NO, 1, WORLD_CLASS_BALL, NO, NO, 3},
    {"heavy rain at night", NO, WORLD_TIME_NIGHT, NO, 0, NO, NO, NO, 0},
};

static void check_row(const struct row *w, const struct upsample *up) {
    struct parse got;
    parse_caption(up->text, &got);
    CHECK(up->is_understood);
    CHECK_INT(got.n_unmapped, 0);
    CHECK_INT(w->env == NO ? NO : got.env, w->env);
    CHECK_INT(w->time == NO ? NO : got.time, w->time);
    CHECK_INT(w->camera == NO ? NO : got.camera, w->camera);
    CHECK_INT(w->n_ent == NO ? NO : got.n_ent, w->n_ent);
    if (w->cls != NO) CHECK_INT(got.ent[0].cls, w->cls);
    if (w->action != NO) CHECK_INT(got.ent[0].action, w->action);
    if (w->second != NO) CHECK_INT(got.ent[1].cls, w->second);
    CHECK_INT(w->n_unmapped == NO ? NO : up->read.n_unmapped, w->n_unmapped);
}

static void prompts_become_captions_that_say_the_same(void) {
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            struct upsample up;
            int before = check_failed;
            upsample_prompt(&up, rows[i].prompt, &(struct upsample_opts){.seed = seed});
            check_row(&rows[i], &up);
            if (check_failed > before) fprintf(stderr, "  \"%s\" -> %s\n", rows[i].prompt, up.text);
        }
}

/* What a short caption says of a scene is still true of the long one that is made from it. */
static void everything_that_was_understood_is_said(void) {
    for (int i = 0; i < 3000 && check_failed < 5; i++) {
        struct scene s = random_scene((uint64_t)i);
        enum caption_lang lang = (enum caption_lang)(i & 1);
        struct upsample up;
        struct parse got;
        char text[CAPTION_BYTES_MAX];
        if (s.n_ent > 1) s.n_ent = 1;
        if (s.n_ent &&
            (s.ent[0].action == WORLD_ACTION_COLLIDE || s.ent[0].action == WORLD_ACTION_BATTLE))
            continue; /* they need a second */
        if (s.n_move || s.cam.kind == WORLD_CAMERA_PLAYER) continue;
        caption_write(&s, CAPTION_LONG, lang, (uint64_t)i, text, sizeof text);
        upsample_prompt(&up, text, &(struct upsample_opts){.seed = (uint64_t)i});
        parse_caption(up.text, &got);
        parse_defaults(&got);
        parse_defaults(&up.read);
        if (s.style == WORLD_STYLE_BLACK_WHITE && s.n_ent)
            up.read.ent[0].colour = got.ent[0].colour;
        const char *slot = parse_differ(&up.read, &got);
        if (slot) fprintf(stderr, "  seed %d loses %s: %s -> %s\n", i, slot, text, up.text);
        CHECK(!slot);
    }
}

static void the_same_prompt_and_seed_give_the_same_text(void) {
    struct upsample a, b, c;
    upsample_prompt(&a, "a car", &(struct upsample_opts){.seed = 4});
    upsample_prompt(&b, "a car", &(struct upsample_opts){.seed = 4});
    upsample_prompt(&c, "a car", &(struct upsample_opts){.seed = 5});
    CHECK_STR(a.text, b.text);
    CHECK(strcmp(a.text, c.text) != 0);
}

static void an_image_has_a_camera_that_stays(void) {
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct upsample up;
        upsample_prompt(&up, "a red tree", &(struct upsample_opts){UPSAMPLE_IMAGE, seed});
        CHECK_INT(up.scene.cam.kind, WORLD_CAMERA_STATIC);
    }
}

static void what_nobody_understands_is_left_alone(void) {
    static const char *const prompts[] = {"", "xyzzy plugh", "恐龙", "\xff\xfe", "the of and"};
    for (int i = 0; i < (int)(sizeof prompts / sizeof prompts[0]); i++) {
        struct upsample up;
        upsample_prompt(&up, prompts[i], &(struct upsample_opts){0});
        CHECK_INT(up.is_understood, 0);
        CHECK_STR(up.text, "");
    }
}

/* Any bytes: no index out of bounds, and what is written can be read. */
static void odd_prompts_do_no_harm(void) {
    char text[400];
    uint64_t state = 11;
    for (int i = 0; i < 2000; i++) {
        struct scene s = random_scene((uint64_t)i);
        struct upsample up;
        struct parse got;
        char full[CAPTION_BYTES_MAX];
        int n = random_scene_below(&state, (int)sizeof text - 1), at;
        caption_write(&s, CAPTION_LONG, (enum caption_lang)(i & 1), (uint64_t)i, full, sizeof full);
        at = random_scene_below(&state, (int)strlen(full));
        snprintf(text, sizeof text, "%.*s", n, full + at);
        for (int k = 0; k < 3 && text[0]; k++)
            text[random_scene_below(&state, (int)strlen(text))] =
                (char)(1 + random_scene_below(&state, 255));
        upsample_prompt(&up, text, &(struct upsample_opts){.seed = (uint64_t)i});
        parse_caption(up.text, &got);
        CHECK_INT(got.n_unmapped, 0);
    }
}

static const struct test tests[] = {
    TEST(prompts_become_captions_that_say_the_same),   TEST(everything_that_was_understood_is_said),
    TEST(the_same_prompt_and_seed_give_the_same_text), TEST(an_image_has_a_camera_that_stays),
    TEST(what_nobody_understands_is_left_alone),       TEST(odd_prompts_do_no_harm),
};
TEST_MAIN(tests)
