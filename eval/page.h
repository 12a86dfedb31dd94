/* page.h - what was judged, to be looked at: one HTML page with a strip of frames for every render
 * and every clip, self-contained; and the contact sheet of the model card.
 *
 * Rows are added as they are judged; the page appears when it is closed. One thread. */
#ifndef EVAL_PAGE_H
#define EVAL_PAGE_H

#include <stdio.h>

#include "common/base/buf.h"
#include "eval/report.h"

enum { PAGE_FRAMES = 5, PAGE_SHEET_ROWS = 12 };

struct page {
    char path[1024], part[1024], picture[1024];
    FILE *file;
    char family[24];
};

MUST_CHECK enum err page_open(struct page *p, const char *path, struct fail *f);
MUST_CHECK enum err page_add(struct page *p, const struct score *s, const struct reel *truth,
                             const struct reel *made, struct fail *f);
/* `report` stands at the end, as text. */
MUST_CHECK enum err page_close(struct page *p, const char *report, struct fail *f);
void page_drop(struct page *p); /* safe on a zeroed struct and after page_close() */

/* Is this row one of those on the sheet of the model card? Half are heroes or Chinese, and nobody
 * picks them: the first of each kind. *n counts those that were taken. */
int page_is_on_sheet(const struct suite_row *row, int taken[2]);
/* Frames of up to PAGE_SHEET_ROWS clips of 128x80 below each other, as png. */
MUST_CHECK enum err page_sheet(const struct reel *clips, int n_clips, const char *path,
                               struct fail *f);

#endif
