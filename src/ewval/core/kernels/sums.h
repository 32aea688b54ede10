/* Sums in the order that numpy adds in, so that both give the same bits: eight running sums for up to 128 terms, the
 * halves apart beyond. Terms lie `stride` elements apart. */
#ifndef EWVAL_SUMS_H
#define EWVAL_SUMS_H

#include <stdint.h>

#define NUMPY_SUM(NAME, TYPE)                                                                  \
    static TYPE NAME(const TYPE *values, int64_t count, int64_t stride) {                      \
        if (count < 8) {                                                                       \
            TYPE total = (TYPE)-0.0;                                                           \
            for (int64_t i = 0; i < count; i++) total += values[i * stride];                   \
            return total;                                                                      \
        }                                                                                      \
        if (count <= 128) {                                                                    \
            TYPE sums[8];                                                                      \
            int64_t i = 8;                                                                     \
            for (int j = 0; j < 8; j++) sums[j] = values[j * stride];                          \
            for (; i < count - count % 8; i += 8)                                              \
                for (int j = 0; j < 8; j++) sums[j] += values[(i + j) * stride];               \
            TYPE total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) +                         \
                         ((sums[4] + sums[5]) + (sums[6] + sums[7]));                          \
            for (; i < count; i++) total += values[i * stride];                                \
            return total;                                                                      \
        }                                                                                      \
        int64_t half = count / 2;                                                              \
        half -= half % 8;                                                                      \
        return NAME(values, half, stride) + NAME(values + half * stride, count - half, stride); \
    }

#endif
