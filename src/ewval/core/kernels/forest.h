/* Boosted trees of one depth, as `ewval.core.forest.boosting.Forest` lays them out, and laid out to be asked. */
#ifndef EWVAL_FOREST_H
#define EWVAL_FOREST_H

#include <stdint.h>

enum { ABREAST = 32 }; /* rows that pass a tree side by side: each waits for memory while the others go on */

typedef struct {
    int32_t column; /* times ABREAST: where the column begins in a transposed block of rows */
    float bound;    /* right if the value is greater */
} Decision;

typedef struct {
    int64_t trees, depth;
    const int16_t *column; /* [trees, 2^depth - 1] */
    const float *bound;    /* the same */
    const float *leaf;     /* [trees, 2^depth] */
    double start;
    Decision *decisions;   /* [trees, 2^depth], from 1: those below decision i are 2 i and 2 i + 1 */
} Forest;

/* The leaves of one tree that `count` rows of a transposed block, float[columns, ABREAST], come to. */
static inline void pass_tree(const Forest *forest, int64_t tree, const float *values, int64_t count, float *found) {
    const int64_t leaves = (int64_t)1 << forest->depth;
    const Decision *asked = forest->decisions + tree * leaves;
    const float *leaf = forest->leaf + tree * leaves;
    uint32_t node[ABREAST];
    for (int64_t i = 0; i < count; i++) node[i] = 1;
    for (int64_t level = 0; level < forest->depth; level++)
        for (int64_t i = 0; i < count; i++) {
            const Decision at = asked[node[i]];
            node[i] = 2 * node[i] + (values[at.column + i] > at.bound);
        }
    for (int64_t i = 0; i < count; i++) found[i] = leaf[node[i] - leaves];
}

/* The leaf of one tree that one row, float[columns], comes to. */
static inline float ask_tree(const Forest *forest, int64_t tree, const float *row) {
    const int64_t leaves = (int64_t)1 << forest->depth;
    const Decision *asked = forest->decisions + tree * leaves;
    int64_t node = 1;
    for (int64_t level = 0; level < forest->depth; level++)
        node = 2 * node + (row[asked[node].column / ABREAST] > asked[node].bound);
    return forest->leaf[tree * leaves + node - leaves];
}

#endif
