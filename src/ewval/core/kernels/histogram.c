/* Sums by node, column and bin, from which a tree chooses its decisions; and the way of rows down one level. */
#include <stdint.h>

/* For each of `count` rows (places in `codes`[n, columns], `node`[n], `pull`[n], `curvature`[n]) and each of `width`
 * chosen columns, adds to sums[2][nodes, width, bins] in the order of the rows, as numpy.bincount does. */
void histogram_add(const uint8_t *codes, int64_t columns, const int64_t *rows, int64_t count, const int64_t *chosen,
                   int64_t width, const int64_t *node, const double *pull, const double *curvature, int64_t bins,
                   int64_t size, double *sums) {
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *code = codes + rows[i] * columns;
        double *at = sums + node[rows[i]] * width * bins;
        const double p = pull[rows[i]], c = curvature[rows[i]];
        for (int64_t j = 0; j < width; j++, at += bins) {
            const uint8_t bin = code[chosen[j]];
            at[bin] += p;
            at[size + bin] += c;
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
