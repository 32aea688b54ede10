/* Log-odds of many rows. */
#include "forest.h"

#include <stdlib.h>

/* Fills in `decisions`. */
void forest_lay_out(Forest *forest) {
    const int64_t leaves = (int64_t)1 << forest->depth;
    for (int64_t tree = 0; tree < forest->trees; tree++) {
        forest->decisions[tree * leaves] = (Decision){0, 0};
        for (int64_t i = 1; i < leaves; i++) {
            const int64_t from = tree * (leaves - 1) + i - 1;
            forest->decisions[tree * leaves + i] = (Decision){forest->column[from] * ABREAST, forest->bound[from]};
        }
    }
}

/* Whole blocks have their size known while compiling, which is faster. */
static void judge_block(const Forest *forest, const float *values, int64_t count, double *totals) {
    float found[ABREAST];
    for (int64_t tree = 0; tree < forest->trees; tree++) {
        if (count == ABREAST) pass_tree(forest, tree, values, ABREAST, found);
        else pass_tree(forest, tree, values, count, found);
        for (int64_t i = 0; i < count; i++) totals[i] += found[i];
    }
}

/* odds[count] from rows[count, columns]. Returns 0, or 1 where memory is short. */
int forest_judge(const Forest *forest, const float *rows, int64_t count, int64_t columns, double *odds) {
    float *values = malloc(sizeof(float) * columns * ABREAST);
    if (!values) return 1;
    for (int64_t first = 0; first < count; first += ABREAST) {
        const int64_t here = count - first < ABREAST ? count - first : ABREAST;
        double totals[ABREAST] = {0};
        for (int64_t i = 0; i < here; i++)
            for (int64_t c = 0; c < columns; c++) values[c * ABREAST + i] = rows[(first + i) * columns + c];
        judge_block(forest, values, here, totals);
        for (int64_t i = 0; i < here; i++) odds[first + i] = forest->start + totals[i];
    }
    free(values);
    return 0;
}
