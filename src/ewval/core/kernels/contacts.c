/* The faces between segments: one scan finds them, counts those of each pair and keeps a sample. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t place;
    int32_t slot; /* of the pair, in the order of first meeting; negative where the greater label comes first */
} Face;

typedef struct {
    Face *faces;
    int64_t count, room;
} Faces;

typedef struct {
    uint32_t key; /* smaller label in the upper half */
    int32_t number;
    int64_t area;
    uint64_t part; /* 2^64 / k, rounded up, where every k-th face is kept; 0 where all are */
} Pair;

typedef struct {
    uint32_t key;
    int32_t slot; /* in `pairs` */
} Entry;

typedef struct {
    Faces along[3];
    Pair *pairs;
    int64_t pair_count;
    Entry *table; /* by a hash of the key, at most half full; key 0 where empty */
    int64_t table_bits;
    int64_t strides[3];
} Contacts;

/* Returns where `key` stands in the table, or else belongs. */
static Entry *entry_of(const Contacts *c, uint32_t key) {
    uint32_t at = (key * 2654435761u) >> (32 - c->table_bits);
    while (c->table[at].key != key && c->table[at].key) at = (at + 1) & (((uint32_t)1 << c->table_bits) - 1);
    return &c->table[at];
}

static int grow_table(Contacts *c) {
    const int64_t size = (int64_t)2 << c->table_bits;
    Entry *table = calloc(size, sizeof(Entry));
    Pair *pairs = realloc(c->pairs, sizeof(Pair) * size / 2);
    if (pairs) c->pairs = pairs;
    if (!table || !pairs) {
        free(table);
        return 0;
    }
    free(c->table);
    c->table = table;
    c->table_bits++;
    for (int64_t i = 0; i < c->pair_count; i++) *entry_of(c, pairs[i].key) = (Entry){pairs[i].key, (int32_t)i};
    return 1;
}

/* Returns the place of a pair in `pairs`, there from now on; -1 where memory is short. */
static int32_t add_pair(Contacts *c, uint32_t key) {
    if (c->pair_count == (int64_t)1 << (c->table_bits - 1) && !grow_table(c)) return -1;
    c->pairs[c->pair_count] = (Pair){key, 0, 0, 0};
    *entry_of(c, key) = (Entry){key, (int32_t)c->pair_count};
    return (int32_t)c->pair_count++;
}

static int make_room(Faces *f, int64_t more) {
    if (f->count + more <= f->room) return 1;
    const int64_t room = 2 * f->room + more;
    Face *faces = realloc(f->faces, sizeof(Face) * room);
    if (!faces) return 0;
    f->faces = faces;
    f->room = room;
    return 1;
}

/* Marks a line's voxels, a bit an axis, whose neighbour one step on is in another segment. */
static void mark(const uint16_t *here, const int64_t *strides, int64_t count, uint8_t *marks) {
    const uint16_t *z = here + strides[0], *y = here + strides[1], *x = here + strides[2];
    for (int64_t i = 0; i < count; i++) {
        const int in_z = (z[i] != here[i]) & (z[i] > 0), in_y = (y[i] != here[i]) & (y[i] > 0), in_x = (x[i] != here[i]) & (x[i] > 0);
        marks[i] = (uint8_t)((in_z | in_y << 1 | in_x << 2) * (here[i] > 0));
    }
}

/* Returns 0 where memory is short. */
static int add_line(Contacts *c, const uint16_t *labels, int64_t start, const uint8_t *marks, int64_t count) {
    for (int axis = 0; axis < 3; axis++)
        if (!make_room(&c->along[axis], count)) return 0;
    for (int64_t x = 0; x < count; x += 8) {
        uint64_t eight;
        memcpy(&eight, marks + x, sizeof eight);
        for (; eight; eight &= eight - 1) {
            const int bit = __builtin_ctzll(eight), axis = bit % 8;
            const int64_t at = start + x + bit / 8;
            const uint32_t here = labels[at], there = labels[at + c->strides[axis]];
            const uint32_t key = here < there ? here << 16 | there : there << 16 | here;
            const Entry *known = entry_of(c, key);
            const int32_t slot = known->key ? known->slot : add_pair(c, key);
            if (slot < 0) return 0;
            c->pairs[slot].area++;
            Faces *f = &c->along[axis];
            f->faces[f->count++] = (Face){(uint32_t)at, here < there ? slot : ~slot};
        }
    }
    return 1;
}

/* Scans a padded cube, whose margin is 0. Returns 0 where memory is short. */
static int scan(Contacts *c, const uint16_t *labels, const int64_t *shape, int64_t pad) {
    const int64_t count = shape[2] - 2 * pad;
    uint8_t *marks = calloc(count + sizeof(uint64_t), 1);
    int is_done = marks != NULL;
    for (int64_t z = pad; z < shape[0] - pad; z++)
        for (int64_t y = pad; y < shape[1] - pad && is_done; y++) {
            const int64_t start = z * c->strides[0] + y * c->strides[1] + pad;
            mark(labels + start, c->strides, count, marks);
            is_done = add_line(c, labels, start, marks, count);
        }
    free(marks);
    return is_done;
}

static int by_key(const void *one, const void *other) {
    const uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* Numbers the pairs by their labels, ascending. */
static int number_pairs(Contacts *c) {
    uint32_t (*keys)[2] = malloc(sizeof(*keys) * (c->pair_count + 1));
    if (!keys) return 0;
    for (int64_t i = 0; i < c->pair_count; i++) {
        keys[i][0] = c->pairs[i].key;
        keys[i][1] = (uint32_t)i;
    }
    qsort(keys, c->pair_count, sizeof(*keys), by_key);
    for (int64_t i = 0; i < c->pair_count; i++) c->pairs[keys[i][1]].number = (int32_t)i;
    free(keys);
    return 1;
}

/* Keeps all faces of a small contact, every k-th by a hash of its place of a large one. Returns how many are left. The
 * hash is a multiple of k if its product with 2^64 / k, rounded up, overflows into less than that: no division a face. */
static int64_t keep_sample(Contacts *c, int64_t faces_kept) {
    for (int64_t i = 0; i < c->pair_count; i++) {
        const uint64_t every = c->pairs[i].area / faces_kept;
        c->pairs[i].part = every > 1 ? UINT64_MAX / every + 1 : 0;
    }
    int64_t all = 0;
    for (int axis = 0; axis < 3; axis++) {
        Faces *f = &c->along[axis];
        int64_t kept = 0;
        for (int64_t i = 0; i < f->count; i++) {
            const Face face = f->faces[i];
            const uint64_t part = c->pairs[face.slot < 0 ? ~face.slot : face.slot].part;
            const uint32_t scattered = (face.place * 2654435761u) >> 12;
            f->faces[kept] = face;
            kept += scattered * part <= part - 1;
        }
        f->count = kept;
        all += kept;
    }
    return all;
}

void contacts_close(Contacts *c) {
    if (!c) return;
    for (int axis = 0; axis < 3; axis++) free(c->along[axis].faces);
    free(c->pairs);
    free(c->table);
    free(c);
}

/* Returns what `contacts_take` reads and `contacts_close` frees, and how many pairs and kept faces; NULL where memory is
 * short, or a place does not fit into 32 bits. */
Contacts *contacts_find(const uint16_t *labels, const int64_t *shape, int64_t pad, int64_t faces_kept, int64_t *counts) {
    Contacts *c = shape[0] * shape[1] * shape[2] > UINT32_MAX ? NULL : calloc(1, sizeof(Contacts));
    if (!c) return NULL;
    c->table_bits = 14;
    c->strides[0] = shape[1] * shape[2];
    c->strides[1] = shape[2];
    c->strides[2] = 1;
    if (!grow_table(c) || !scan(c, labels, shape, pad) || !number_pairs(c)) {
        contacts_close(c);
        return NULL;
    }
    counts[1] = keep_sample(c, faces_kept);
    counts[0] = c->pair_count;
    return c;
}
/* pairs[n, 2] from 0, area[n], and for each kept face its pair, the place on its first segment's side, the step into that
 * segment and the axis; how many were kept of each pair. */
void contacts_take(const Contacts *c, int64_t *pairs, double *area, int64_t *pair, int64_t *low, int64_t *inward, int64_t *axes, double *sampled) {
    for (int64_t i = 0; i < c->pair_count; i++) {
        const Pair *p = &c->pairs[i];
        pairs[2 * p->number] = (p->key >> 16) - 1;
        pairs[2 * p->number + 1] = (p->key & 0xffff) - 1;
        area[p->number] = (double)p->area;
        sampled[p->number] = 0;
    }
    int64_t k = 0;
    for (int axis = 0; axis < 3; axis++)
        for (int64_t i = 0; i < c->along[axis].count; i++, k++) {
            const Face face = c->along[axis].faces[i];
            const int is_low = face.slot >= 0;
            pair[k] = c->pairs[is_low ? face.slot : ~face.slot].number;
            low[k] = is_low ? face.place : face.place + c->strides[axis];
            inward[k] = is_low ? -c->strides[axis] : c->strides[axis];
            axes[k] = axis;
            sampled[pair[k]]++;
        }
    for (int64_t i = 0; i < c->pair_count; i++)
        if (sampled[i] < 1) sampled[i] = 1;
}
