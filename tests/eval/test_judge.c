/* The judges of geometry on renders that nothing was tuned on: half of the clips show what the
 * scene asks for, half are spoilt in a way that the judge has to notice. Prints the share of right
 * verdicts of every judge; the rows of eval/judge.c say what it was on several hundred.
 *
 * Every second clip is made soft and noisy first, as what a model draws.
 * `test_judge --clips N` looks at N scenes for each judge, `--seed N` begins elsewhere, `--loud 1`
 * names the clips that a judge is wrong about, `--loud 2` all. */
#include "eval/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "eval/reel.h"
#include "tests/lib/check.h"
#include "train/world/world.h"

static int n_clips = 8;
static uint64_t first_seed = (uint64_t)5 << 39;
static int is_loud;

enum { TRIES_MAX = 40000 };

/* ---------------------------------------------------------------- spoilt clips */

static void swap_frames(struct reel *r, int a, int b) {
    size_t n = reel_frame_bytes(r);
    for (size_t i = 0; i < n; i++) {
        uint8_t c = reel_frame(r, a)[i];
        reel_frame(r, a)[i] = reel_frame(r, b)[i];
        reel_frame(r, b)[i] = c;
    }
}

static void run_backwards(struct reel *r) {
    for (int i = 0; i < r->n_frames / 2; i++)
        swap_frames(r, i, r->n_frames - 1 - i);
}

static void mirror(struct reel *r) {
    for (int t = 0; t < r->n_frames; t++)
        for (int y = 0; y < r->height; y++)
            for (int x = 0; x < r->width / 2; x++) {
                uint8_t *row = reel_frame(r, t) + (size_t)y * (size_t)r->width * 3;
                uint8_t *a = row + 3 * x, *b = row + 3 * (r->width - 1 - x);
                for (int k = 0; k < 3; k++) {
                    uint8_t c = a[k];
                    a[k] = b[k];
                    b[k] = c;
                }
            }
}

static void freeze(struct reel *r) {
    for (int t = 1; t < r->n_frames; t++)
        memcpy(reel_frame(r, t), r->rgb, reel_frame_bytes(r));
}

static struct reel render(const struct scene *s) {
    struct reel r;
    struct fail f = {0};
    CHECK_OK(reel_render(&r, s, s->frames, &f), &f);
    return r;
}

/* Frames from `from` on are those of another scene. */
static void splice(struct reel *r, const struct scene *other, int from) {
    for (int t = from; t < r->n_frames; t++)
        world_render(other, t, reel_frame(r, t), NULL, NULL, NULL);
}

/* As a model draws: soft, and trembling a little. */
static void soften(struct reel *r) {
    size_t n = reel_frame_bytes(r), row = (size_t)r->width * 3;
    uint8_t *was = mem_take(n, 1);
    uint32_t state = 1;
    for (int t = 0; t < r->n_frames && was; t++) {
        uint8_t *now = reel_frame(r, t);
        memcpy(was, now, n);
        for (size_t i = row + 3; i < n - row - 3; i++) {
            int sum = 4 * was[i] + 2 * (was[i - 3] + was[i + 3] + was[i - row] + was[i + row]) +
                      was[i - row - 3] + was[i - row + 3] + was[i + row - 3] + was[i + row + 3];
            state = state * 1664525u + 1013904223u;
            sum = sum / 16 + (int)(state >> 24) % 13 - 6;
            now[i] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
    }
    mem_free(was);
}

/* ---- one way of spoiling for each judge; k counts its clips */

static void spoil_camera(struct reel *r, const struct scene *s, int k) {
    struct scene other = *s;
    int sideways = s->cam.kind == WORLD_CAMERA_PAN || s->cam.kind == WORLD_CAMERA_TRUCK ||
                   s->cam.kind == WORLD_CAMERA_ORBIT || s->cam.kind == WORLD_CAMERA_FOLLOW;
    if (s->cam.kind == WORLD_CAMERA_STATIC) {
        static const uint8_t kinds[] = {WORLD_CAMERA_PAN, WORLD_CAMERA_TILT, WORLD_CAMERA_ZOOM};
        static const float rates[] = {.16f, .10f, .22f};
        other.cam.kind = kinds[k % 3];
        other.cam.rate = rates[k % 3];
        other.cam.dir = k % 2 ? 1 : -1;
        splice(r, &other, 0);
    } else if (k % 3 == 0) {
        run_backwards(r);
    } else if (k % 3 == 1 && sideways) {
        mirror(r);
    } else {
        freeze(r);
    }
}

static void spoil_parallax(struct reel *r, const struct scene *s, int k) {
    struct scene other = *s;
    float dx = s->cam.at[0] - s->cam.eye[0], dz = s->cam.at[2] - s->cam.eye[2];
    (void)k;
    other.cam.kind = WORLD_CAMERA_PAN; /* the picture shifts as a whole */
    other.cam.rate = s->cam.rate / sqrtf(dx * dx + dz * dz);
    splice(r, &other, 0);
}

static void spoil_moves(struct reel *r, const struct scene *s, int k) {
    static const uint8_t opposite[WORLD_MOVE_COUNT] = {
        WORLD_MOVE_BACK, WORLD_MOVE_FORWARD, WORLD_MOVE_RIGHT, WORLD_MOVE_LEFT,
        WORLD_MOVE_DIG,  WORLD_MOVE_PLACE,   WORLD_MOVE_DIG};
    struct scene other = *s;
    if (k % 4 == 3) {
        freeze(r);
        return;
    }
    for (int i = 0; i < s->n_move; i++)
        other.move[i].kind = opposite[s->move[i].kind];
    splice(r, &other, 0);
}

static void spoil_way(struct reel *r, const struct scene *s, int k) {
    (void)s;
    if (k % 3 == 0) run_backwards(r);
    if (k % 3 == 1) mirror(r);
    if (k % 3 == 2) freeze(r);
}

/* Half as fast again, or two thirds as fast. */
static void spoil_fall(struct reel *r, const struct scene *s, int k) {
    struct scene other = *s;
    float pace = k % 2 ? 1.5f : .67f;
    other.fps = s->fps / pace;
    (void)r;
    splice(r, &other, 0);
}

/* The blow moves nothing, or the film runs backwards, or the other way round. */
static void spoil_push(struct reel *r, const struct scene *s, int k) {
    (void)s;
    if (k % 3 == 0) run_backwards(r);
    if (k % 3 == 1) mirror(r);
    if (k % 3 == 2)
        for (int t = r->n_frames / 2 - 2; t < r->n_frames; t++)
            memcpy(reel_frame(r, t), reel_frame(r, r->n_frames / 2 - 3), reel_frame_bytes(r));
}

/* Another thing comes out, or nothing does, or it goes back, or it never was behind anything. */
static void spoil_hidden(struct reel *r, const struct scene *s, int k) {
    static const uint8_t unlike[WORLD_COLOUR_COUNT] = {
        WORLD_COLOUR_BLUE,   WORLD_COLOUR_PURPLE, WORLD_COLOUR_YELLOW, WORLD_COLOUR_BLUE,
        WORLD_COLOUR_YELLOW, WORLD_COLOUR_CYAN,   WORLD_COLOUR_BLACK,  WORLD_COLOUR_WHITE,
        WORLD_COLOUR_GREEN,  WORLD_COLOUR_RED};
    struct scene other = *s;
    int n = r->n_frames;
    if (k % 4 == 0 && world_own_colour((enum world_class)s->ent[0].cls) < 0 &&
        s->style != WORLD_STYLE_BLACK_WHITE && s->style != WORLD_STYLE_INK_WASH) {
        other.ent[0].colour = unlike[s->ent[0].colour];
        splice(r, &other, n / 2);
    } else if (k % 4 == 1) {
        for (int t = n / 2; t < n; t++)
            memcpy(reel_frame(r, t), reel_frame(r, n - 1 - t), reel_frame_bytes(r));
    } else if (k % 4 == 2) {
        mirror(r);
    } else {
        other.n_ent = 0;
        splice(r, &other, n / 2);
    }
}

/* All is as it was at first again, or nothing ever happens, or the first mark is lost again. */
static void spoil_marks(struct reel *r, const struct scene *s, int k) {
    struct scene other = *s;
    if (k % 3 == 2) {
        other.n_event--;
        memmove(other.event, other.event + 1, sizeof other.event - sizeof *other.event);
    } else {
        other.n_event = 0;
    }
    splice(r, &other, k % 3 == 1 ? 0 : r->n_frames * 3 / 5);
}

/* While the player looks away, what was done is undone. */
static void spoil_block(struct reel *r, const struct scene *s, int k) {
    struct scene other = *s;
    (void)k;
    other.event[0].t = 1000;
    splice(r, &other, (int)(s->move[1].t1 * s->fps));
}

/* From the middle on it goes back, or half as fast, or it is elsewhere. */
static void spoil_pace(struct reel *r, const struct scene *s, int k) {
    int n = r->n_frames, half = n / 2;
    struct scene other = *s;
    if (k % 3 == 0) {
        for (int t = half; t < n; t++)
            memcpy(reel_frame(r, t), reel_frame(r, half - 1 - (t - half) % half),
                   reel_frame_bytes(r));
    } else if (k % 3 == 1) {
        for (int t = n - 1; t >= half; t--)
            memcpy(reel_frame(r, t), reel_frame(r, half + (t - half) / 2), reel_frame_bytes(r));
    } else {
        other.ent[0].pos[0] -= (float)s->ent[0].dir * s->ent[0].speed;
        splice(r, &other, half);
    }
}

static const struct lesson {
    int hero; /* scenes to look among */
    int frames;
    void (*spoil)(struct reel *r, const struct scene *s, int k);
} lessons[JUDGE_COUNT] = {
    [JUDGE_CAMERA] = {WORLD_HERO_FREE, 33, spoil_camera},
    [JUDGE_PARALLAX] = {WORLD_HERO_FREE, 33, spoil_parallax},
    [JUDGE_DIRECTION] = {WORLD_HERO_FREE, 33, spoil_way},
    [JUDGE_GRAVITY] = {WORLD_HERO_FREE, 33, spoil_fall},
    [JUDGE_PUSH] = {WORLD_HERO_FREE, 33, spoil_push},
    [JUDGE_PERMANENCE] = {WORLD_HERO_FREE, 33, spoil_hidden},
    [JUDGE_PERSISTENCE] = {WORLD_HERO_FREE, 33, spoil_marks},
    [JUDGE_EGO_MOTION] = {WORLD_HERO_BLOCK_PLAYER, 33, spoil_moves},
    [JUDGE_BLOCK] = {WORLD_HERO_BLOCK_PLAYER, 49, spoil_block},
    [JUDGE_PACE] = {WORLD_HERO_FREE, 33, spoil_pace},
};

/* ---------------------------------------------------------------- calibration */

static struct world_opts opts_of(const struct lesson *l, int k) {
    static const int sides[][2] = {{128, 80}, {128, 80}, {96, 96}, {80, 128}};
    return (struct world_opts){sides[k % 4][0],   sides[k % 4][1], l->frames, 12,
                               WORLD_SPLIT_TRAIN, l->hero};
}

static int draw(struct scene *s, uint64_t *seed, enum judge_name name, int k) {
    struct world_opts o = opts_of(&lessons[name], k);
    struct fail f = {0};
    for (int i = 0; i < TRIES_MAX; i++)
        if (world_scene_make(s, (*seed)++, &o, &f) == ERR_OK && judge_fits(name, s)) return 1;
    return 0;
}

static int ask(enum judge_name name, const struct reel *r, const struct scene *s, int want) {
    struct judge_verdict v;
    struct fail f = {0};
    CHECK_OK(judge_look(name, &v, r, s, &f), &f);
    CHECK(v.confidence >= 0 && v.confidence <= 1);
    if (is_loud && (v.is_right != want || is_loud > 1))
        fprintf(stderr, "     %s %s seed %llu %dx%d value %.3f sure %.2f: %s %s %s %s %s\n",
                judge_get(name)->name, want ? "right" : "spoilt", (unsigned long long)s->seed, s->W,
                s->H, v.value, v.confidence, world_name(WORLD_SLOT_ENV, s->env),
                world_name(WORLD_SLOT_CLASS, s->ent[0].cls),
                world_name(WORLD_SLOT_ACTION, s->ent[0].action),
                world_name(WORLD_SLOT_CAMERA, s->cam.kind), world_name(WORLD_SLOT_STYLE, s->style));
    return v.is_right == want;
}

static void calibrate(enum judge_name name) {
    const struct judge *j = judge_get(name);
    int n = 0, n_right = 0, n_seen = 0;
    uint64_t seed = first_seed;
    double share;
    for (int k = 0; k < n_clips; k++) {
        struct scene s;
        struct reel r;
        if (!draw(&s, &seed, name, k)) break;
        n++;
        r = render(&s);
        if (k % 2) soften(&r);
        n_right += ask(name, &r, &s, 1);
        reel_free(&r);
        r = render(&s);
        lessons[name].spoil(&r, &s, k);
        if (k % 2) soften(&r);
        n_seen += ask(name, &r, &s, 0);
        reel_free(&r);
    }
    share = n > 0 ? (double)(n_right + n_seen) / (2 * n) : 0;
    fprintf(stderr, "     %s: right on %d of %d renders and %d of %d spoilt ones: %.3f%s\n",
            j->name, n_right, n, n_seen, n, share,
            j->accuracy < JUDGE_USABLE ? " (not usable)" : "");
    CHECK(n == n_clips);
    /* Two standard deviations below what the row says, and two clips. */
    CHECK(share >= j->accuracy - 2 * sqrt(j->accuracy * (1 - j->accuracy) / (2 * n_clips)) -
                       2.0 / (2 * n_clips));
}

static void a_camera_goes_the_way_it_is_said_to(void) {
    calibrate(JUDGE_CAMERA);
}
static void near_things_move_more_than_far_ones(void) {
    calibrate(JUDGE_PARALLAX);
}
static void things_cross_the_picture_the_way_they_are_said_to(void) {
    calibrate(JUDGE_DIRECTION);
}
static void balls_fall_with_one_gravity(void) {
    calibrate(JUDGE_GRAVITY);
}
static void what_is_run_into_goes_on(void) {
    calibrate(JUDGE_PUSH);
}
static void what_is_hidden_comes_out_as_it_was(void) {
    calibrate(JUDGE_PERMANENCE);
}
static void strokes_and_bites_stay(void) {
    calibrate(JUDGE_PERSISTENCE);
}
static void a_player_goes_the_way_it_is_told(void) {
    calibrate(JUDGE_EGO_MOTION);
}
static void a_block_is_there_when_the_player_looks_back(void) {
    calibrate(JUDGE_BLOCK);
}
static void what_crosses_the_picture_keeps_its_speed(void) {
    calibrate(JUDGE_PACE);
}
static const struct test tests[] = {
    TEST(a_camera_goes_the_way_it_is_said_to),
    TEST(near_things_move_more_than_far_ones),
    TEST(things_cross_the_picture_the_way_they_are_said_to),
    TEST(balls_fall_with_one_gravity),
    TEST(what_is_run_into_goes_on),
    TEST(what_is_hidden_comes_out_as_it_was),
    TEST(strokes_and_bites_stay),
    TEST(a_player_goes_the_way_it_is_told),
    TEST(a_block_is_there_when_the_player_looks_back),
    TEST(what_crosses_the_picture_keeps_its_speed),
};

int main(int argc, char **argv) {
    while (argc > 2 && strncmp(argv[1], "--", 2) == 0) {
        if (strcmp(argv[1], "--clips") == 0) n_clips = atoi(argv[2]);
        if (strcmp(argv[1], "--loud") == 0) is_loud = atoi(argv[2]);
        if (strcmp(argv[1], "--seed") == 0) first_seed = strtoull(argv[2], NULL, 10);
        argv += 2;
        argc -= 2;
    }
    return check_main(tests, COUNT_OF(tests), argc, argv);
}
