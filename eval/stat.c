#include "eval/stat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

enum { JACOBI_ROUNDS_MAX = 30 };

double stat_psnr(const uint8_t *a, const uint8_t *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - b[i];
        sum += d * d;
    }
    if (sum <= 0) return STAT_PSNR_MAX;
    return fmin(STAT_PSNR_MAX, 10 * log10(255.0 * 255.0 * (double)n / sum));
}

static double step(const struct reel *r, int from, int to) {
    return stat_psnr(reel_frame(r, from), reel_frame(r, to), reel_frame_bytes(r));
}

double stat_seam_drop(const struct reel *r, int at) {
    double others = 0;
    ASSERT(at > 0 && at < r->n_frames && r->n_frames > 2);
    for (int i = 1; i < r->n_frames; i++)
        if (i != at) others += step(r, i - 1, i);
    return others / (r->n_frames - 2) - step(r, at - 1, at);
}

double stat_loop_drop(const struct reel *r) {
    double others = 0;
    ASSERT(r->n_frames > 1);
    for (int i = 1; i < r->n_frames; i++)
        others += step(r, i - 1, i);
    return others / (r->n_frames - 1) - step(r, r->n_frames - 1, 0);
}

static double bright(const uint8_t *p) {
    return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

double stat_sharpness(const struct reel *r) {
    double sum = 0;
    int64_t n = 0, row = (int64_t)r->width * 3;
    for (int t = 0; t < r->n_frames; t++)
        for (int y = 1; y + 1 < r->height; y++)
            for (int x = 1; x + 1 < r->width; x++, n++) {
                const uint8_t *p = reel_frame(r, t) + y * row + (int64_t)x * 3;
                double l = 4 * bright(p) - bright(p - 3) - bright(p + 3) - bright(p - row) -
                           bright(p + row);
                sum += l * l;
            }
    return n ? sum / (double)n : 0;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double stat_quantile(double *v, int n, double q) {
    if (n == 0) return NAN;
    qsort(v, (size_t)n, sizeof *v, compare);
    return v[(int)(q * (n - 1) + 0.5)];
}

double stat_flicker(const struct reel *r) {
    int n = r->width * r->height;
    double sum = 0, *v = r->n_frames > 2 ? mem_take((size_t)n, sizeof *v) : NULL;
    if (!v) return 0;
    for (int i = 0; i < n; i++)
        for (int t = 1; t + 1 < r->n_frames; t++)
            v[i] +=
                fabs(bright(reel_frame(r, t - 1) + i * 3) - 2 * bright(reel_frame(r, t) + i * 3) +
                     bright(reel_frame(r, t + 1) + i * 3));
    qsort(v, (size_t)n, sizeof *v, compare);
    for (int i = 0; i < n / 2; i++)
        sum += v[i];
    mem_free(v);
    return sum / (n / 2) / (r->n_frames - 2);
}

void stat_thumb(const uint8_t *rgb, int width, int height, float out[STAT_THUMB]) {
    int n[STAT_THUMB_SIDE * STAT_THUMB_SIDE] = {0};
    memset(out, 0, STAT_THUMB * sizeof *out);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int k = y * STAT_THUMB_SIDE / height * STAT_THUMB_SIDE + x * STAT_THUMB_SIDE / width;
            n[k]++;
            for (int c = 0; c < 3; c++)
                out[k * 3 + c] += (float)rgb[((size_t)y * (size_t)width + (size_t)x) * 3 + c];
        }
    for (int i = 0; i < STAT_THUMB; i++)
        if (n[i / 3]) out[i] /= (float)n[i / 3];
}

double stat_thumb_distance(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < STAT_THUMB; i++)
        sum += fabs((double)a[i] - b[i]);
    return sum / STAT_THUMB;
}

double stat_wilson(int k, int n) {
    if (n == 0) return 1;
    double z = 1.96, p = (double)k / n, m = n;
    return z / (1 + z * z / m) * sqrt(p * (1 - p) / m + z * z / (4 * m * m));
}

static void moments(double *mean, double *cov, const float *v, int n, int d) {
    memset(mean, 0, (size_t)d * sizeof *mean);
    memset(cov, 0, (size_t)d * (size_t)d * sizeof *cov);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < d; k++)
            mean[k] += (double)v[(size_t)i * d + k] / n;
    for (int i = 0; i < n; i++)
        for (int a = 0; a < d; a++)
            for (int b = 0; b <= a; b++)
                cov[a * d + b] += ((double)v[(size_t)i * d + a] - mean[a]) *
                                  ((double)v[(size_t)i * d + b] - mean[b]) / n;
    for (int a = 0; a < d; a++)
        for (int b = 0; b < a; b++)
            cov[b * d + a] = cov[a * d + b];
}

static void rotate(double *m, int d, int p, int q, double c, double s) {
    for (int k = 0; k < d; k++) {
        double x = m[k * d + p], y = m[k * d + q];
        m[k * d + p] = c * x - s * y;
        m[k * d + q] = s * x + c * y;
    }
}

/* Eigenvectors of the symmetric m [d,d] into the columns of v; m becomes diagonal (cyclic Jacobi).
 */
static void diagonalise(double *m, double *v, int d) {
    for (int i = 0; i < d * d; i++)
        v[i] = i / d == i % d;
    for (int round = 0; round < JACOBI_ROUNDS_MAX; round++) {
        double off = 0, on = 0;
        for (int i = 0; i < d * d; i++)
            *(i / d == i % d ? &on : &off) += m[i] * m[i];
        if (off <= 1e-22 * on) return;
        for (int p = 0; p < d; p++)
            for (int q = p + 1; q < d; q++) {
                double a = m[p * d + q];
                if (fabs(a) < 1e-300) continue;
                double t, w = (m[q * d + q] - m[p * d + p]) / (2 * a);
                t = (w < 0 ? -1 : 1) / (fabs(w) + sqrt(w * w + 1));
                double c = 1 / sqrt(t * t + 1), s = t * c;
                rotate(m, d, p, q, c, s); /* columns, then rows */
                for (int k = 0; k < d; k++) {
                    double x = m[p * d + k], y = m[q * d + k];
                    m[p * d + k] = c * x - s * y;
                    m[q * d + k] = s * x + c * y;
                }
                rotate(v, d, p, q, c, s);
            }
    }
}

/* out = v sqrt(diagonal of m) v^T. */
static void root(double *out, const double *m, const double *v, int d) {
    for (int a = 0; a < d; a++)
        for (int b = 0; b < d; b++) {
            double sum = 0;
            for (int k = 0; k < d; k++)
                sum += v[a * d + k] * sqrt(fmax(0, m[k * d + k])) * v[b * d + k];
            out[a * d + b] = sum;
        }
}

static void product(double *out, const double *a, const double *b, int d) {
    for (int i = 0; i < d; i++)
        for (int k = 0; k < d; k++) {
            double sum = 0;
            for (int j = 0; j < d; j++)
                sum += a[i * d + j] * b[j * d + k];
            out[i * d + k] = sum;
        }
}

/* |m_a - m_b|^2 + tr(A) + tr(B) - 2 tr((sqrt(A) B sqrt(A))^(1/2)). */
enum err stat_frechet(double *out, const float *a, int n_a, const float *b, int n_b, int d,
                      struct fail *f) {
    size_t n = (size_t)d * (size_t)d;
    double *room = mem_take(5 * n + 2 * (size_t)d, sizeof *room);
    if (!room) return FAIL(f, ERR_NOMEM, "no memory for a distance in %d dimensions", d);
    double *A = room, *B = A + n, *v = B + n, *r = v + n, *t = r + n, *ma = t + n, *mb = ma + d;
    moments(ma, A, a, n_a, d);
    moments(mb, B, b, n_b, d);
    double sum = 0;
    for (int i = 0; i < d; i++)
        sum += (ma[i] - mb[i]) * (ma[i] - mb[i]) + A[i * d + i] + B[i * d + i];
    diagonalise(A, v, d);
    root(r, A, v, d);
    product(t, r, B, d);
    product(A, t, r, d);
    for (int i = 0; i < d; i++)
        for (int k = 0; k < i; k++)
            A[i * d + k] = A[k * d + i] = (A[i * d + k] + A[k * d + i]) / 2;
    diagonalise(A, v, d);
    for (int i = 0; i < d; i++)
        sum -= 2 * sqrt(fmax(0, A[i * d + i]));
    mem_free(room);
    *out = fmax(0, sum);
    return ERR_OK;
}
