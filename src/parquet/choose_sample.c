/* Samples of a column. Values are told apart by a hash of 64 bits, of long ones by their ends and their
 * size: what is asked is how many there are, about. */
#include "parquet/choose_sample.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "parquet/words.h"

enum { HASHED_BYTES_MAX = 256, TABLE_SPREAD = 2 };

/* A distinct value of the sample. */
struct entry {
  uint64_t hash;
  uint32_t number; /* plus one; 0: free */
  uint32_t count;  /* among those spread */
  bool in_second;  /* seen in the second half of those */
};

struct counter {
  struct entry *entries;
  uint64_t mask;
  uint32_t *firsts; /* by number: which value it is */
  int64_t distinct;
};

/* ---- the number of distinct values -------------------------------------------------------------- */

static double largest(double left, double right) { return left > right ? left : right; }

static double least(double left, double right) { return left < right ? left : right; }

double sample_distinct(const struct sample_counts *counts, double rows) {
  double distinct = (double)counts->distinct, values = (double)counts->values;
  double once = (double)counts->seen[1], twice = (double)counts->seen[2];
  if (rows <= values || once <= 0) return distinct;

  double unseen = twice > 0 ? once * once / (2 * twice) : once * (once - 1) / 2;
  double rare = 0, rare_values = 0, pairs = 0;
  for (int i = 1; i <= SAMPLE_RARE; i++) {
    double seen = (double)counts->seen[i];
    rare += seen;
    rare_values += i * seen;
    pairs += i * (i - 1.0) * seen;
  }
  double coverage = 1 - once / rare_values;
  if (coverage > 0) {
    double spread = rare / coverage * pairs / (rare_values * (rare_values - 1)) - 1;
    double all = distinct - rare + rare / coverage + once / coverage * largest(spread, 0);
    unseen = largest(unseen, all - distinct);
  }
  if (unseen <= 0) return distinct;
  /* Each further row is one that was not seen with the probability that the last ones had. */
  double more = unseen * -expm1(-(rows - values) * once / (values * unseen));
  return least(distinct + more, rows);
}

/* ---- counting -------------------------------------------------------------------------------------- */

static uint64_t hash_bytes(const uint8_t *data, int64_t size_bytes) {
  uint64_t hash = 0x9e3779b97f4a7c15U ^ (uint64_t)size_bytes;
  if (size_bytes > HASHED_BYTES_MAX) {
    hash = hash_bytes(data + size_bytes - HASHED_BYTES_MAX / 2, HASHED_BYTES_MAX / 2) ^ hash;
    size_bytes = HASHED_BYTES_MAX / 2;
  }
  for (; size_bytes >= 8; data += 8, size_bytes -= 8)
    hash = words_fold(hash ^ words_load_8(data), 0xd6e8feb86659fd93U);
  uint64_t last = 0;
  for (int64_t i = 0; i < size_bytes; i++) last = last << 8 | data[i];
  return words_fold(hash ^ last, 0xa0761d6478bd642fU);
}

static uint64_t hash_of(const struct sample *sample, const struct parquet_values *values,
                        int64_t i) {
  const uint8_t *data = (const uint8_t *)values->data + i * sample->width_bytes;
  if (sample->leaf->type != PARQUET_BYTE_ARRAY) return hash_bytes(data, sample->width_bytes);
  const struct parquet_bytes *bytes = (const struct parquet_bytes *)values->data + i;
  return hash_bytes(bytes->data, bytes->size_bytes);
}

static struct entry *find(struct counter *counter, const struct sample *sample,
                          const struct parquet_values *values, int64_t i) {
  uint64_t hash = hash_of(sample, values, i);
  uint64_t at = hash & counter->mask;
  while (counter->entries[at].number != 0 && counter->entries[at].hash != hash)
    at = (at + 1) & counter->mask;
  struct entry *entry = &counter->entries[at];
  if (entry->number == 0) {
    counter->firsts[counter->distinct] = (uint32_t)i;
    *entry = (struct entry){.hash = hash, .number = (uint32_t)++counter->distinct};
  }
  return entry;
}

/* What the two halves of the spread values say together. */
struct halves {
  struct sample_counts first, both;
  int64_t second_distinct;
};

/* Not at even distances: what repeats every so many rows would look like a constant. */
static int64_t spread_place(int64_t i, int64_t count, int64_t of) {
  int64_t begin = i * of / count, end = (i + 1) * of / count;
  return begin + (int64_t)((uint64_t)i * 0x9e3779b97f4a7c15U >> 33) % (end - begin);
}

static void count_spread(struct counter *counter, const struct sample *sample,
                         const struct parquet_values *values, int64_t count,
                         struct halves *halves) {
  *halves = (struct halves){.second_distinct = 0};
  struct sample_counts *counts = &halves->both;
  for (int64_t i = 0; i < count; i++) {
    if (i == count / 2) halves->first = *counts;
    struct entry *entry = find(counter, sample, values, spread_place(i, count, values->count));
    if (entry->count > 0 && entry->count <= SAMPLE_RARE) counts->seen[entry->count]--;
    if (++entry->count <= SAMPLE_RARE) counts->seen[entry->count]++;
    if (i >= count / 2 && !entry->in_second) {
      entry->in_second = true;
      halves->second_distinct++;
    }
    counts->values++;
    counts->distinct = counter->distinct;
  }
}

/* Values that change on the way (sorted columns, days, keys of a growing table): those of the second
 * half are others than those of the first, more than chance would have it. Then the rows to come
 * bring others, too. */
static double expected_distinct(const struct halves *halves, double rows_seen, double rows) {
  const struct sample_counts *all = &halves->both;
  if (all->distinct == all->values && rows > rows_seen)
    return rows; /* nothing says that any comes again */
  double here = sample_distinct(&halves->both, rows_seen);
  if (rows <= rows_seen || halves->second_distinct == 0 || halves->first.values == 0) return here;
  double fresh =
      (double)(halves->both.distinct - halves->first.distinct) / (double)halves->second_distinct;
  double chance = (double)halves->first.seen[1] / (double)halves->first.values;
  if (fresh > 0.25 + 1.25 * chance) return here * (1 + fresh * (rows / rows_seen - 1));
  return sample_distinct(&halves->both, rows);
}

/* ---- blocks ------------------------------------------------------------------------------------------- */

static int64_t bytes_of(const struct sample *sample, const struct parquet_values *values,
                        int64_t first, int64_t count) {
  if (sample->leaf->type != PARQUET_BYTE_ARRAY) return count * sample->width_bytes;
  const struct parquet_bytes *bytes = (const struct parquet_bytes *)values->data + first;
  int64_t sum_bytes = 0;
  for (int64_t i = 0; i < count; i++) sum_bytes += bytes[i].size_bytes;
  return sum_bytes;
}

struct parquet_values sample_slice(const struct sample *sample, const struct parquet_values *dense,
                                   int64_t first, int64_t count) {
  struct parquet_values slice = {.count = count};
  slice.data = (const uint8_t *)dense->data + first * sample->width_bytes;
  if (sample->leaf->type == PARQUET_BYTE_ARRAY)
    slice.data_bytes = bytes_of(sample, dense, first, count);
  return slice;
}

struct parquet_values sample_block(const struct sample *sample, int64_t block) {
  return sample_slice(sample, &sample->dense, block * sample->block_values, sample->block_values);
}

/* Where block `block` begins. */
static int64_t block_begin(const struct sample *sample, const struct parquet_values *values,
                           int64_t block) {
  if (sample->blocks == 1) return 0;
  return block * (values->count - sample->block_values) / (sample->blocks - 1);
}

static void plan_blocks(struct sample *sample, const struct parquet_values *values, bool is_small) {
  int64_t count = (int64_t)(SAMPLE_BYTES / largest(sample->value_bytes, 1));
  if (count > SAMPLE_VALUES_MAX) count = SAMPLE_VALUES_MAX;
  if (is_small) count /= 4;
  const int64_t count_min = SAMPLE_BLOCKS * INT64_C(4);
  if (count < count_min) count = count_min;
  if (values->count <= count) {
    sample->blocks = 1;
    sample->block_values = values->count;
  } else {
    sample->blocks = SAMPLE_BLOCKS;
    sample->block_values = count / SAMPLE_BLOCKS;
  }
  int64_t bytes = 0;
  for (int64_t i = 0; i < sample->blocks; i++)
    bytes += bytes_of(sample, values, block_begin(sample, values, i), sample->block_values);
  if (bytes > SAMPLE_BYTES_MAX) sample->blocks = sample->block_values = 0;
}

/* Copies the blocks together and numbers their values; counts how often neighbours differ. */
static enum status take_blocks(struct sample *sample, const struct parquet_values *values,
                               struct counter *counter, double *changes, struct error *error) {
  int64_t count = sample->blocks * sample->block_values;
  int64_t block_bytes = sample->block_values * sample->width_bytes;
  enum status status =
      buffer_reserve(&sample->dense.own, sample->budget, sample->blocks * block_bytes, error);
  if (status == STATUS_OK)
    status =
        buffer_reserve(&sample->numbers, sample->budget, count * (int64_t)sizeof(uint32_t), error);
  if (status != STATUS_OK) return status;

  uint32_t *numbers = (uint32_t *)(void *)sample->numbers.data;
  int64_t differing = 0;
  for (int64_t i = 0; i < sample->blocks; i++) {
    int64_t begin = block_begin(sample, values, i);
    memcpy(sample->dense.own.data + i * block_bytes,
           (const uint8_t *)values->data + begin * sample->width_bytes, (size_t)block_bytes);
    uint32_t *block = numbers + i * sample->block_values;
    for (int64_t k = 0; k < sample->block_values; k++) {
      block[k] = find(counter, sample, values, begin + k)->number - 1;
      if (k > 0) differing += block[k] != block[k - 1];
    }
  }
  sample->dense.count = count;
  sample->dense.data = sample->dense.own.data;
  sample->dense.data_bytes =
      sample->leaf->type == PARQUET_BYTE_ARRAY ? bytes_of(sample, &sample->dense, 0, count) : 0;
  sample->numbers_count = counter->distinct;
  int64_t pairs = count - sample->blocks;
  if (pairs / 2 >= SAMPLE_BLOCKS) *changes = (double)(differing + 1) / (double)pairs;
  return STATUS_OK;
}

/* As many of the distinct values as the blocks may have. */
static enum status take_distinct(struct sample *sample, const struct parquet_values *values,
                                 const struct counter *counter, struct error *error) {
  int64_t count = counter->distinct;
  double bytes_each = largest(sample->value_bytes, 1);
  if ((double)count * bytes_each > SAMPLE_BYTES) count = (int64_t)(SAMPLE_BYTES / bytes_each);
  if (count < 1) count = 1;
  enum status status =
      buffer_reserve(&sample->distinct.own, sample->budget, count * sample->width_bytes, error);
  if (status != STATUS_OK) return status;
  for (int64_t i = 0; i < count; i++)
    memcpy(sample->distinct.own.data + i * sample->width_bytes,
           (const uint8_t *)values->data + counter->firsts[i] * sample->width_bytes,
           (size_t)sample->width_bytes);
  sample->distinct.count = count;
  sample->distinct.data = sample->distinct.own.data;
  sample->distinct_bytes = sample->value_bytes;
  if (sample->leaf->type == PARQUET_BYTE_ARRAY) {
    sample->distinct.data_bytes = bytes_of(sample, &sample->distinct, 0, count);
    sample->distinct_bytes = 4 + (double)sample->distinct.data_bytes / (double)count;
  }
  return STATUS_OK;
}

static enum status make_table(struct sample *sample, int64_t values, struct counter *counter,
                              struct error *error) {
  int64_t slots = 64;
  while (slots < TABLE_SPREAD * values) slots *= 2;
  int64_t table_bytes = slots * (int64_t)sizeof(struct entry);
  enum status status = buffer_reserve(&sample->table, sample->budget, table_bytes, error);
  if (status == STATUS_OK)
    status =
        buffer_reserve(&sample->firsts, sample->budget, values * (int64_t)sizeof(uint32_t), error);
  if (status != STATUS_OK) return status;
  memset(sample->table.data, 0, (size_t)table_bytes);
  *counter = (struct counter){.entries = (struct entry *)(void *)sample->table.data,
                              .mask = (uint64_t)slots - 1,
                              .firsts = (uint32_t *)(void *)sample->firsts.data};
  return STATUS_OK;
}

enum status sample_take(struct sample *sample, const struct parquet_leaf *leaf,
                        const struct parquet_values *values, int64_t rows_expected, bool is_small,
                        struct budget *budget, struct error *error) {
  assert(values->count > 0);
  *sample = (struct sample){.budget = budget, .leaf = leaf};
  sample->width_bytes = parquet_values_width(leaf);
  sample->value_bytes = (double)sample->width_bytes;
  if (leaf->type == PARQUET_BYTE_ARRAY)
    sample->value_bytes = 4 + (double)values->data_bytes / (double)values->count;
  plan_blocks(sample, values, is_small);

  int64_t spread = values->count < SAMPLE_VALUES_MAX ? values->count : SAMPLE_VALUES_MAX;
  struct counter counter = {.distinct = 0};
  enum status status =
      make_table(sample, spread + sample->blocks * sample->block_values, &counter, error);
  if (status != STATUS_OK) goto done;
  struct halves halves;
  count_spread(&counter, sample, values, spread, &halves);
  double rows_seen = (double)values->count;
  double rows = largest((double)rows_expected, rows_seen);
  sample->distinct_expected = expected_distinct(&halves, rows_seen, rows);
  status = take_distinct(sample, values, &counter, error);
  if (status != STATUS_OK) goto done;

  double changes = 1;
  if (sample->blocks > 0) status = take_blocks(sample, values, &counter, &changes, error);
  sample->distinct_expected = least(sample->distinct_expected, 1 + changes * rows);
  sample->distinct_expected = largest(sample->distinct_expected, (double)counter.distinct);
done:
  if (status != STATUS_OK) sample_release(sample);
  return status;
}

void sample_release(struct sample *sample) {
  buffer_release(&sample->dense.own);
  buffer_release(&sample->distinct.own);
  buffer_release(&sample->numbers);
  buffer_release(&sample->table);
  buffer_release(&sample->firsts);
}
