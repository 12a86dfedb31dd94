#include "eval/page.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/base64.h"
#include "common/base/mem.h"
#include "engine/file.h"
#include "worker/media/still.h"

enum { PICTURE_BYTES_MAX = 8 << 20, SHEET_HEROES = 6 };

static const char head[] =
    "<!doctype html><meta charset=utf-8><title>misora-eval</title><style>"
    "body{font:14px/1.4 sans-serif;background:#16181c;color:#ddd;margin:2em}"
    "td{vertical-align:top;padding:4px 10px}img{display:block;margin:2px 0}"
    ".bad{color:#f77}.good{color:#8c8}.why{color:#889}pre{background:#222;padding:1em}</style>"
    "<h1>misora-eval</h1><p>Upper strip: the render. Lower strip: what the model made. Answers in "
    "red are wrong.</p>";

enum err page_open(struct page *p, const char *path, struct fail *f) {
    *p = (struct page){0};
    int n = snprintf(p->path, sizeof p->path, "%s", path);
    int m = snprintf(p->part, sizeof p->part, "%s.part", path);
    int k = snprintf(p->picture, sizeof p->picture, "%s.webp", path);
    if (n < 0 || m >= (int)sizeof p->part || k >= (int)sizeof p->picture)
        return FAIL(f, ERR_INPUT, "the path %.80s... is too long", path);
    p->file = fopen(p->part, "w");
    if (!p->file) return FAIL(f, ERR_IO, "%.160s cannot be written: %s", p->part, strerror(errno));
    fputs(head, p->file);
    return ERR_OK;
}

/* Frames of a clip side by side. */
static enum err strip(struct reel *out, const struct reel *clip, struct fail *f) {
    enum err rc = reel_make(out, 1, clip->width * PAGE_FRAMES, clip->height, f);
    size_t row = (size_t)clip->width * 3;
    for (int i = 0; rc == ERR_OK && i < PAGE_FRAMES; i++) {
        const uint8_t *from = reel_frame(clip, i * (clip->n_frames - 1) / (PAGE_FRAMES - 1));
        for (int y = 0; y < clip->height; y++)
            memcpy(out->rgb + ((size_t)y * PAGE_FRAMES + (size_t)i) * row, from + (size_t)y * row,
                   row);
    }
    return rc;
}

static enum err put_strip(struct page *p, const struct reel *clip, struct fail *f) {
    enum err rc = ERR_OK;
    struct reel r = {0};
    char *bytes = NULL, *text = NULL;
    size_t n;
    TRY(strip(&r, clip, f));
    struct still still = {r.rgb, r.width, r.height, r.width, r.height};
    TRY(still_write_webp(p->picture, &still, f));
    TRY(file_take(&bytes, &n, p->picture, PICTURE_BYTES_MAX, f));
    text = mem_take(base64_encoded_bytes(n) + 1, 1);
    if (!text) TRY(FAIL(f, ERR_NOMEM, "no memory for a picture of the page"));
    base64_encode(bytes, n, text);
    fprintf(p->file, "<img src=\"data:image/webp;base64,%s\" width=%d height=%d alt=\"\">", text,
            r.width, r.height);
out:
    unlink(p->picture);
    reel_free(&r);
    mem_free(bytes);
    mem_free(text);
    return rc;
}

/* Prompts are our own captions and hold no mark-up; a caller's would have to be escaped. */
static void put_answers(struct page *p, const struct score *s) {
    for (int h = 0; h < LABEL_HEAD_COUNT; h++) {
        int want = s->want.value[h], got = s->made.view.label.value[h];
        int seen = s->render.view.label.value[h];
        if (want == LABEL_OPEN) continue;
        fprintf(p->file, "%s <span class=%s>%s</span>%s<br>", label_head_name((enum label_head)h),
                got == want ? "good" : "bad", label_value_name((enum label_head)h, got),
                seen == want ? "" : " <span class=why>(render misread too)</span>");
    }
}

enum err page_add(struct page *p, const struct score *s, const struct reel *truth,
                  const struct reel *made, struct fail *f) {
    enum err rc = ERR_OK;
    if (strcmp(p->family, s->row->family) != 0) {
        fprintf(p->file, "%s<h2>%s</h2><table>", p->family[0] ? "</table>" : "", s->row->family);
        memcpy(p->family, s->row->family, sizeof p->family);
    }
    fprintf(p->file, "<tr><td>");
    TRY(put_strip(p, truth, f));
    TRY(put_strip(p, made, f));
    fprintf(p->file, "<td>");
    put_answers(p, s);
    fprintf(p->file, "<td><b>%s</b> (%s, noise %llu)<br>%s\n", s->row->id,
            suite_task_name(s->row->task), (unsigned long long)s->row->noise_seed, s->row->prompt);
out:
    return rc;
}

enum err page_close(struct page *p, const char *report, struct fail *f) {
    fprintf(p->file, "</table><h2>Report</h2><pre>%s</pre>\n", report);
    int is_bad = ferror(p->file);
    is_bad = fclose(p->file) != 0 || is_bad;
    p->file = NULL;
    if (is_bad || rename(p->part, p->path) != 0)
        return FAIL(f, ERR_IO, "%.160s cannot be written: %s", p->path, strerror(errno));
    return ERR_OK;
}

void page_drop(struct page *p) {
    if (p->file) {
        fclose(p->file);
        unlink(p->part);
    }
    *p = (struct page){0};
}

int page_is_on_sheet(const struct suite_row *row, int taken[2]) {
    int is_hero = strcmp(row->family, "hero") == 0;
    int fits = row->task == SUITE_TEXT && row->opts.W == 128 && row->opts.H == 80;
    if (!fits || taken[is_hero] == SHEET_HEROES) return 0;
    /* Of the slot families one prompt in sixteen, so that the page shows several of them. */
    if (!is_hero && (row->noise_seed % 16 != 0 || row->opts.split == WORLD_SPLIT_HELD_OUT))
        return 0;
    taken[is_hero]++;
    return 1;
}

enum err page_sheet(const struct reel *clips, int n_clips, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    struct reel sheet = {0}, one = {0};
    if (n_clips == 0) return ERR_OK;
    TRY(reel_make(&sheet, n_clips, clips[0].width * PAGE_FRAMES, clips[0].height, f));
    for (int i = 0; i < n_clips; i++) {
        ASSERT(clips[i].width == clips[0].width && clips[i].height == clips[0].height);
        TRY(strip(&one, &clips[i], f));
        memcpy(reel_frame(&sheet, i), one.rgb, reel_frame_bytes(&one));
        reel_free(&one);
    }
    struct still still = {.rgb = sheet.rgb, .width = sheet.width, .height = sheet.height * n_clips};
    TRY(still_write_png(path, &still, f));
out:
    reel_free(&one);
    reel_free(&sheet);
    return rc;
}
