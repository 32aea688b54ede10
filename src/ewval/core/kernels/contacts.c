/* The faces between segments: one scan finds them, counts those of each pair and keeps a sample. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t place;
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
} Pair;

typedef struct {
    Faces along[3];
    Pair *pairs;
    int64_t pair_count, pair_room;
    int32_t *table; /* from a hash of the key to 1 + slot */
    int64_t table_bits;
    int64_t strides[3];
    int is_short;
} Contacts;

static uint32_t hashed(uint32_t key, int64_t bits) { return (key * 2654435761u) >> (32 - bits); }

static int grow_table(Contacts *c) {
    const int64_t bits = c->table_bits + 1, size = (int64_t)1 << bits;
    int32_t *table = calloc(size, sizeof(int32_t));
    Pair *pairs = realloc(c->pairs, sizeof(Pair) * size / 2);
    if (pairs) c->pairs = pairs;
    if (!table || !pairs) {
        free(table);
        return 0;
    }
    c->pair_room = size / 2;
    for (int64_t i = 0; i < c->pair_count; i++) {
        uint32_t at = hashed(c->pairs[i].key, bits);
        while (table[at]) at = (at + 1) & (size - 1);
        table[at] = (int32_t)i + 1;
    }
    free(c->table);
    c->table = table;
    c->table_bits = bits;
    return 1;
}

static int32_t slot_of(Contacts *c, uint32_t key) {
    uint32_t at = hashed(key, c->table_bits);
    while (c->table[at]) {
        if (c->pairs[c->table[at] - 1].key == key) return c->table[at] - 1;
        at = (at + 1) & (((uint32_t)1 << c->table_bits) - 1);
    }
    if (c->pair_count == c->pair_room) {
        if (!grow_table(c)) {
            c->is_short = 1;
            return 0;
        }
        return slot_of(c, key);
    }
    c->pairs[c->pair_count] = (Pair){key, 0, 0};
    c->table[at] = (int32_t)++c->pair_count;
    return (int32_t)c->pair_count - 1;
}

static void add_face(Contacts *c, int axis, int64_t place, uint16_t here, uint16_t there, uint32_t *last, int32_t *slot) {
    Faces *f = &c->along[axis];
    const uint32_t key = here < there ? (uint32_t)here << 16 | there : (uint32_t)there << 16 | here;
    if (key != *last) {
        *last = key;
        *slot = slot_of(c, key);
    }
    if (f->count == f->room) {
        const int64_t room = f->room ? 2 * f->room : 1 << 18;
        Face *faces = realloc(f->faces, sizeof(Face) * room);
        if (!faces) {
            c->is_short = 1;
            return;
        }
        f->faces = faces;
        f->room = room;
    }
    if (c->is_short) return;
    c->pairs[*slot].area++;
    f->faces[f->count++] = (Face){place, here < there ? *slot : ~*slot};
}

static uint64_t four(const uint16_t *labels) {
    uint64_t word;
    memcpy(&word, labels, sizeof word);
    return word;
}

/* Scans a padded cube; its margin is 0. Four voxels at a time are passed over where none differs from what is beside it. */
static void scan(Contacts *c, const uint16_t *labels, const int64_t *shape, int64_t pad) {
    uint32_t last[3] = {0, 0, 0};
    int32_t slot[3] = {0, 0, 0};
    for (int64_t z = pad; z < shape[0] - pad; z++)
        for (int64_t y = pad; y < shape[1] - pad; y++) {
            const int64_t start = z * c->strides[0] + y * c->strides[1];
            for (int64_t x = pad; x < shape[2] - pad; x++) {
                const int64_t at = start + x;
                if (x + 4 <= shape[2] - pad) {
                    const uint64_t here = four(labels + at);
                    if (here == four(labels + at + 1) && here == four(labels + at + c->strides[1]) && here == four(labels + at + c->strides[0])) {
                        x += 3;
                        continue;
                    }
                }
                const uint16_t here = labels[at];
                if (!here) continue;
                for (int axis = 0; axis < 3; axis++) {
                    const uint16_t there = labels[at + c->strides[axis]];
                    if (there != here && there) add_face(c, axis, at, here, there, &last[axis], &slot[axis]);
                }
            }
        }
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

/* Keeps all faces of a small contact, every k-th by a hash of its place of a large one. Returns how many are left. */
static int64_t keep_sample(Contacts *c, int64_t faces_kept) {
    int64_t all = 0;
    for (int axis = 0; axis < 3; axis++) {
        Faces *f = &c->along[axis];
        int64_t kept = 0;
        for (int64_t i = 0; i < f->count; i++) {
            const Face face = f->faces[i];
            const uint32_t scattered = (uint32_t)((uint64_t)face.place * 2654435761u) >> 12;
            const int64_t every = c->pairs[face.slot < 0 ? ~face.slot : face.slot].area / faces_kept;
            if (every <= 1 || scattered % (uint32_t)every == 0) f->faces[kept++] = face;
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
 * short. */
Contacts *contacts_find(const uint16_t *labels, const int64_t *shape, int64_t pad, int64_t faces_kept, int64_t *counts) {
    Contacts *c = calloc(1, sizeof(Contacts));
    if (!c) return NULL;
    c->table_bits = 14;
    c->strides[0] = shape[1] * shape[2];
    c->strides[1] = shape[2];
    c->strides[2] = 1;
    if (grow_table(c)) scan(c, labels, shape, pad);
    else c->is_short = 1;
    if (c->is_short || !number_pairs(c)) {
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
