#include "tools/gen_flags.h"

#include <stddef.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/str.h"

enum kind { VALUE, LIST, SWITCH, TITLE };

#define AT(member) offsetof(struct gen_flags, member)

static const struct flag {
    const char *name;
    size_t offset;
    enum kind kind;
    const char *help;
} flags[] = {
    {"The clip", 0, TITLE, ""},
    {"--model", AT(model), VALUE, "folder in the diffusers layout (models/tiny)"},
    {"--prompt", AT(prompt), VALUE, "what to show"},
    {"--negative-prompt", AT(negative), VALUE, "what to avoid"},
    {"-o", AT(output), VALUE, "the mp4 to write; a .png is one frame"},
    {"--size", AT(size), VALUE,
     "WIDTHxHEIGHT, even; off the grid of the model it is cut from more"},
    {"--frames", AT(frames), VALUE, "length; rounded up to what the model can make"},
    {"--fps", AT(fps), VALUE, "frames per second of the file"},
    {"--seed", AT(seed), VALUE, "the same seed gives the same clip (1)"},
    {"What is given", 0, TITLE, ""},
    {"--image", AT(image), VALUE, "first frame: png, jpeg or webp"},
    {"--last-image", AT(last_image), VALUE, "last frame"},
    {"--keyframe", AT(keyframe), LIST, "FRAME=FILE, a picture at that frame; may come again"},
    {"--video", AT(video), VALUE, "a clip of yours; with one of:"},
    {"--extend", AT(extend), VALUE, "  forward, backward or both, by --seconds"},
    {"--connect", AT(connect), VALUE, "  another clip: what comes between, --seconds long"},
    {"--loop", AT(is_loop), SWITCH, "  from its end to its beginning; without --video: a new loop"},
    {"--strength", AT(strength), VALUE, "  0..1, how freely it is made again (0.7)"},
    {"--refine", AT(refine), VALUE, "  0..1, the same for what is to be sharpened (0.4)"},
    {"--mask", AT(mask), VALUE, "  a picture: what is white in it is made anew"},
    {"--place", AT(place), VALUE, "  WIDTHxHEIGHT+X+Y of it on the canvas, the rest is made"},
    {"--flowedit", AT(flowedit), VALUE,
     "  the words for it as it is; --prompt for what it becomes"},
    {"--control", AT(control), VALUE, "a clip of depth, lines or poses to follow (VACE)"},
    {"--reference", AT(reference), LIST, "a picture of what shall be in it (VACE); may come again"},
    {"--seconds", AT(seconds), VALUE, "new time for --extend, --connect, --loop (2)"},
    {"--context", AT(context), VALUE, "latent frames of a clip that the new part is told"},
    {"--mask-strength", AT(edit_strength), VALUE, "0..1, how freely the masked part is made (1)"},
    {"--flowedit-steps", AT(flowedit_steps), VALUE, "only the last so many: fewer keep more"},
    {"--flowedit-guidance", AT(flowedit_guidance), VALUE, "of the words for it as it is (1.5)"},
    {"How it is made", 0, TITLE, ""},
    {"--solver", AT(solver), VALUE, "unipc, euler or renoise (distilled models)"},
    {"--steps", AT(steps), VALUE, "denoising steps"},
    {"--sigmas", AT(sigmas), VALUE, "instead of steps: 1,0.94,0.83 or timesteps 1000,757,522"},
    {"--shift", AT(shift), VALUE, "schedule shift"},
    {"--guidance", AT(guidance), VALUE, "classifier-free guidance; 1 = off"},
    {"--guidance2", AT(guidance_2), VALUE, "that of the second expert"},
    {"--guidance-interval", AT(interval), VALUE, "FROM,TO: only at sigmas between, 0.9,0.3"},
    {"--cfg-zero", AT(zero_star), VALUE, "CFG-Zero*, and so many first steps that stand still"},
    {"--block-cache", AT(block_cache), VALUE, "skip steps that change less than this: 0.05"},
    {"--taehv", AT(taehv), VALUE, "folder of a tiny decoder: frames at once, in less detail"},
    {"--preview", AT(preview), VALUE, "a png that shows after each step what it will become"},
    {"--lora", AT(loras), VALUE, "FILE[:SCALE],... added to the transformer"},
    {"--lora-late", AT(loras_late), VALUE, "the same, to the second one of two"},
    {"--cache", AT(cache), VALUE, "where encoded prompts are kept (~/.cache/misora), or none"},
    {"--precision", AT(precision), VALUE, "auto, f32, bf16 or int8"},
    {"--device", AT(device), VALUE, "cpu, cuda, cuda:N or ref"},
    {"--threads", AT(threads), VALUE, "0 = all cores"},
};

void gen_flags_usage(FILE *to) {
    fprintf(to, "usage: misora gen --prompt TEXT -o FILE.mp4 [flags]\n");
    for (int i = 0; i < COUNT_OF(flags); i++)
        if (flags[i].kind == TITLE)
            fprintf(to, "\n%s\n", flags[i].name);
        else
            fprintf(to, "  %-19s %s\n", flags[i].name, flags[i].help);
}

static const struct flag *find_flag(const char *name) {
    for (int i = 0; i < COUNT_OF(flags); i++)
        if (flags[i].kind != TITLE && strcmp(flags[i].name, name) == 0) return &flags[i];
    return NULL;
}

static enum err keep_value(struct gen_flags *o, const struct flag *flag, const char *text,
                           struct fail *f) {
    void *at = (char *)o + flag->offset;
    if (flag->kind == LIST) {
        struct gen_flags_list *list = at;
        if (list->n == TASK_ASSETS_MAX)
            return FAIL(f, ERR_INPUT, "%s is there more than %d times", flag->name,
                        TASK_ASSETS_MAX);
        list->value[list->n++] = text;
        return ERR_OK;
    }
    const char **value = at;
    if (*value) return FAIL(f, ERR_INPUT, "%s is there twice", flag->name);
    *value = text;
    return ERR_OK;
}

enum err gen_flags_read(struct gen_flags *o, int argc, char **argv, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 1; i < argc; i++) {
        const struct flag *flag = find_flag(argv[i]);
        if (!flag) return FAIL(f, ERR_INPUT, "there is no flag %.80s", argv[i]);
        if (flag->kind == SWITCH) {
            *(bool *)((char *)o + flag->offset) = true;
            continue;
        }
        if (i + 1 == argc || find_flag(argv[i + 1]))
            return FAIL(f, ERR_INPUT, "%s needs a value", argv[i]);
        TRY(keep_value(o, flag, argv[++i], f));
    }
    if (!o->model) o->model = "models/tiny";
    if (!o->prompt || !o->output)
        return FAIL(f, ERR_INPUT, "--prompt and -o are needed (misora gen --help tells more)");
out:
    return rc;
}

enum err gen_flags_int(int *out, const char *flag, const char *text, int min, int max,
                       struct fail *f) {
    int64_t v;
    if (!text) return ERR_OK;
    if (!str_parse_i64(str_of(text), min, max, &v))
        return FAIL(f, ERR_INPUT, "%s %.40s: a number from %d to %d", flag, text, min, max);
    *out = (int)v;
    return ERR_OK;
}

enum err gen_flags_real(double *out, const char *flag, const char *text, double max,
                        struct fail *f) {
    if (text && !str_parse_f64(str_of(text), 0, max, out))
        return FAIL(f, ERR_INPUT, "%s %.40s: a number from 0 to %g", flag, text, max);
    return ERR_OK;
}

static bool parse_size(struct str text, int *width, int *height) {
    struct str rest = text, part = {0};
    int64_t w = 0, h = 0;
    bool is_good = str_split(&rest, 'x', &part) && str_parse_i64(part, 1, LIMIT_SIDE_MAX_PX, &w) &&
                   str_parse_i64(rest, 1, LIMIT_SIDE_MAX_PX, &h);
    *width = (int)w;
    *height = (int)h;
    return is_good;
}

enum err gen_flags_size(struct canvas *c, const char *text, struct fail *f) {
    if (!text) return ERR_OK;
    if (!parse_size(str_of(text), &c->width, &c->height))
        return FAIL(f, ERR_INPUT, "--size %.40s: WIDTHxHEIGHT, 192x112", text);
    if (c->width % 2 == 0 && c->height % 2 == 0) return ERR_OK;
    return FAIL(f, ERR_INPUT, "--size %.40s: both sides must be even; near is %dx%d", text,
                c->width / 2 * 2 > 0 ? c->width / 2 * 2 : 2,
                c->height / 2 * 2 > 0 ? c->height / 2 * 2 : 2);
}

enum err gen_flags_place(struct gen_flags_rect *r, const char *text, const struct canvas *canvas,
                         struct fail *f) {
    struct str rest = str_of(text), size = {0}, x = {0};
    int64_t at_x = 0, at_y = 0;
    bool is_good = str_split(&rest, '+', &size) && str_split(&rest, '+', &x) &&
                   parse_size(size, &r->width, &r->height) &&
                   str_parse_i64(x, 0, canvas->width - r->width, &at_x) &&
                   str_parse_i64(rest, 0, canvas->height - r->height, &at_y);
    r->x = (int)at_x;
    r->y = (int)at_y;
    if (is_good) return ERR_OK;
    return FAIL(f, ERR_INPUT, "--place %.40s: WIDTHxHEIGHT+X+Y within %dx%d", text, canvas->width,
                canvas->height);
}

enum err gen_flags_keyframe(int *frame, const char **file, const char *text, struct fail *f) {
    const char *equals = strchr(text, '=');
    int64_t v = 0;
    struct str number = {text, equals ? (size_t)(equals - text) : 0};
    if (!equals || !str_parse_i64(number, 0, LIMIT_FRAMES_MAX, &v))
        return FAIL(f, ERR_INPUT, "--keyframe %.80s: FRAME=FILE", text);
    *frame = (int)v;
    *file = equals + 1;
    return ERR_OK;
}

/* One of a list of words; its number goes to *out. */
static enum err read_word(int *out, const char *flag, const char *text, const char *const *words,
                          int n, const char *all, struct fail *f) {
    for (int i = 0; text && i < n; i++)
        if (words[i] && strcmp(text, words[i]) == 0) {
            *out = i;
            return ERR_OK;
        }
    return text ? FAIL(f, ERR_INPUT, "%s %.40s: %s", flag, text, all) : ERR_OK;
}

static enum err read_reals(double *out, int *n, int n_max, const char *flag, const char *text,
                           struct fail *f) {
    struct str rest = str_of(text), part = {0};
    *n = 0;
    while (str_split(&rest, ',', &part))
        if (*n == n_max || !str_parse_f64(part, 0, 1000, &out[(*n)++]))
            return FAIL(f, ERR_INPUT, "%s %.80s: up to %d numbers with commas", flag, text, n_max);
    return ERR_OK;
}

static enum err read_interval(struct engine_params *p, const char *text, struct fail *f) {
    double pair[2];
    int n = 0;
    if (!text) return ERR_OK;
    enum err rc = read_reals(pair, &n, 2, "--guidance-interval", text, f);
    if (rc != ERR_OK) return rc;
    if (n != 2 || pair[0] > 1 || pair[0] <= pair[1])
        return FAIL(f, ERR_INPUT, "--guidance-interval %.40s: FROM,TO with 1 >= FROM > TO >= 0",
                    text);
    p->guidance_from = pair[0];
    p->guidance_to = pair[1];
    return ERR_OK;
}

enum err gen_flags_params(struct engine_params *p, double sigmas[SCHEDULE_STEPS_MAX],
                          const struct gen_flags *o, struct fail *f) {
    static const char *const solvers[ENGINE_SOLVER_COUNT] = {
        [ENGINE_SOLVER_UNIPC] = "unipc",
        [ENGINE_SOLVER_EULER] = "euler",
        [ENGINE_SOLVER_RENOISE] = "renoise",
    };
    enum err rc = ERR_OK;
    int64_t seed = 1;
    int solver = ENGINE_SOLVER_DEFAULT;
    *p = (struct engine_params){.guidance = -1, .sigmas = sigmas};
    TRY(gen_flags_int(&p->n_steps, "--steps", o->steps, 1, LIMIT_STEPS_MAX, f));
    TRY(gen_flags_real(&p->guidance, "--guidance", o->guidance, LIMIT_GUIDANCE_MAX, f));
    TRY(gen_flags_real(&p->guidance_2, "--guidance2", o->guidance_2, LIMIT_GUIDANCE_MAX, f));
    TRY(gen_flags_real(&p->shift, "--shift", o->shift, 100, f));
    TRY(gen_flags_real(&p->cache, "--block-cache", o->block_cache, 1, f));
    TRY(gen_flags_int(&p->n_zero_steps, "--cfg-zero", o->zero_star, 0, LIMIT_STEPS_MAX, f));
    p->is_zero_star = o->zero_star != NULL;
    TRY(read_interval(p, o->interval, f));
    if (o->sigmas)
        TRY(read_reals(sigmas, &p->n_sigmas, SCHEDULE_STEPS_MAX, "--sigmas", o->sigmas, f));
    TRY(read_word(&solver, "--solver", o->solver, solvers, ENGINE_SOLVER_COUNT,
                  "unipc, euler or renoise", f));
    p->solver = (enum engine_solver)solver;
    if (o->seed && !str_parse_i64(str_of(o->seed), 0, INT64_MAX, &seed))
        TRY(FAIL(f, ERR_INPUT, "--seed %.40s: a whole number", o->seed));
    p->seed = (uint64_t)seed;
out:
    return rc;
}
