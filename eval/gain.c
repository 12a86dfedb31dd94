#include "eval/gain.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "train/world/world.h"

enum { STEPS = 41, PAIRS_MAX = 8, MARGIN = 3 };
#define FEW .5 /* of the pixels must stay in the picture */
/* A pair of frames lies so far apart that the picture moves about AIM pixels between them, large
 * pixels (style) AIM_LARGE, but at most REACH frames. */
#define AIM       2.0
#define AIM_LARGE 6.0
enum { REACH = 4 }; /* 1, 2 or 4 frames: so that times of frames stay times of frames */

#define DIFF_MAX 24.0f /* of brightness: what comes and goes counts no more than this */

struct work {
    float *before, *after; /* brightness, a little blurred */
    float *flow;
    float *raw;
    uint8_t *ids, *is_in;
    int W, H;
    double sum[STEPS], n[STEPS];
    double n_pixels, travel;
};

static double gain_at(int i) {
    return GAIN_MIN + (double)(GAIN_MAX - GAIN_MIN) * i / (STEPS - 1);
}

static int clamp_int(int a, int lo, int hi) {
    return a < lo ? lo : a > hi ? hi : a;
}

/* Brightness, mean of 3x3 pixels. */
static void read_bright(float *out, float *raw, const uint8_t *rgb, int W, int H) {
    for (int i = 0; i < W * H; i++)
        raw[i] = .299f * rgb[3 * i] + .587f * rgb[3 * i + 1] + .114f * rgb[3 * i + 2];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            float sum = 0;
            for (int v = -1; v <= 1; v++)
                for (int u = -1; u <= 1; u++)
                    sum += raw[clamp_int(y + v, 0, H - 1) * W + clamp_int(x + u, 0, W - 1)];
            out[y * W + x] = sum / 9;
        }
}

/* Between pixels; outside, the edge goes on. */
static float sample(const float *p, int W, int H, float x, float y) {
    x = fminf(fmaxf(x, 0), (float)(W - 1));
    y = fminf(fmaxf(y, 0), (float)(H - 1));
    int x0 = (int)x, y0 = (int)y, x1 = x0 + 1 < W ? x0 + 1 : x0, y1 = y0 + 1 < H ? y0 + 1 : y0;
    float fx = x - (float)x0, fy = y - (float)y0;
    float top = p[y0 * W + x0] * (1 - fx) + p[y0 * W + x1] * fx,
          bottom = p[y1 * W + x0] * (1 - fx) + p[y1 * W + x1] * fx;
    return top * (1 - fy) + bottom * fy;
}

static int is_outside(int id) {
    return id != WORLD_ID_SKY && id != WORLD_ID_GROUND && id != WORLD_ID_BACKDROP;
}

/* What is blurred together with other things, or may soon be behind them, is not compared. */
static void choose(struct work *w) {
    memset(w->is_in, 1, (size_t)w->W * (size_t)w->H);
    for (int y = 0; y < w->H; y++)
        for (int x = 0; x < w->W; x++) {
            if (!is_outside(w->ids[y * w->W + x])) continue;
            for (int v = clamp_int(y - MARGIN, 0, w->H - 1);
                 v <= clamp_int(y + MARGIN, 0, w->H - 1); v++)
                for (int u = clamp_int(x - MARGIN, 0, w->W - 1);
                     u <= clamp_int(x + MARGIN, 0, w->W - 1); u++)
                    w->is_in[v * w->W + u] = 0;
        }
}

/* What the world expects from frame i to frame i + step; held pictures move as others do. The
 * scene is asked for the same times at fewer frames a second. */
static void ask_world(struct work *w, const struct scene *s, int i, int step) {
    struct scene slow = *s;
    int is_even = i % step == 0 && (s->frames - 1) % step == 0;
    slow.style = WORLD_STYLE_PLAIN;
    if (is_even) {
        slow.frames = (uint16_t)((s->frames - 1) / step + 1);
        slow.fps = s->fps / (float)step;
    }
    world_render(&slow, is_even ? i / step : i, NULL, w->ids, NULL, w->flow);
    for (int p = 0; p < 2 * w->W * w->H && !is_even; p++)
        w->flow[p] *= (float)step;
}

static void set_all(struct work *w, float u, float v, float grow) {
    float cx = .5f * (float)w->W, cy = .5f * (float)w->H;
    for (int y = 0; y < w->H; y++)
        for (int x = 0; x < w->W; x++) {
            float *to = w->flow + 2 * (y * w->W + x);
            to[0] = u + grow * ((float)x + .5f - cx) / cx;
            to[1] = v + grow * ((float)y + .5f - cy) / cx;
        }
}

static void level_out(struct work *w) {
    double u = 0, v = 0;
    int n = w->W * w->H;
    for (int i = 0; i < n; i++) {
        u += (double)w->flow[2 * i];
        v += (double)w->flow[2 * i + 1];
    }
    set_all(w, (float)(u / n), (float)(v / n), 0);
}

static void expect(struct work *w, const struct scene *s, enum gain_part part, int i, int step) {
    float k = (float)step;
    if (part >= GAIN_RIGHT && step == 1) world_render(s, i, NULL, w->ids, NULL, NULL);
    switch (part) {
    case GAIN_RIGHT: set_all(w, k, 0, 0); break;
    case GAIN_DOWN: set_all(w, 0, k, 0); break;
    case GAIN_GROW: set_all(w, 0, 0, k); break;
    default: ask_world(w, s, i, step);
    }
}

static float length(const float v[2]) {
    return sqrtf(v[0] * v[0] + v[1] * v[1]);
}

/* How many frames further the second of a pair is; w->flow is that of one frame. */
static int step_for(struct work *w, const struct scene *s, int most) {
    double sum = 0, n = 0, aim = s->style == WORLD_STYLE_PIXEL_ART ? AIM_LARGE : AIM;
    int step = s->style == WORLD_STYLE_CLAY ? 2 : 1;
    for (int i = 0; i < w->W * w->H; i++)
        if (w->is_in[i]) {
            sum += length(w->flow + 2 * i);
            n++;
        }
    w->n_pixels += n;
    w->travel += sum;
    while (step * 2 <= most && n > 0 && sum / n * step * 1.5 < aim)
        step *= 2;
    return step < most ? step : most;
}

static void compare_pixel(struct work *w, int x, int y) {
    int i = y * w->W + x;
    for (int k = 0; k < STEPS; k++) {
        float g = (float)gain_at(k), u = (float)x + g * w->flow[2 * i],
              v = (float)y + g * w->flow[2 * i + 1];
        if (u < 0 || v < 0 || u > (float)(w->W - 1) || v > (float)(w->H - 1)) continue;
        if (!w->is_in[(int)(v + .5f) * w->W + (int)(u + .5f)]) continue;
        w->sum[k] += fminf(fabsf(sample(w->after, w->W, w->H, u, v) - w->before[i]), DIFF_MAX);
        w->n[k]++;
    }
}

static void compare(struct work *w) {
    for (int y = 0; y < w->H; y++)
        for (int x = 0; x < w->W; x++) {
            int i = y * w->W + x;
            if (w->is_in[i] && length(w->flow + 2 * i) < .2f * (float)w->W) compare_pixel(w, x, y);
        }
}

/* The lowest point of the parabola through the least mean and its neighbours. */
static void conclude(struct gain *out, const struct work *w) {
    int best = -1, zero = (int)(-GAIN_MIN * (double)(STEPS - 1) / (GAIN_MAX - GAIN_MIN) + .5);
    double mean[STEPS], shift = 0;
    *out = (struct gain){.pixels = w->n_pixels > 0 ? w->travel / w->n_pixels : 0};
    if (w->n[zero] == 0) return;
    for (int i = 0; i < STEPS; i++) {
        mean[i] = w->n[i] > 0 ? w->sum[i] / w->n[i] : DIFF_MAX;
        if (w->n[i] >= FEW * w->n[zero] && (best < 0 || mean[i] < mean[best])) best = i;
    }
    if (best > 0 && best < STEPS - 1) {
        double a = mean[best - 1], b = mean[best], c = mean[best + 1];
        if (a + c - 2 * b > 0) shift = fmax(-1, fmin(1, .5 * (a - c) / (a + c - 2 * b)));
    }
    out->left = mean[best];
    if (mean[zero] <= 0) return; /* nothing changes */
    out->value = gain_at(best) + shift * (gain_at(1) - gain_at(0));
    out->fall = 1 - mean[best] / mean[zero];
}

static enum err take(struct work *w, const struct reel *clip, struct fail *f) {
    size_t n = (size_t)clip->width * (size_t)clip->height;
    *w = (struct work){.W = clip->width, .H = clip->height};
    w->before = mem_take(5 * n, sizeof *w->before);
    w->ids = mem_take(2 * n, 1);
    if (!w->before || !w->ids) return FAIL(f, ERR_NOMEM, "no memory to compare two frames");
    w->is_in = w->ids + n;
    w->after = w->before + n;
    w->flow = w->before + 2 * n;
    w->raw = w->before + 4 * n;
    return ERR_OK;
}

enum err gain_measure(struct gain *out, const struct reel *clip, const struct scene *s,
                      const struct gain_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct work w = {0};
    int end = o->first + o->n_frames, reach, n_starts, n_pairs;
    if (end > clip->n_frames) end = clip->n_frames;
    if (end > s->frames) end = s->frames;
    reach = end - o->first > 2 * REACH ? REACH : (end - o->first) / 2;
    n_starts = (end - o->first - reach) / 4 + 1; /* pairs begin on frames 0, 4, 8, ... of a part */
    n_pairs = n_starts < PAIRS_MAX ? n_starts : PAIRS_MAX;
    *out = (struct gain){0};
    ASSERT(s->W == clip->width && s->H == clip->height);
    TRY(take(&w, clip, f));
    for (int k = 0; k < n_pairs; k++) {
        int i = (o->first + 3) / 4 * 4 + 4 * (k * n_starts / n_pairs), step;
        if (i + reach >= end) i -= 4;
        if (i < 0 || reach < 1) break;
        expect(&w, s, o->part, i, 1);
        choose(&w);
        step = step_for(&w, s, reach);
        if (step > 1) expect(&w, s, o->part, i, step);
        if (o->part == GAIN_SHIFT) level_out(&w);
        read_bright(w.before, w.raw, reel_frame(clip, i), w.W, w.H);
        read_bright(w.after, w.raw, reel_frame(clip, i + step), w.W, w.H);
        compare(&w);
    }
    conclude(out, &w);
out:
    mem_free(w.before);
    mem_free(w.ids);
    return rc;
}
