/* The decisions of a level of a tree, by sums for each node, column and bin; and the way of rows down one level. */
#include <stdint.h>

/* For each of `count` rows (places in `codes`[n, columns], `node`[n], `pull`[n], `curvature`[n]) and each of `width`
 * chosen columns, adds to sums[nodes, width, bins, 2] in the order of the rows, as numpy.bincount does. The two sums of
 * a bin lie side by side, so that a row touches one line of the cache for both. */
static void add(const uint8_t *codes, int64_t columns, const int64_t *rows, int64_t count, const int64_t *chosen,
                int64_t width, const int64_t *node, const double *pull, const double *curvature, int64_t bins,
                double *sums) {
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *code = codes + rows[i] * columns;
        double *at = sums + node[rows[i]] * width * bins * 2;
        const double p = pull[rows[i]], c = curvature[rows[i]];
        for (int64_t j = 0; j < width; j++, at += bins * 2) {
            double *bin = at + code[chosen[j]] * 2;
            bin[0] += p;
            bin[1] += c;
        }
    }
}

/* The gain of each decision by one column, sums[bins, 2], as `_gain` of histogram.py has it. */
static void weigh(const double *sums, int64_t bins, double ridge, double least, double *gain) {
    double all_pull = 0, all_curvature = 0, left = 0, mass = 0;
    for (int64_t b = 0; b < bins; b++) {
        all_pull += sums[2 * b];
        all_curvature += sums[2 * b + 1];
    }
    const double whole = all_pull * all_pull / (all_curvature + ridge);
    for (int64_t b = 0; b < bins; b++) {
        left += sums[2 * b];
        mass += sums[2 * b + 1];
        const double rest = all_curvature - mass, right = all_pull - left;
        gain[b] = mass >= least && rest >= least
                      ? left * left / (mass + ridge) + right * right / (rest + ridge) - whole
                      : 0.0;
    }
}

/* For every node: the place of the greatest gain among width * bins, the first of several, and the gain itself. `sums`
 * is room for [nodes, width, bins, 2], all zero; `gains` for [bins]. */
void histogram_choose(const uint8_t *codes, int64_t columns, const int64_t *rows, int64_t count, const int64_t *chosen,
                      int64_t width, const int64_t *node, const double *pull, const double *curvature, int64_t bins,
                      int64_t nodes, double ridge, double least, double *sums, double *gains, int64_t *best,
                      double *gain) {
    add(codes, columns, rows, count, chosen, width, node, pull, curvature, bins, sums);
    for (int64_t n = 0; n < nodes; n++) {
        best[n] = 0;
        for (int64_t j = 0; j < width; j++) {
            weigh(sums + (n * width + j) * bins * 2, bins, ridge, least, gains);
            for (int64_t b = 0; b < bins; b++) {
                if ((j == 0 && b == 0) || gains[b] > gain[n]) {
                    best[n] = j * bins + b;
                    gain[n] = gains[b];
                }
            }
        }
    }
}

/* Moves each row of codes[n, columns] from its node to one of the two below: right if above the node's cut. */
void histogram_descend(const uint8_t *codes, int64_t columns, int64_t n, const int64_t *column, const int64_t *cut,
                       int64_t *node) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t here = node[i];
        node[i] = 2 * here + (codes[i * columns + column[here]] > cut[here]);
    }
}
