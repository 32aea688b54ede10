/* Passes over all voxels of a cube, z y x. A padded array has `pad` more on each side. */
#include <stdint.h>
#include <string.h>

typedef struct {
    int64_t z, y, x, pad;
} Shape;

enum { LABELS = 1 << 16, LANES = 4, PARITIES = 2 };

static int64_t padded_plane(const Shape *s) { return (s->y + 2 * s->pad) * (s->x + 2 * s->pad); }
static int64_t padded_line(const Shape *s) { return s->x + 2 * s->pad; }
static int64_t padded_start(const Shape *s, int64_t z, int64_t y) {
    return (z + s->pad) * padded_plane(s) + (y + s->pad) * padded_line(s) + s->pad;
}

/* How often each label occurs, counts[LANES, LABELS] to be added up: voxels side by side have counts of their own, since
 * one that is raised many times in a row waits for itself. */
void cube_count(const uint16_t *labels, int64_t voxels, uint32_t *counts) {
    int64_t i = 0;
    for (; i + LANES <= voxels; i += LANES)
        for (int lane = 0; lane < LANES; lane++) counts[lane * LABELS + labels[i + lane]]++;
    for (; i < voxels; i++) counts[labels[i]]++;
}

/* Gives voxels of no segment to one beside them; of several the first of -z -y -x +z +y +x is taken. */
static void close_line(const uint16_t *here, const uint16_t *const *beside, int64_t count, uint16_t *restrict closed) {
    const uint16_t *a = beside[0], *b = beside[1], *c = beside[2], *d = beside[3], *e = beside[4], *f = beside[5];
    for (int64_t i = 0; i < count; i++) {
        uint16_t found = f[i];
        found = e[i] ? e[i] : found;
        found = d[i] ? d[i] : found;
        found = c[i] ? c[i] : found;
        found = b[i] ? b[i] : found;
        found = a[i] ? a[i] : found;
        closed[i] = here[i] ? here[i] : found;
    }
}

/* Lists where a line of `gap` is more than 127, which is eight bytes at a time; returns how many these are. */
static int64_t list_left(const uint8_t *gap, int64_t start, int64_t count, uint32_t *left) {
    int64_t found = 0;
    for (int64_t x = 0; x < count; x += 8) {
        uint64_t eight = 0;
        memcpy(&eight, gap + start + x, count - x < 8 ? count - x : 8);
        for (eight &= 0x8080808080808080u; eight; eight &= eight - 1)
            left[found++] = (uint32_t)(start + x + __builtin_ctzll(eight) / 8);
    }
    return found;
}

/* Puts rows of the segment table, table[label], into a padded array of zeros, and closes gaps by a first step. `gap`, of
 * zeros as well, becomes 1 there and `unassigned`, more than 127, where gaps are wider: `left` lists these places. Returns
 * how many they are. `scratch` holds four lines of zeros. */
int64_t cube_pad(const uint16_t *labels, const Shape *s, const uint16_t *table, uint8_t unassigned, uint16_t *rows, uint8_t *gap, uint32_t *left, uint16_t *scratch) {
    const int64_t line = s->x, plane = s->y * s->x;
    uint16_t *nothing = scratch, *closed = scratch + line, *before = scratch + 2 * line, *after = scratch + 3 * line;
    int64_t count = 0;
    for (int64_t z = 0; z < s->z; z++)
        for (int64_t y = 0; y < s->y; y++) {
            const uint16_t *here = labels + z * plane + y * line;
            const int64_t start = padded_start(s, z, y);
            memcpy(before + 1, here, (line - 1) * sizeof(uint16_t));
            memcpy(after, here + 1, (line - 1) * sizeof(uint16_t));
            const uint16_t *beside[6] = {
                z ? here - plane : nothing, y ? here - line : nothing, before,
                z + 1 < s->z ? here + plane : nothing, y + 1 < s->y ? here + line : nothing, after,
            };
            close_line(here, beside, line, closed);
            for (int64_t x = 0; x < line; x++) gap[start + x] = (uint8_t)((here[x] == 0) * (1 + (closed[x] == 0) * (unassigned - 1)));
            for (int64_t x = 0; x < line; x++) rows[start + x] = table[closed[x]];
            count += list_left(gap, start, line, left + count);
        }
    return count;
}

/* Closes what `cube_pad` has left, step by step. */
void cube_close_gaps(uint16_t *labels, uint8_t *gap, const Shape *s, uint32_t *left, int64_t count, int64_t steps, uint16_t *nearest) {
    const int64_t z = padded_plane(s), y = padded_line(s);
    const int64_t beside[6] = {-z, -y, -1, z, y, 1};
    for (int64_t step = 2; step <= steps; step++) {
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
                left[kept++] = (uint32_t)at;
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

typedef struct {
    int64_t seen, total, squares;
} Moments;

/* How often each sum occurs in a segment: counts[2, bins] for even and odd x, to be added up as in `cube_count`. */
static void count_sums(const uint16_t *sums, const uint16_t *labels, int64_t count, int64_t bins, uint32_t *counts) {
    for (int64_t x = 0; x < count; x++) counts[(x & 1) * bins + sums[x]] += labels[x] > 0;
}

/* Adds up every second sum of a line, moments[LABELS, PARITIES]. */
static void add_moments(const uint16_t *sums, const uint16_t *labels, int64_t count, Moments *moments) {
    for (int64_t x = 0; x < count; x += 2) {
        Moments *to = &moments[labels[x] * PARITIES + x / 2 % PARITIES];
        const int64_t value = sums[x];
        to->seen++;
        to->total += value;
        to->squares += value * value;
    }
}

/* Sums over 3^3 voxels, uint16 padded; beyond its edge the image, and in the margin the sums, repeat what is at the edge.
 * What occurs in segments is counted and added up at once. `scratch` holds two planes. */
void cube_smooth(const uint8_t *image, const uint16_t *labels, const Shape *s, uint16_t *sums, uint16_t *scratch, int64_t bins, uint32_t *counts, Moments *moments) {
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
            count_sums(to, labels + z * plane + y * s->x, s->x, bins, counts);
            add_moments(to, labels + z * plane + y * s->x, s->x, moments);
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
static void measure(uint16_t *steps, int64_t z_count, int64_t y_count, int64_t x_count) {
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

static void mark_edge(const uint16_t *one, const uint16_t *other, int64_t count, uint16_t *restrict steps) {
    for (int64_t i = 0; i < count; i++) steps[i] = one[i] == other[i] ? steps[i] : 0;
}

/* How many steps each voxel is from the nearest that borders on another label, steps[z, y, x], and the most of each label.
 * Where nothing borders on anything, steps stay what they are: all alike, more than the cube is wide. */
void cube_depth(const uint16_t *labels, int64_t z_count, int64_t y_count, int64_t x_count, uint16_t *steps, uint16_t *most) {
    const int64_t plane = y_count * x_count, voxels = z_count * plane;
    for (int64_t i = 0; i < voxels; i += x_count) {
        const uint16_t *here = labels + i;
        const int64_t z = i / plane, y = i % plane / x_count;
        if (z) mark_edge(here, here - plane, x_count, steps + i);
        if (z + 1 < z_count) mark_edge(here, here + plane, x_count, steps + i);
        if (y) mark_edge(here, here - x_count, x_count, steps + i);
        if (y + 1 < y_count) mark_edge(here, here + x_count, x_count, steps + i);
        mark_edge(here, here + 1, x_count - 1, steps + i);
        mark_edge(here + 1, here, x_count - 1, steps + i + 1);
    }
    measure(steps, z_count, y_count, x_count);
    for (int64_t i = 0; i < voxels; i++)
        if (steps[i] > most[labels[i]]) most[labels[i]] = steps[i];
}

/* Marks which labels come within `margin` voxels of each side of the cube: sides[LABELS, 6]. */
void cube_sides(const uint16_t *labels, const Shape *s, int64_t margin, uint8_t *sides) {
    for (int64_t z = 0; z < s->z; z++)
        for (int64_t y = 0; y < s->y; y++) {
            const uint16_t *line = labels + (z * s->y + y) * s->x;
            const int at[4] = {z < margin, z >= s->z - margin, y < margin, y >= s->y - margin};
            for (int k = 0; k < 4; k++)
                if (at[k])
                    for (int64_t x = 0; x < s->x; x++) sides[line[x] * 6 + k] = 1;
            for (int64_t x = 0; x < margin && x < s->x; x++) {
                sides[line[x] * 6 + 4] = 1;
                sides[line[s->x - 1 - x] * 6 + 5] = 1;
            }
        }
}
