/* Passes over all voxels of a cube, z y x. A padded array has `pad` more on each side. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t z, y, x, pad;
} Shape;

static int64_t padded_plane(const Shape *s) { return (s->y + 2 * s->pad) * (s->x + 2 * s->pad); }
static int64_t padded_line(const Shape *s) { return s->x + 2 * s->pad; }
static int64_t padded_start(const Shape *s, int64_t z, int64_t y) {
    return (z + s->pad) * padded_plane(s) + (y + s->pad) * padded_line(s) + s->pad;
}

/* How often each label occurs, counts[65536]: runs of one label are counted at once. */
void cube_count(const uint16_t *labels, int64_t voxels, int64_t *counts) {
    for (int64_t i = 0; i < voxels;) {
        const uint16_t label = labels[i];
        const int64_t start = i++;
        while (i < voxels && labels[i] == label) i++;
        counts[label] += i - start;
    }
}

/* Puts table[label] in place of each label; runs of one label are looked up once. */
void cube_relabel(const uint16_t *labels, int64_t voxels, const uint16_t *table, uint16_t *rows) {
    for (int64_t i = 0; i < voxels;) {
        const uint16_t label = labels[i], row = table[label];
        while (i < voxels && labels[i] == label) rows[i++] = row;
    }
}

/* Copies rows of the segment table into a padded array of zeros, and 0 or `unassigned` into `gap`; lists in `left`, if
 * given, where the latter is. Returns how many these are. */
int64_t cube_pad(const uint16_t *rows, const Shape *s, uint8_t unassigned, uint16_t *labels, uint8_t *gap, int64_t *left) {
    int64_t count = 0;
    for (int64_t z = 0; z < s->z; z++)
        for (int64_t y = 0; y < s->y; y++) {
            const uint16_t *from = rows + (z * s->y + y) * s->x;
            const int64_t start = padded_start(s, z, y);
            memcpy(labels + start, from, s->x * sizeof(uint16_t));
            for (int64_t x = 0; x < s->x; x++) gap[start + x] = from[x] ? 0 : unassigned;
            for (int64_t x = 0; x < s->x; x++) {
                left[count] = start + x;
                count += !from[x];
            }
        }
    return count;
}

/* Gives voxels of no segment to one beside them, step by step. Of several the first of -z -y -x +z +y +x is taken. */
void cube_close_gaps(uint16_t *labels, uint8_t *gap, const Shape *s, int64_t *left, int64_t count, int64_t steps, uint16_t *nearest) {
    const int64_t z = padded_plane(s), y = padded_line(s);
    const int64_t beside[6] = {-z, -y, -1, z, y, 1};
    for (int64_t step = 1; step <= steps; step++) {
        int64_t kept = 0;
        for (int64_t i = 0; i < count; i++) {
            uint16_t found = 0;
            for (int k = 0; k < 6 && !found; k++) found = labels[left[i] + beside[k]];
            nearest[i] = found;
        }
        for (int64_t i = 0; i < count; i++) {
            const int64_t at = left[i];
            if (nearest[i]) {
                labels[at] = nearest[i];
                gap[at] = (uint8_t)step;
            } else {
                left[kept++] = at;
            }
        }
        count = kept;
    }
}

static void sum_three(const uint16_t *a, const uint16_t *b, const uint16_t *c, int64_t count, uint16_t *to) {
    for (int64_t i = 0; i < count; i++) to[i] = a[i] + b[i] + c[i];
}

static int64_t clamp(int64_t i, int64_t count) { return i < 0 ? 0 : i < count ? i : count - 1; }

static void fill_sides(uint16_t *line, int64_t x, int64_t pad) {
    for (int64_t i = 1; i <= pad; i++) {
        line[-i] = line[0];
        line[x - 1 + i] = line[x - 1];
    }
}

/* Sums over 3^3 voxels, uint16 padded; beyond its edge the image, and in the margin the sums, repeat what is at the edge.
 * `scratch` holds two planes. */
void cube_smooth(const uint8_t *image, const Shape *s, uint16_t *sums, uint16_t *scratch) {
    const int64_t plane = s->y * s->x, line = padded_line(s), wide = padded_plane(s);
    uint16_t *columns = scratch, *rows = scratch + plane;
    for (int64_t z = 0; z < s->z; z++) {
        const uint8_t *a = image + clamp(z - 1, s->z) * plane, *b = image + z * plane, *c = image + clamp(z + 1, s->z) * plane;
        for (int64_t i = 0; i < plane; i++) columns[i] = (uint16_t)(a[i] + b[i] + c[i]);
        for (int64_t y = 0; y < s->y; y++)
            sum_three(columns + clamp(y - 1, s->y) * s->x, columns + y * s->x, columns + clamp(y + 1, s->y) * s->x, s->x, rows + y * s->x);
        for (int64_t y = 0; y < s->y; y++) {
            const uint16_t *from = rows + y * s->x;
            uint16_t *to = sums + padded_start(s, z, y);
            if (s->x == 1) to[0] = 3 * from[0];
            else {
                to[0] = 2 * from[0] + from[1];
                sum_three(from, from + 1, from + 2, s->x - 2, to + 1);
                to[s->x - 1] = from[s->x - 2] + 2 * from[s->x - 1];
            }
            fill_sides(to, s->x, s->pad);
        }
        uint16_t *first = sums + padded_start(s, z, 0) - s->pad, *last = first + (s->y - 1) * line;
        for (int64_t i = 1; i <= s->pad; i++) {
            memcpy(first - i * line, first, line * sizeof(uint16_t));
            memcpy(last + i * line, last, line * sizeof(uint16_t));
        }
    }
    uint16_t *first = sums + s->pad * wide, *last = first + (s->z - 1) * wide;
    for (int64_t i = 1; i <= s->pad; i++) {
        memcpy(first - i * wide, first, wide * sizeof(uint16_t));
        memcpy(last + i * wide, last, wide * sizeof(uint16_t));
    }
}

/* How often each sum occurs where `is_inside`, bool[z, y, x]. */
void cube_histogram(const uint16_t *sums, const uint16_t *rows, const Shape *s, int64_t *counts) {
    for (int64_t z = 0; z < s->z; z++)
        for (int64_t y = 0; y < s->y; y++) {
            const uint16_t *line = sums + padded_start(s, z, y), *row = rows + (z * s->y + y) * s->x;
            for (int64_t x = 0; x < s->x; x++)
                if (row[x]) counts[line[x]]++;
        }
}

/* Count, sum and sum of squares of `sums` less `middle` over every second voxel of each segment along x: [segments + 1] each. */
void cube_moments(const uint16_t *sums, const uint16_t *rows, const Shape *s, int64_t middle, int64_t *seen, int64_t *total, int64_t *squares) {
    for (int64_t z = 0; z < s->z; z++)
        for (int64_t y = 0; y < s->y; y++) {
            const uint16_t *line = sums + padded_start(s, z, y), *row = rows + (z * s->y + y) * s->x;
            for (int64_t x = 0; x < s->x;) {
                const uint16_t label = row[x];
                int64_t n = 0, sum = 0, square = 0;
                for (; x < s->x && row[x] == label; x += 2) {
                    const int64_t value = line[x] - middle;
                    n++;
                    sum += value;
                    square += value * value;
                }
                seen[label] += n;
                total[label] += sum;
                squares[label] += square;
            }
        }
}

static void lower(uint16_t *restrict values, const uint16_t *restrict others, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const uint16_t other = others[i] + 1;
        values[i] = other < values[i] ? other : values[i];
    }
}

/* Takes for each voxel of a line the least of what its three neighbours on another line allow, one step on. */
static void lower_by_line(uint16_t *values, const uint16_t *others, int64_t count) {
    lower(values, others, count);
    lower(values + 1, others, count - 1);
    lower(values, others + 1, count - 1);
}

/* Chessboard distance to the nearest voxel that is 0, in place; others begin at something less than 65535. Two passes, each
 * over the half of the neighbours that comes before in its order. */
void cube_distance(uint16_t *steps, int64_t z_count, int64_t y_count, int64_t x_count) {
    const int64_t plane = y_count * x_count;
    for (int64_t z = 0; z < z_count; z++)
        for (int64_t y = 0; y < y_count; y++) {
            uint16_t *line = steps + z * plane + y * x_count;
            for (int64_t k = -1; z && k <= 1; k++)
                if (y + k >= 0 && y + k < y_count) lower_by_line(line, line - plane + k * x_count, x_count);
            if (y) lower_by_line(line, line - x_count, x_count);
            for (int64_t x = 1; x < x_count; x++)
                if (line[x - 1] + 1 < line[x]) line[x] = line[x - 1] + 1;
        }
    for (int64_t z = z_count - 1; z >= 0; z--)
        for (int64_t y = y_count - 1; y >= 0; y--) {
            uint16_t *line = steps + z * plane + y * x_count;
            for (int64_t k = -1; z + 1 < z_count && k <= 1; k++)
                if (y + k >= 0 && y + k < y_count) lower_by_line(line, line + plane + k * x_count, x_count);
            if (y + 1 < y_count) lower_by_line(line, line + x_count, x_count);
            for (int64_t x = x_count - 2; x >= 0; x--)
                if (line[x + 1] + 1 < line[x]) line[x] = line[x + 1] + 1;
        }
}

/* Marks which segments come within `margin` voxels of each side of the cube: sides[segments + 1, 6]. */
void cube_sides(const uint16_t *rows, const Shape *s, int64_t margin, uint8_t *sides) {
    for (int64_t z = 0; z < s->z; z++)
        for (int64_t y = 0; y < s->y; y++) {
            const uint16_t *row = rows + (z * s->y + y) * s->x;
            const int at[4] = {z < margin, z >= s->z - margin, y < margin, y >= s->y - margin};
            for (int k = 0; k < 4; k++)
                if (at[k])
                    for (int64_t x = 0; x < s->x; x++) sides[row[x] * 6 + k] = 1;
            for (int64_t x = 0; x < margin && x < s->x; x++) {
                sides[row[x] * 6 + 4] = 1;
                sides[row[s->x - 1 - x] * 6 + 5] = 1;
            }
        }
}
