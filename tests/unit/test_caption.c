/* usage: test_caption [NAME] | test_caption --seeds N [FIRST]; the default is 2000 from 0. */
#include <stdlib.h>

#include "common/base/sha256.h"
#include "common/words/caption.h"
#include "common/words/parse.h"
#include "tests/lib/check.h"
#include "tests/unit/random_scene.h"
#include "train/world/world.h"

static int n_seeds = 2000, first_seed;

static struct scene sampled(int seed) {
    static const int frames[] = {1, 17, 33, 65};
    struct world_opts opts = {.W = 128,
                              .H = 128,
                              .frames = frames[seed % 4],
                              .fps = 16,
                              .split = seed % 7 ? WORLD_SPLIT_TRAIN : WORLD_SPLIT_HELD_OUT};
    struct scene s;
    struct fail f = {0};
    if (world_scene_make(&s, (uint64_t)seed, &opts, &f))
        fprintf(stderr, "  seed %d: %s\n", seed, f.text);
    CHECK_STR(f.text, "");
    return s;
}

static int count_spaces(const char *s) {
    int n = 0;
    for (; *s; s++)
        n += *s == ' ';
    return n;
}

static int count_wide(const char *s) {
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) == 0xC0;
    return n;
}

static int is_utf8(const char *s, int n) {
    for (int i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        int len = c < 0x80 ? 1 : c >= 0xE0 ? 3 : 2;
        if (c >= 0xF0 || (c >= 0x80 && c < 0xC2) || i + len > n) return 0;
        for (int k = 1; k < len; k++)
            if (((unsigned char)s[i + k] & 0xC0) != 0x80) return 0;
        i += len;
    }
    return 1;
}

static void check_form(const char *text, int n, enum caption_kind kind, enum caption_lang lang,
                       int seed) {
    int words = lang == CAPTION_EN ? count_spaces(text) + 1 : count_wide(text) * 2 / 3;
    int low = kind == CAPTION_LONG ? 40 : 3, high = kind == CAPTION_LONG ? 90 : 10;
    int is_bad = words < low || words > high || n != (int)strlen(text) || !is_utf8(text, n) ||
                 strstr(text, "  ") || strstr(text, "..") || strstr(text, " .") ||
                 strchr(text, '$') || strchr(text, '@') || strchr(text, '|');
    if (is_bad) fprintf(stderr, "  seed %d, %d words: %s\n", seed, words, text);
    CHECK(!is_bad);
}

static void check_all(const struct scene *s, int seed) {
    char text[CAPTION_BYTES_MAX];
    for (int kind = 0; kind < CAPTION_KIND_COUNT; kind++)
        for (int lang = 0; lang < CAPTION_LANG_COUNT; lang++) {
            int n = caption_write(s, (enum caption_kind)kind, (enum caption_lang)lang,
                                  (uint64_t)seed, text, sizeof(text));
            check_form(text, n, (enum caption_kind)kind, (enum caption_lang)lang, seed);
        }
}

static void lengths_and_marks_are_right_for_sampled_scenes(void) {
    for (int i = first_seed; i < first_seed + n_seeds && check_failed < 5; i++) {
        struct scene s = sampled(i);
        check_all(&s, i);
    }
}

static void short_captions_keep_their_length_for_any_scene(void) {
    for (int i = first_seed; i < first_seed + n_seeds && check_failed < 5; i++) {
        struct scene s = random_scene((uint64_t)i);
        char text[CAPTION_BYTES_MAX];
        for (int lang = 0; lang < CAPTION_LANG_COUNT; lang++) {
            int n = caption_write(&s, CAPTION_SHORT, (enum caption_lang)lang, (uint64_t)i, text,
                                  sizeof(text));
            check_form(text, n, CAPTION_SHORT, (enum caption_lang)lang, i);
        }
    }
}

static void same_seed_gives_the_same_text(void) {
    char a[CAPTION_BYTES_MAX], b[CAPTION_BYTES_MAX];
    int n_other = 0;
    for (int i = 0; i < 200; i++) {
        struct scene s = sampled(i);
        memset(b, 'x', sizeof(b));
        caption_write(&s, CAPTION_LONG, CAPTION_EN, 7, a, sizeof(a));
        caption_write(&s, CAPTION_LONG, CAPTION_EN, 7, b, sizeof(b));
        CHECK_STR(a, b);
        caption_write(&s, CAPTION_LONG, CAPTION_EN, 8, b, sizeof(b));
        n_other += strcmp(a, b) != 0;
    }
    CHECK(n_other > 190);
}

/* The draws must not depend on compiler or platform: texts are part of the training data. */
static void one_scene_reads_as_it_always_did(void) {
    struct scene s = {.env = WORLD_ENV_SNOW_VILLAGE,
                      .time = WORLD_TIME_NIGHT,
                      .weather = WORLD_WEATHER_SNOW,
                      .n_ent = 1,
                      .cam = {.kind = WORLD_CAMERA_FOLLOW}};
    char text[CAPTION_BYTES_MAX];
    s.ent[0] = (struct world_entity){.cls = WORLD_CLASS_CORGI,
                                     .colour = WORLD_COLOUR_ORANGE,
                                     .size = WORLD_SIZE_LARGE,
                                     .action = WORLD_ACTION_RUN,
                                     .dir = 1,
                                     .rel_to = -1};
    caption_write(&s, CAPTION_LONG, CAPTION_EN, 1, text, sizeof(text));
    CHECK_STR(text, "There is a large corgi. It runs to the right. All of this happens in the "
                    "snow, where everything lies under snow. At night snow is falling. All the "
                    "while the camera follows along. The whole clip is made as a clean 3D render.");
    caption_write(&s, CAPTION_LONG, CAPTION_ZH, 1, text, sizeof(text));
    CHECK_STR(text,
              "主角是一只大大的柯基犬，它从左往右奔跑。背景是一座白雪覆盖的村庄，铺满白雪的地面延伸"
              "到远处的高山。这一切发生在夜里，正下着雪。镜头一路跟拍。整体风格是简洁的三维动画。");
    caption_write(&s, CAPTION_SHORT, CAPTION_EN, 1, text, sizeof(text));
    CHECK_STR(text, "a corgi dashes towards the right while snow falls");
    caption_write(&s, CAPTION_SHORT, CAPTION_ZH, 1, text, sizeof(text));
    CHECK_STR(text, "夜晚，一只柯基犬在雪中奔跑。");
}

/* The released model has learned these very words. A change of this sum means: train again, or the
 * captions that a prompt is rewritten to are no longer those that the model knows. */
static void the_words_are_those_the_model_has_learned(void) {
    char text[CAPTION_BYTES_MAX], hex[SHA256_HEX + 1];
    unsigned char digest[SHA256_BYTES];
    struct sha256 sum;
    sha256_start(&sum);
    for (int i = 0; i < 500; i++)
        for (int lang = 0; lang < CAPTION_LANG_COUNT; lang++) {
            struct scene s = random_scene((uint64_t)i);
            int n = caption_write(&s, CAPTION_LONG, (enum caption_lang)lang, (uint64_t)i, text,
                                  sizeof(text));
            sha256_add(&sum, text, (size_t)n + 1);
        }
    sha256_end(&sum, digest);
    sha256_to_hex(digest, hex);
    CHECK_STR(hex, "0e43e6288aad4af7eb46381d612f651a2307face10392157f652612011fd565a");
}

/* What a caption says is a part of what the scene holds. */
static const char *find_lie(const struct parse *said, const struct parse *held) {
    const int8_t *x = (const int8_t *)said, *y = (const int8_t *)held;
    for (int i = 0, k; i < WORLD_MOVE_MAX && said->move[i] != PARSE_NONE; i++) {
        for (k = 0; k < WORLD_MOVE_MAX && held->move[k] != said->move[i];)
            k++;
        if (k == WORLD_MOVE_MAX) return "a move";
    }
    for (size_t i = 0; i < offsetof(struct parse, move); i++)
        if (x[i] != PARSE_NONE && x[i] != y[i]) return "a slot of the scene";
    for (int i = 0; i < said->n_ent; i++) {
        int is_found = 0;
        for (int k = 0; k < held->n_ent; k++) {
            const int8_t *a = (const int8_t *)&said->ent[i], *b = (const int8_t *)&held->ent[k];
            int is_same = 1;
            for (size_t q = 0; q < offsetof(struct parse_entity, rel); q++)
                is_same &= a[q] == PARSE_NONE || a[q] == b[q];
            is_found |= is_same;
        }
        if (!is_found) return "an entity";
    }
    return said->n_ent > held->n_ent ? "one entity more" : NULL;
}

static void short_captions_say_nothing_that_the_scene_lacks(void) {
    for (int i = first_seed; i < first_seed + n_seeds && check_failed < 5; i++)
        for (int lang = 0; lang < CAPTION_LANG_COUNT; lang++) {
            struct scene s = i % 2 ? random_scene((uint64_t)i) : sampled(i);
            struct parse said, held;
            char text[CAPTION_BYTES_MAX];
            caption_write(&s, CAPTION_SHORT, (enum caption_lang)lang, (uint64_t)i, text,
                          sizeof(text));
            parse_caption(text, &said);
            parse_expect(&s, &held);
            const char *lie = find_lie(&said, &held);
            if (lie) fprintf(stderr, "  seed %d, %s: %s\n", i, lie, text);
            CHECK(!lie);
            CHECK_INT(said.n_unmapped, 0);
        }
}

static void words_are_counted(void) {
    char text[CAPTION_BYTES_MAX];
    long n_words[CAPTION_KIND_COUNT] = {0};
    for (int i = 0; i < n_seeds; i++)
        for (int kind = 0; kind < CAPTION_KIND_COUNT; kind++) {
            struct scene s = sampled(first_seed + i);
            caption_write(&s, (enum caption_kind)kind, CAPTION_EN, (uint64_t)i, text, sizeof(text));
            n_words[kind] += count_spaces(text) + 1;
        }
    printf("     %d scenes: %.1f words in a short caption, %.1f in a long one\n", n_seeds,
           (double)n_words[CAPTION_SHORT] / n_seeds, (double)n_words[CAPTION_LONG] / n_seeds);
    CHECK(n_words[CAPTION_LONG] > 40l * n_seeds);
}

static const struct test tests[] = {
    {"lengths_and_marks_are_right_for_sampled_scenes",
     lengths_and_marks_are_right_for_sampled_scenes},
    {"short_captions_keep_their_length_for_any_scene",
     short_captions_keep_their_length_for_any_scene},
    {"same_seed_gives_the_same_text", same_seed_gives_the_same_text},
    {"one_scene_reads_as_it_always_did", one_scene_reads_as_it_always_did},
    {"the_words_are_those_the_model_has_learned", the_words_are_those_the_model_has_learned},
    {"short_captions_say_nothing_that_the_scene_lacks",
     short_captions_say_nothing_that_the_scene_lacks},
    {"words_are_counted", words_are_counted},
};

int main(int argc, char **argv) {
    int is_loop = argc > 2 && strcmp(argv[1], "--seeds") == 0;
    if (is_loop) n_seeds = (int)strtol(argv[2], NULL, 10);
    if (is_loop && argc > 3) first_seed = (int)strtol(argv[3], NULL, 10);
    return check_main(tests, (int)(sizeof(tests) / sizeof(tests[0])), is_loop ? 1 : argc, argv);
}
