/* An object that grows in a graph: its candidates, their numbers, and what a forest says of these.
 *
 * Does what `ewval.core.forest.candidates` and `growth` do in numpy, sum by sum in the same order, so that the same bits
 * come out. Logarithms stay with numpy: no two libraries agree on their last bit. */
#include "forest.h"
#include "sums.h"

#include <string.h>

NUMPY_SUM(sum_floats, float)
NUMPY_SUM(sum_doubles, double)

enum { CLUSTERINGS = 3, SIDES = 6 };
/* Numbers whose logarithm is taken, each for all candidates. */
enum {
    TOTAL, LIKELY, LARGEST, TO_OBJECT, TO_MOST,
    CLUSTER_AREA,
    CLUSTER_TO_OBJECT = CLUSTER_AREA + CLUSTERINGS,
    LOGS = CLUSTER_TO_OBJECT + CLUSTERINGS
};
static const double TINY = 1e-3, LEAST = 1e-6, NO_NEIGHBOUR = -9.0;

typedef struct {
    /* The graph. Contacts stand twice: the second half repeats the first, seen from the other side. */
    int64_t segments, contacts;
    const int32_t *here, *there;     /* [2 contacts] */
    const int64_t *first;            /* [segments + 1] into `own` */
    const int32_t *own;              /* [2 contacts], of each segment, ascending */
    const double *area, *root, *odds, *chance; /* [2 contacts] */
    int64_t pooled_count;
    const float *pooled;             /* [contacts, pooled_count] */
    const double *voxels, *log_voxels, *touching, *likely; /* [segments] */
    const uint8_t *sides;            /* [segments, SIDES] */
    int64_t own_count, mean_column, spread_column;
    const float *numbers;            /* [segments, own_count] */
    const int32_t *cluster[CLUSTERINGS];                                     /* [segments] */
    const double *cluster_voxels[CLUSTERINGS], *cluster_log_voxels[CLUSTERINGS], *cluster_touching[CLUSTERINGS];
    /* The object; words hold a bit for each segment or contact. */
    uint64_t *inside, *candidate, *border, *beyond;
    double *cluster_inside[CLUSTERINGS];                                     /* [segments] */
    uint8_t *is_known, *is_stale;    /* [segments]: judged before; its contact with the object has changed */
    float *averaged;                 /* [segments, pooled_count] */
    double object_size, seed_voxels;
    int64_t object_count;
    int64_t *members;                /* [segments], scratch */
    double *products;                /* [segments], scratch */
    float *gathered;                 /* [most contacts of a segment, pooled_count], scratch */
    /* The candidates. */
    int64_t count;
    int64_t *rows;                   /* [segments] */
    int32_t *place;                  /* [segments] */
    double *sums[14];                /* [segments] each, see below */
    double *cluster_area[CLUSTERINGS], *cluster_odds[CLUSTERINGS];           /* [segments] */
    int32_t *order, *order_scratch;  /* [segments] */
    double means[2];
    double *logs;                    /* [LOGS, candidates], then those of the object's size, count and seed */
    double *scores;                  /* [segments] */
    /* What the forest said before. */
    Forest forest;
    int64_t columns;
    const int32_t *column_first;     /* [columns + 1] into the next two */
    const float *column_bound;       /* ascending within a column */
    const int32_t *column_tree;
    float *known;                    /* [segments, columns] */
    int32_t *passed;                 /* [segments, columns], bounds below each known number; -1 not yet counted */
    float *leaves;                   /* [segments, trees] */
    int64_t *asked_in;               /* [trees], the last visit in which a tree was to be asked again */
    int32_t *to_ask;                 /* [trees], scratch */
    int64_t *to_sum, *to_meet;       /* [segments], scratch */
    int64_t visit;
    float *row, *block;              /* [columns], [columns, ABREAST], scratch */
} Growth;

/* Rows of `sums`: over a candidate's contacts with the object (S) and with what is beyond it (R). */
enum {
    S_TOTAL, S_ODDS, S_LIKELY, S_BEST, S_WORST, S_ROOT, S_ROOT_ODDS, S_COUNT, S_MEAN,
    R_BEST, R_LARGEST, R_TOTAL, R_ODDS, R_COUNT,
    SUMS
};

static inline int has(const uint64_t *words, int64_t i) { return words[i >> 6] >> (i & 63) & 1; }
static inline void put(uint64_t *words, int64_t i) { words[i >> 6] |= (uint64_t)1 << (i & 63); }
static inline void drop(uint64_t *words, int64_t i) { words[i >> 6] &= ~((uint64_t)1 << (i & 63)); }
static inline int64_t word_count(int64_t bits) { return (bits + 63) >> 6; }

#define FOR_EACH_BIT(WORDS, BITS, I)                                              \
    for (int64_t word_ = 0; word_ < word_count(BITS); word_++)                    \
        for (uint64_t left_ = (WORDS)[word_]; left_; left_ &= left_ - 1)          \
            for (int64_t I = (word_ << 6) + __builtin_ctzll(left_), once_ = 1; once_; once_ = 0)

static int64_t mirrored(const Growth *g, int64_t contact) {
    return contact < g->contacts ? contact + g->contacts : contact - g->contacts;
}

static void add_candidate(Growth *g, int64_t segment) {
    if (has(g->candidate, segment)) return;
    put(g->candidate, segment);
    for (int64_t i = g->first[segment]; i < g->first[segment + 1]; i++)
        if (!has(g->inside, g->there[g->own[i]])) put(g->beyond, g->own[i]);
}

static void join(Growth *g, int64_t segment) {
    if (has(g->inside, segment)) return;
    put(g->inside, segment);
    drop(g->candidate, segment);
    g->object_count++;
    g->object_size += g->voxels[segment];
    for (int j = 0; j < CLUSTERINGS; j++) g->cluster_inside[j][g->cluster[j][segment]] += g->voxels[segment];
    for (int64_t i = g->first[segment]; i < g->first[segment + 1]; i++) {
        const int64_t contact = g->own[i], other = g->there[contact], back = mirrored(g, contact);
        drop(g->border, contact);
        drop(g->beyond, contact);
        drop(g->beyond, back);
        if (has(g->inside, other)) continue;
        put(g->border, back);
        g->is_stale[other] = 1;
        add_candidate(g, other);
    }
}

void growth_begin(Growth *g, const int64_t *seed, int64_t count) {
    const int64_t n = word_count(g->segments) * 8, m = word_count(2 * g->contacts) * 8;
    memset(g->inside, 0, n);
    memset(g->candidate, 0, n);
    memset(g->border, 0, m);
    memset(g->beyond, 0, m);
    for (int j = 0; j < CLUSTERINGS; j++) memset(g->cluster_inside[j], 0, g->segments * sizeof(double));
    memset(g->is_known, 0, g->segments);
    g->object_size = 0;
    g->object_count = 0;
    for (int64_t i = 0; i < count; i++) join(g, seed[i]);
    g->seed_voxels = g->object_size;
}

void growth_join(Growth *g, const int64_t *segments, int64_t count) {
    for (int64_t i = 0; i < count; i++) join(g, segments[i]);
}

static void list_candidates(Growth *g) {
    g->count = 0;
    FOR_EACH_BIT(g->candidate, g->segments, row) {
        const int64_t i = g->count++;
        g->rows[i] = row;
        g->place[row] = (int32_t)i;
        for (int s = 0; s < SUMS; s++) g->sums[s][i] = 0;
        g->sums[S_BEST][i] = -__builtin_inf();
        g->sums[S_WORST][i] = __builtin_inf();
        g->sums[R_BEST][i] = NO_NEIGHBOUR;
        for (int j = 0; j < CLUSTERINGS; j++) g->cluster_area[j][g->cluster[j][row]] = g->cluster_odds[j][g->cluster[j][row]] = 0;
    }
}

static void add_border(Growth *g) {
    FOR_EACH_BIT(g->border, 2 * g->contacts, contact) {
        const int64_t row = g->here[contact], i = g->place[row];
        const double area = g->area[contact], odds = g->odds[contact], root = g->root[contact], weighed = area * odds;
        g->sums[S_TOTAL][i] += area;
        g->sums[S_ODDS][i] += weighed;
        g->sums[S_LIKELY][i] += area * g->chance[contact];
        g->sums[S_ROOT][i] += root;
        g->sums[S_ROOT_ODDS][i] += root * odds;
        g->sums[S_COUNT][i] += 1;
        if (odds > g->sums[S_BEST][i]) g->sums[S_BEST][i] = odds;
        if (odds < g->sums[S_WORST][i]) g->sums[S_WORST][i] = odds;
        for (int j = 0; j < CLUSTERINGS; j++) {
            g->cluster_area[j][g->cluster[j][row]] += area;
            g->cluster_odds[j][g->cluster[j][row]] += weighed;
        }
    }
    for (int64_t i = 0; i < g->count; i++) g->sums[S_MEAN][i] = g->sums[S_ODDS][i] / g->sums[S_TOTAL][i];
}

static void add_beyond(Growth *g) {
    FOR_EACH_BIT(g->beyond, 2 * g->contacts, contact) {
        const int64_t i = g->place[g->here[contact]];
        const double area = g->area[contact], odds = g->odds[contact], likely = area * g->chance[contact];
        g->sums[R_TOTAL][i] += area;
        g->sums[R_ODDS][i] += area * odds;
        g->sums[R_COUNT][i] += 1;
        if (odds > g->sums[R_BEST][i]) g->sums[R_BEST][i] = odds;
        if (likely > g->sums[R_LARGEST][i]) g->sums[R_LARGEST][i] = likely;
    }
}

/* Evidence of single contacts, averaged by area over a candidate's contacts with the object. */
static void average(Growth *g, int64_t i) {
    const int64_t row = g->rows[i], width = g->pooled_count;
    float *averaged = g->averaged + row * width;
    int64_t count = 0;
    for (int64_t k = g->first[row]; k < g->first[row + 1]; k++) {
        const int64_t contact = g->own[k];
        if (!has(g->inside, g->there[contact])) continue;
        const float share = (float)(g->area[contact] / g->sums[S_TOTAL][i]);
        const float *from = g->pooled + (contact % g->contacts) * width;
        float *to = g->gathered + count++ * width;
        for (int64_t c = 0; c < width; c++) to[c] = from[c] * share;
    }
    for (int64_t c = 0; c < width; c++) {
        averaged[c] = g->gathered[c];
        if (count > 1) averaged[c] += sum_floats(g->gathered + width + c, count - 1, width);
    }
}

/* Mean brightness and spread of the object, by volume. */
static void look_at_object(Growth *g) {
    const int64_t columns[2] = {g->mean_column, g->spread_column};
    int64_t count = 0;
    FOR_EACH_BIT(g->inside, g->segments, row) g->members[count++] = row;
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < count; i++) {
            const int64_t row = g->members[i];
            g->products[i] = (double)g->numbers[row * g->own_count + columns[k]] * (g->voxels[row] / g->object_size);
        }
        g->means[k] = sum_doubles(g->products, count, 1);
    }
}

/* Places by falling mean, equal ones in their order: a merge sort from below. */
static void sort_by_mean(Growth *g) {
    const double *mean = g->sums[S_MEAN];
    int32_t *from = g->order, *to = g->order_scratch;
    const int64_t count = g->count;
    for (int64_t i = 0; i < count; i++) from[i] = (int32_t)i;
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t start = 0; start < count; start += 2 * width) {
            const int64_t middle = start + width < count ? start + width : count;
            const int64_t end = start + 2 * width < count ? start + 2 * width : count;
            int64_t a = start, b = middle;
            for (int64_t i = start; i < end; i++)
                to[i] = a < middle && (b >= end || mean[from[a]] >= mean[from[b]]) ? from[a++] : from[b++];
        }
        int32_t *swapped = from;
        from = to;
        to = swapped;
    }
    g->order = from;
    g->order_scratch = to;
}

/* Finds the candidates and sums up their contacts; leaves in `logs` what numpy is to take the logarithm of. */
int64_t growth_describe(Growth *g) {
    list_candidates(g);
    const int64_t count = g->count;
    if (!count) return 0;
    add_border(g);
    add_beyond(g);
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = g->rows[i];
        if (g->is_stale[row] || !g->is_known[row]) average(g, i);
        g->is_stale[row] = 0;
        if (g->sums[S_TOTAL][i] > most) most = g->sums[S_TOTAL][i];
    }
    look_at_object(g);
    sort_by_mean(g);
    double *logs = g->logs;
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = g->rows[i];
        logs[TOTAL * count + i] = g->sums[S_TOTAL][i];
        logs[LIKELY * count + i] = g->sums[S_LIKELY][i] + TINY;
        logs[LARGEST * count + i] = g->sums[R_LARGEST][i] + TINY;
        logs[TO_OBJECT * count + i] = g->voxels[row] / g->object_size;
        logs[TO_MOST * count + i] = g->sums[S_TOTAL][i] / most;
        for (int j = 0; j < CLUSTERINGS; j++) {
            const int64_t cluster = g->cluster[j][row];
            logs[(CLUSTER_AREA + j) * count + i] = g->cluster_area[j][cluster];
            logs[(CLUSTER_TO_OBJECT + j) * count + i] = g->cluster_voxels[j][cluster] / g->object_size;
        }
    }
    logs[LOGS * count] = g->object_size;
    logs[LOGS * count + 1] = (double)g->object_count;
    logs[LOGS * count + 2] = g->seed_voxels;
    return count;
}

static double larger(double a, double b) { return a > b ? a : b; }

static float *write_strength(const Growth *g, int64_t i, float *to) {
    const int64_t row = g->rows[i], count = g->count;
    const double total = g->sums[S_TOTAL][i], likely = g->sums[S_LIKELY][i], log_total = g->logs[TOTAL * count + i];
    *to++ = (float)log_total;
    *to++ = (float)g->sums[S_MEAN][i];
    *to++ = (float)g->sums[S_BEST][i];
    *to++ = (float)g->sums[S_WORST][i];
    *to++ = (float)(g->sums[S_ROOT_ODDS][i] / g->sums[S_ROOT][i]);
    *to++ = (float)g->sums[S_COUNT][i];
    *to++ = (float)(total / g->touching[row]);
    *to++ = (float)(likely / larger(g->likely[row], LEAST));
    *to++ = (float)g->logs[LIKELY * count + i];
    *to++ = (float)(log_total - 2.0 / 3.0 * g->log_voxels[row]);
    return to;
}

static float *write_rivals(const Growth *g, int64_t i, float *to) {
    const double best = g->sums[R_BEST][i];
    *to++ = (float)best;
    *to++ = (float)(g->sums[R_ODDS][i] / larger(g->sums[R_TOTAL][i], 1));
    *to++ = (float)(g->sums[S_BEST][i] - best);
    *to++ = (float)(g->logs[LARGEST * g->count + i] - g->logs[LIKELY * g->count + i]);
    *to++ = (float)g->sums[R_COUNT][i];
    return to;
}

static float *write_kind(const Growth *g, const uint8_t *reached, int64_t i, float *to) {
    const int64_t row = g->rows[i], count = g->count;
    const double *of_object = g->logs + LOGS * count;
    const float *own = g->numbers + row * g->own_count;
    *to++ = (float)g->log_voxels[row];
    *to++ = (float)of_object[0];
    *to++ = (float)g->logs[TO_OBJECT * count + i];
    *to++ = (float)of_object[1];
    *to++ = (float)of_object[2];
    int all = 0, mine = 0, fresh = 0;
    for (int side = 0; side < SIDES; side++) {
        const int at = g->sides[row * SIDES + side] != 0;
        all += reached[side];
        mine += at;
        fresh += at && !reached[side];
    }
    *to++ = (float)all;
    *to++ = (float)mine;
    *to++ = (float)fresh;
    for (int64_t c = 0; c < g->own_count; c++) *to++ = own[c];
    *to++ = (float)((double)own[g->mean_column] - g->means[0]);
    *to++ = (float)((double)own[g->spread_column] - g->means[1]);
    *to++ = (float)g->means[0];
    *to++ = (float)g->means[1];
    return to;
}

static float *write_clusters(const Growth *g, int64_t i, float *to) {
    const int64_t count = g->count;
    for (int j = 0; j < CLUSTERINGS; j++) {
        const int64_t cluster = g->cluster[j][g->rows[i]];
        const double size = g->cluster_voxels[j][cluster], shared = g->cluster_inside[j][cluster];
        const double area = g->cluster_area[j][cluster];
        *to++ = (float)g->cluster_log_voxels[j][cluster];
        *to++ = (float)g->logs[(CLUSTER_AREA + j) * count + i];
        *to++ = (float)(g->cluster_odds[j][cluster] / larger(area, LEAST));
        *to++ = (float)(shared / size);
        *to++ = (float)(area / larger(g->cluster_touching[j][cluster], 1));
        *to++ = (float)g->logs[(CLUSTER_TO_OBJECT + j) * count + i];
        *to++ = (float)(shared / g->object_size);
    }
    return to;
}

static void see_sides(const Growth *g, uint8_t *reached) {
    memset(reached, 0, SIDES);
    FOR_EACH_BIT(g->inside, g->segments, row)
        for (int side = 0; side < SIDES; side++) reached[side] |= g->sides[row * SIDES + side] != 0;
}

/* Writes the numbers of candidate `i` to `to`; its place among the others by mean log-odds is `rank`. */
static void write_row(const Growth *g, const uint8_t *reached, int64_t i, int64_t rank, float *to) {
    to = write_strength(g, i, to);
    to = write_rivals(g, i, to);
    to = write_kind(g, reached, i, to);
    memcpy(to, g->averaged + g->rows[i] * g->pooled_count, g->pooled_count * sizeof(float));
    to += g->pooled_count;
    *to++ = (float)rank;
    *to++ = (float)(g->sums[S_MEAN][i] - g->sums[S_MEAN][g->order[0]]);
    *to++ = (float)g->logs[TO_MOST * g->count + i];
    write_clusters(g, i, to);
}

/* Writes the numbers of all candidates, float32[count, columns], once `logs` holds logarithms. */
void growth_write(Growth *g, float *numbers) {
    uint8_t reached[SIDES];
    see_sides(g, reached);
    for (int64_t rank = 0; rank < g->count; rank++)
        write_row(g, reached, g->order[rank], rank, numbers + g->order[rank] * g->columns);
}

/* Judges the candidates `to_meet[count]` that were not judged before, whose numbers stand in `known`. */
static void meet(Growth *g, int64_t count) {
    const int64_t trees = g->forest.trees;
    for (int64_t start = 0; start < count; start += ABREAST) {
        const int64_t here = count - start < ABREAST ? count - start : ABREAST, *rows = g->to_meet + start;
        double totals[ABREAST] = {0};
        for (int64_t i = 0; i < here; i++)
            for (int64_t c = 0; c < g->columns; c++) g->block[c * ABREAST + i] = g->known[rows[i] * g->columns + c];
        for (int64_t tree = 0; tree < trees; tree++) {
            float found[ABREAST];
            pass_tree(&g->forest, tree, g->block, here, found);
            for (int64_t i = 0; i < here; i++) {
                g->leaves[rows[i] * trees + tree] = found[i];
                totals[i] += found[i];
            }
        }
        for (int64_t i = 0; i < here; i++) g->scores[rows[i]] = g->forest.start + totals[i];
    }
}

/* How many of a column's bounds a value passes. */
static int32_t count_passed(const Growth *g, int64_t column, float value) {
    int32_t low = g->column_first[column], high = g->column_first[column + 1];
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (value > g->column_bound[middle]) low = middle + 1;
        else high = middle;
    }
    return low;
}

static int64_t note_tree(Growth *g, int32_t tree, int64_t count) {
    if (g->asked_in[tree] == g->visit) return count;
    g->asked_in[tree] = g->visit;
    g->to_ask[count] = tree;
    return count + 1;
}

/* Lists the trees of which a decision turns out otherwise than before; the rest would say the same. */
static int64_t list_changed(Growth *g, int64_t row) {
    float *known = g->known + row * g->columns;
    int32_t *passed = g->passed + row * g->columns;
    int64_t count = 0;
    g->visit++;
    for (int64_t c = 0; c < g->columns; c++) {
        const float value = g->row[c];
        if (value == known[c]) continue;
        const int32_t first = g->column_first[c], end = g->column_first[c + 1];
        int32_t at = passed[c] < 0 ? count_passed(g, c, known[c]) : passed[c];
        for (; at < end && value > g->column_bound[at]; at++) count = note_tree(g, g->column_tree[at], count);
        for (; at > first && !(value > g->column_bound[at - 1]); at--) count = note_tree(g, g->column_tree[at - 1], count);
        passed[c] = at;
        known[c] = value;
    }
    return count;
}

enum { SUMMED_ABREAST = 8 };

static void sum_leaves(Growth *g, int64_t count) {
    const int64_t trees = g->forest.trees;
    for (int64_t start = 0; start < count; start += SUMMED_ABREAST) {
        const float *leaves[SUMMED_ABREAST];
        double totals[SUMMED_ABREAST] = {0};
        const int64_t here = count - start < SUMMED_ABREAST ? count - start : SUMMED_ABREAST;
        for (int64_t k = 0; k < SUMMED_ABREAST; k++) leaves[k] = g->leaves + g->to_sum[start + (k < here ? k : 0)] * trees;
        for (int64_t tree = 0; tree < trees; tree++)
            for (int k = 0; k < SUMMED_ABREAST; k++) totals[k] += leaves[k][tree];
        for (int64_t k = 0; k < here; k++) g->scores[g->to_sum[start + k]] = g->forest.start + totals[k];
    }
}

/* Judges all candidates once `logs` holds logarithms: odds[count]. Only trees that may answer otherwise are asked. */
void growth_judge(Growth *g, double *odds) {
    uint8_t reached[SIDES];
    int64_t to_sum = 0, to_meet = 0;
    see_sides(g, reached);
    for (int64_t rank = 0; rank < g->count; rank++) {
        const int64_t i = g->order[rank], row = g->rows[i];
        float *known = g->known + row * g->columns, *leaves = g->leaves + row * g->forest.trees;
        if (!g->is_known[row]) {
            write_row(g, reached, i, rank, known);
            memset(g->passed + row * g->columns, 0xff, g->columns * sizeof(int32_t));
            g->is_known[row] = 1;
            g->to_meet[to_meet++] = row;
            continue;
        }
        write_row(g, reached, i, rank, g->row);
        const int64_t changed = list_changed(g, row);
        for (int64_t k = 0; k < changed; k++) leaves[g->to_ask[k]] = ask_tree(&g->forest, g->to_ask[k], known);
        if (changed) g->to_sum[to_sum++] = row;
    }
    meet(g, to_meet);
    sum_leaves(g, to_sum);
    for (int64_t i = 0; i < g->count; i++) odds[i] = g->scores[g->rows[i]];
}
