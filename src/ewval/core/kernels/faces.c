/* Sums over the sampled faces of each contact, in the order of the faces: what the means of `contact_image` and
 * `contact_shape` are made of. */
#include <stdint.h>
#include <string.h>

typedef struct {
    int64_t faces, pairs;
    const int64_t *pair, *low, *inward, *axis; /* [faces] */
    int64_t shape[3], pad;                     /* of the padded cube */
    const uint16_t *labels;
    const uint8_t *gap;
    const uint16_t *sums;                      /* smoothed image */
    const float *brightness;                   /* by sum */
    const double *rank;                        /* by sum */
} Faces;

enum { AHEAD = 8, DEPTHS = 5, CLASSES = 5, QUANTILES = 7, BINS = 192 };
/* Columns of the sums of brightness. */
enum { LEVEL, SQUARE, DARKER, RANK, GAP, PROFILE = GAP + CLASSES, DIP = PROFILE + 2 * DEPTHS, DEEP_DIP, IS_DIP, NO_DIP, LOOKS };

static inline float bright(const Faces *f, int64_t place) { return f->brightness[f->sums[place]]; }
/* Asks for what lies around a face that comes soon. */
static inline void fetch(const Faces *f, const uint16_t *values, int64_t k, const int64_t *depths, int64_t count) {
    if (k >= f->faces) return;
    const int64_t low = f->low[k], inward = f->inward[k], high = low - inward;
    for (int64_t d = 0; d < count; d++) {
        __builtin_prefetch(values + low + inward * depths[d]);
        __builtin_prefetch(values + high - inward * depths[d]);
    }
}

static inline float lesser(float a, float b) { return a < b ? a : b; }

/* sums[pairs, LOOKS] and bins[pairs, BINS], both of zeros; depths[DEPTHS] with 3 and 5 in second and third last but one. */
void faces_look(const Faces *f, const int64_t *depths, const int64_t *classes, float lowest, float bins_per_unit, float dip_least, double *sums, int32_t *bins) {
    for (int64_t k = 0; k < f->faces; k++) {
        const int64_t low = f->low[k], inward = f->inward[k], high = low - inward;
        double *to = sums + f->pair[k] * LOOKS;
        fetch(f, f->sums, k + AHEAD, depths, DEPTHS);
        const float near = bright(f, low), far = bright(f, high), face = (near + far) / 2;
        to[LEVEL] += face;
        to[SQUARE] += face * face;
        to[DARKER] += lesser(near, far);
        to[RANK] += f->rank[f->sums[low]];
        const int64_t width = (int64_t)f->gap[low] + f->gap[high];
        for (int c = 0; c < CLASSES; c++) to[GAP + c] += width >= classes[2 * c] && width <= classes[2 * c + 1];
        float bin = (face - lowest) * bins_per_unit;
        bin = bin < 0 ? 0 : bin > BINS - 1 ? BINS - 1 : bin;
        bins[f->pair[k] * BINS + (int32_t)bin]++;
        for (int d = 0; d < DEPTHS; d++) {
            const float one = bright(f, low + inward * depths[d]), other = bright(f, high - inward * depths[d]);
            to[PROFILE + 2 * d] += one;
            to[PROFILE + 2 * d + 1] += other;
            const float dip = lesser(one, other) - face;
            if (depths[d] == 3) {
                to[DIP] += dip;
                to[IS_DIP] += dip > dip_least;
                to[NO_DIP] += dip < 0;
            } else if (depths[d] == 5) to[DEEP_DIP] += dip;
        }
    }
}

/* For each pair and share, how many bins hold less than that share of its faces with all before them: below[pairs, shares]. */
void faces_quantiles(const int32_t *bins, const double *sampled, int64_t pairs, const double *shares, int64_t *below) {
    for (int64_t i = 0; i < pairs; i++) {
        int64_t passed = 0, seen = 0;
        for (int64_t bin = 0; bin < BINS && passed < QUANTILES; bin++) {
            seen += bins[i * BINS + bin];
            const double share = (double)seen / sampled[i];
            while (passed < QUANTILES && !(share < shares[passed])) below[i * QUANTILES + passed++] = bin;
        }
        while (passed < QUANTILES) below[i * QUANTILES + passed++] = BINS;
    }
}

static void find(const Faces *f, int64_t place, int64_t *at) {
    const int64_t plane = f->shape[1] * f->shape[2], rest = place % plane;
    at[0] = place / plane - f->pad;
    at[1] = rest / f->shape[2] - f->pad;
    at[2] = rest % f->shape[2] - f->pad;
}

static inline double sign_of(int64_t step) { return step > 0 ? 1 : -1; }

/* Sums of place and of facing: sums[pairs, 6]. */
void faces_place(const Faces *f, double *sums) {
    for (int64_t k = 0; k < f->faces; k++) {
        double *to = sums + f->pair[k] * 6;
        const double sign = sign_of(f->inward[k]);
        int64_t at[3];
        find(f, f->low[k], at);
        for (int i = 0; i < 3; i++) {
            const int is_axis = f->axis[k] == i;
            to[i] += (double)at[i] - 0.5 * sign * is_axis;
            to[3 + i] += sign * is_axis;
        }
    }
}

/* Sums of products of the distance from the centre: sums[pairs, 6], zz zy zx yy yx xx. */
void faces_spread(const Faces *f, const double *centre, double *sums) {
    for (int64_t k = 0; k < f->faces; k++) {
        double *to = sums + f->pair[k] * 6, off[3];
        const double sign = sign_of(f->inward[k]);
        int64_t at[3];
        find(f, f->low[k], at);
        for (int i = 0; i < 3; i++)
            off[i] = ((double)at[i] - 0.5 * sign * (f->axis[k] == i)) - centre[f->pair[k] * 3 + i];
        for (int i = 0, column = 0; i < 3; i++)
            for (int j = i; j < 3; j++) to[column++] += off[i] * off[j];
    }
}

static uint16_t depth_at(const Faces *f, const uint16_t *depth, const int64_t *shape, int64_t place) {
    int64_t at[3];
    find(f, place, at);
    for (int i = 0; i < 3; i++) {
        const int64_t half = at[i] < 0 ? 0 : at[i] / 2;
        at[i] = half < shape[i] ? half : shape[i] - 1;
    }
    return depth[(at[0] * shape[1] + at[1]) * shape[2] + at[2]];
}

/* sums[pairs, 2 inside_count + 2 thick_count]: whether each segment goes on so deep, and how thick it is there. */
void faces_behind(const Faces *f, const int64_t *inside, int64_t inside_count, const int64_t *thick, int64_t thick_count, const uint16_t *depth, const int64_t *depth_shape, double *sums) {
    for (int64_t k = 0; k < f->faces; k++) {
        const int64_t low = f->low[k], inward = f->inward[k], high = low - inward;
        fetch(f, f->labels, k + AHEAD, inside, inside_count);
        const uint16_t one = f->labels[low], other = f->labels[high];
        double *to = sums + f->pair[k] * 2 * (inside_count + thick_count);
        for (int64_t d = 0; d < inside_count; d++) {
            *to++ += f->labels[low + inward * inside[d]] == one;
            *to++ += f->labels[high - inward * inside[d]] == other;
        }
        for (int64_t d = 0; d < thick_count; d++) {
            const int64_t first = low + inward * thick[d], second = high - inward * thick[d];
            const int is_first = f->labels[first] == one, is_second = f->labels[second] == other;
            *to++ += is_first ? depth_at(f, depth, depth_shape, first) : 0;
            *to++ += is_second ? depth_at(f, depth, depth_shape, second) : 0;
        }
    }
}
