/* worldgen - renders clips of the synthetic world: one to a file, or a stream of records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/str.h"
#include "common/words/caption.h"
#include "train/world/clip.h"
#include "train/world/num.h"
#include "train/world/record.h"

static const char usage[] =
    "worldgen --seed N --size WxH --frames F --fps R -o FILE.mp4|.rgb|.ppm\n"
    "    renders one clip and prints its captions and its scene as one line of JSON\n"
    "worldgen --serve --seed N --count C --size WxH --frames F --fps R [--ids] [--depth] "
    "[--flow]\n"
    "    writes C binary records (seeds N, N+1, ...) to stdout; train/world/world.h draws the "
    "format\n"
    "  --step K     seeds N, N+K, N+2K, ... instead (for several renderers side by side)\n"
    "worldgen --scenes --seed N --count C ...\n"
    "    prints what the records of --serve would show, one line of JSON each, without rendering\n"
    "  --hero NAME  only scenes of this kind: red_coat, pirate_cup, block_player, ... (see "
    "--names)\n"
    "  --turn D     the same scenes from a camera D degrees further to the right\n"
    "  --held-out   scenes with a pair of attributes that training never sees\n"
    "  --names      prints the vocabulary and stops\n";

struct args {
    int64_t seed, count, step;
    struct world_opts world;
    const char *file;
    int is_serving, is_listing, names_only, wants_help;
    double turn; /* degrees */
    struct record_opts record;
};

/* Flags with a value. */
static enum err take_value(struct args *a, const char *flag, const char *value, struct fail *f) {
    int64_t n = 0, m = 0;
    double rate;
    const char *x = strchr(value, 'x');
    struct str all = str_of(value);
    if (strcmp(flag, "-o") == 0) {
        a->file = value;
        return ERR_OK;
    }
    if (strcmp(flag, "--hero") == 0 && (a->world.hero = world_find(WORLD_SLOT_HERO, value)) >= 0)
        return ERR_OK;
    if (strcmp(flag, "--turn") == 0 && str_parse_f64(all, -180, 180, &a->turn)) return ERR_OK;
    if (strcmp(flag, "--seed") == 0 && str_parse_i64(all, 0, INT64_MAX, &a->seed)) return ERR_OK;
    if (strcmp(flag, "--count") == 0 && str_parse_i64(all, 1, INT64_MAX, &a->count)) return ERR_OK;
    if (strcmp(flag, "--step") == 0 && str_parse_i64(all, 1, 1 << 30, &a->step)) return ERR_OK;
    if (strcmp(flag, "--frames") == 0 && str_parse_i64(all, 1, WORLD_FRAME_MAX, &n)) {
        a->world.frames = (int)n;
        return ERR_OK;
    }
    if (strcmp(flag, "--fps") == 0 && str_parse_f64(all, 1, 60, &rate)) {
        a->world.fps = (float)rate;
        return ERR_OK;
    }
    if (strcmp(flag, "--size") == 0 && x &&
        str_parse_i64((struct str){value, (size_t)(x - value)}, 16, WORLD_SIDE_MAX, &n) &&
        str_parse_i64(str_of(x + 1), 16, WORLD_SIDE_MAX, &m)) {
        a->world.W = (int)n;
        a->world.H = (int)m;
        return ERR_OK;
    }
    return FAIL(f, ERR_INPUT, "%s %s is not understood", flag, value);
}

static enum err read_args(struct args *a, int argc, char **argv, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strcmp(flag, "--serve") == 0)
            a->is_serving = 1;
        else if (strcmp(flag, "--ids") == 0)
            a->record.has_ids = 1;
        else if (strcmp(flag, "--depth") == 0)
            a->record.has_depth = 1;
        else if (strcmp(flag, "--flow") == 0)
            a->record.has_flow = 1;
        else if (strcmp(flag, "--scenes") == 0)
            a->is_listing = 1;
        else if (strcmp(flag, "--held-out") == 0)
            a->world.split = WORLD_SPLIT_HELD_OUT;
        else if (strcmp(flag, "--names") == 0)
            a->names_only = 1;
        else if (strcmp(flag, "--help") == 0)
            a->wants_help = 1;
        else if (i + 1 < argc)
            TRY(take_value(a, flag, argv[++i], f));
        else
            return FAIL(f, ERR_INPUT, "%s is not understood or lacks its value", flag);
    }
    if (!a->is_serving && !a->file && !a->names_only && !a->is_listing && !a->wants_help)
        return FAIL(f, ERR_INPUT, "say -o FILE, --serve or --scenes");
out:
    return rc;
}

static enum err serve(const struct args *a, struct fail *f) {
    enum err rc = ERR_OK;
    struct record r = {0};
    struct record_opts opts = a->record;
    opts.turn = (float)a->turn * NUM_PI / 180;
    TRY(record_make(&r, &a->world, f));
    for (int64_t i = 0; i < a->count; i++)
        TRY(record_write(&r, stdout, (uint64_t)(a->seed + i * a->step), &a->world, &opts, f));
    if (fflush(stdout) != 0) rc = FAIL(f, ERR_IO, "the reader of the records is gone");
out:
    record_free(&r);
    return rc;
}

static void print_caption(const struct scene *s, const char *key, enum caption_kind kind,
                          enum caption_lang lang, uint64_t seed) {
    char text[CAPTION_BYTES_MAX];
    (void)caption_write(s, kind, lang, seed, text, sizeof text);
    printf("\"%s\":\"%s\",", key, text); /* captions hold neither quotes nor backslashes */
}

static void print_scene(const struct scene *s, uint64_t seed) {
    char json[WORLD_JSON_MAX];
    (void)world_scene_json(s, json, sizeof json);
    printf("{");
    print_caption(s, "short_en", CAPTION_SHORT, CAPTION_EN, seed);
    print_caption(s, "long_en", CAPTION_LONG, CAPTION_EN, seed);
    print_caption(s, "short_zh", CAPTION_SHORT, CAPTION_ZH, seed);
    print_caption(s, "long_zh", CAPTION_LONG, CAPTION_ZH, seed);
    printf("\"scene\":%s}\n", json);
}

static enum err list_scenes(const struct args *a, struct fail *f) {
    enum err rc = ERR_OK;
    for (int64_t i = 0; i < a->count; i++) {
        struct scene s;
        TRY(world_scene_make(&s, (uint64_t)(a->seed + i * a->step), &a->world, f));
        print_scene(&s, s.seed ^ RECORD_CAPTION_SALT);
    }
out:
    return rc;
}

static enum err one_clip(const struct args *a, struct fail *f) {
    enum err rc = ERR_OK;
    struct scene s;
    TRY(world_scene_make(&s, (uint64_t)a->seed, &a->world, f));
    world_scene_turn(&s, (float)a->turn * NUM_PI / 180);
    TRY(clip_write(a->file, &s, f));
    print_scene(&s, s.seed);
out:
    return rc;
}

static void print_names(void) {
    static const char *const titles[WORLD_SLOT_COUNT] = {
        "env",  "class",   "colour", "size",     "material", "action", "camera",
        "time", "weather", "style",  "relation", "event",    "hero",   "move"};
    for (int slot = 0; slot < WORLD_SLOT_COUNT; slot++) {
        printf("%s:", titles[slot]);
        for (int i = 0; i < world_n_names((enum world_slot)slot); i++)
            printf(" %s%s", world_name((enum world_slot)slot, i),
                   world_is_drawn((enum world_slot)slot, i) ? "" : "(later)");
        printf("\n");
    }
}

int main(int argc, char **argv) {
    struct args a = {.seed = 1,
                     .count = 1,
                     .step = 1,
                     .world = {128, 80, 33, 12, WORLD_SPLIT_TRAIN, WORLD_HERO_FREE}};
    struct fail f = {0};
    enum err rc = read_args(&a, argc, argv, &f);
    if (rc == ERR_OK && a.wants_help)
        fputs(usage, stdout);
    else if (rc == ERR_OK && a.names_only)
        print_names();
    else if (rc == ERR_OK)
        rc = a.is_serving ? serve(&a, &f) : a.is_listing ? list_scenes(&a, &f) : one_clip(&a, &f);
    if (rc == ERR_OK) return EXIT_SUCCESS;
    fprintf(stderr, "worldgen: %s\n%s", f.text, rc == ERR_INPUT ? usage : "");
    return rc == ERR_INPUT ? 2 : EXIT_FAILURE;
}
