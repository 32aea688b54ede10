/* Moments of two segments in a window around each contact. */
#include "sums.h"

#include <stdlib.h>

NUMPY_SUM(sum_floats, float)

typedef struct {
    int64_t pairs;
    const int64_t *pair;   /* [pairs, 2] from 0 */
    const int64_t *middle; /* [pairs], place in the padded cube */
    const int64_t *order;  /* [pairs], in which they are worked on: what lies near shares memory that is at hand */
    int64_t strides[3];
    const uint16_t *labels, *sums;
    const float *brightness; /* by sum */
    int64_t spacing, reach;
} Windows;

enum { MOMENTS = 12 }; /* zz zy zx yy yx xx z y x count, brightness, its square */

/* Asks for a window's lines while another window is worked on: memory is what this waits for. */
static void fetch(const Windows *w, int64_t middle) {
    const int64_t reach = w->reach, step = w->spacing, across = reach * step;
    for (int64_t z = -reach; z <= reach; z++)
        for (int64_t y = -reach; y <= reach; y++) {
            const int64_t line = middle + step * (z * w->strides[0] + y * w->strides[1]);
            __builtin_prefetch(w->labels + line - across);
            __builtin_prefetch(w->labels + line + across);
            __builtin_prefetch(w->sums + line - across);
            __builtin_prefetch(w->sums + line + across);
        }
}

/* Copies a window's labels and brightness line by line; returns how many voxels are in a segment. */
static int64_t look(const Windows *w, int64_t middle, uint16_t *labels, float *values) {
    const int64_t reach = w->reach, step = w->spacing;
    int64_t count = 0, covered = 0;
    for (int64_t z = -reach; z <= reach; z++)
        for (int64_t y = -reach; y <= reach; y++) {
            const int64_t line = middle + step * (z * w->strides[0] + y * w->strides[1] - reach * w->strides[2]);
            for (int64_t x = 0; x <= 2 * reach; x++, count++) {
                labels[count] = w->labels[line + x * step];
                values[count] = w->brightness[w->sums[line + x * step]];
            }
        }
    for (int64_t i = 0; i < count; i++) covered += labels[i] > 0;
    return covered;
}

/* Whole numbers, so their order is of no matter. */
static void add_places(int64_t reach, const uint16_t *labels, uint16_t label, float *to) {
    int32_t sums[10] = {0};
    for (int32_t z = -(int32_t)reach; z <= reach; z++)
        for (int32_t y = -(int32_t)reach; y <= reach; y++) {
            int32_t n = 0, first = 0, second = 0;
            for (int32_t x = -(int32_t)reach; x <= reach; x++) {
                const int32_t is_in = *labels++ == label;
                n += is_in;
                first += is_in * x;
                second += is_in * x * x;
            }
            sums[0] += n * z * z;
            sums[1] += n * z * y;
            sums[2] += z * first;
            sums[3] += n * y * y;
            sums[4] += y * first;
            sums[5] += second;
            sums[6] += n * z;
            sums[7] += n * y;
            sums[8] += first;
            sums[9] += n;
        }
    for (int i = 0; i < 10; i++) to[i] = (float)sums[i];
}

static void add_brightness(int64_t count, const uint16_t *labels, const float *values, uint16_t label, float *lit, float *to) {
    for (int64_t i = 0; i < count; i++) lit[i] = (labels[i] == label ? 1.0f : 0.0f) * values[i];
    to[10] = 0 + sum_floats(lit, count, 1);
    for (int64_t i = 0; i < count; i++) lit[i] *= values[i];
    to[11] = 0 + sum_floats(lit, count, 1);
}

/* moments[2, pairs, MOMENTS] and covered[pairs]. Returns 0, or 1 where memory is short. */
int windows_sum(const Windows *w, float *moments, int64_t *covered) {
    const int64_t edge = 2 * w->reach + 1, count = edge * edge * edge;
    uint16_t *labels = malloc(count * sizeof(uint16_t));
    float *values = malloc(2 * count * sizeof(float)), *lit = values + count;
    if (labels && values)
        for (int64_t k = 0; k < w->pairs; k++) {
            const int64_t i = w->order[k];
            if (k + 1 < w->pairs) fetch(w, w->middle[w->order[k + 1]]);
            covered[i] = look(w, w->middle[i], labels, values);
            for (int side = 0; side < 2; side++) {
                const uint16_t label = (uint16_t)(w->pair[2 * i + side] + 1);
                float *to = moments + (side * w->pairs + i) * MOMENTS;
                add_places(w->reach, labels, label, to);
                add_brightness(count, labels, values, label, lit, to);
            }
        }
    const int is_short = !labels || !values;
    free(labels);
    free(values);
    return is_short;
}
