/* Footers, indexes and filters of whatever chance draws: what is read back is what was said, a field is
 * there if and only if it was to be, and what a filter holds it finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/bloom.h"
#include "parquet/metadata.h"
#include "parquet/thrift_read.h"

static struct budget budget = {.limit_bytes = INT64_MAX};

static uint64_t random_state;
static uint64_t draw(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return random_state >> 33;
}
static bool draw_bool(void) { return draw() % 2 == 0; }
/* Of all lengths in bits, at most `bits`; never negative. */
static int64_t draw_count(unsigned bits) {
  return (int64_t)((draw() << 31 ^ draw()) & (((uint64_t)1 << draw() % bits) - 1));
}

/* ---- footers ----------------------------------------------------------------------------- */

enum { LEAVES_MAX = 20, GROUPS_MAX = 20, LEVELS_MAX = 4 };

static const char *path[] = {"a", "list", "element"};

static struct drawn {
  struct parquet_element elements[LEAVES_MAX + 1];
  struct parquet_leaf leaves[LEAVES_MAX];
  struct parquet_chunk_info chunks[GROUPS_MAX][LEAVES_MAX];
  struct parquet_group_info groups[GROUPS_MAX];
  struct parquet_schema schema;
  struct parquet_footer footer;
} drawn;
static const int64_t histogram[LEVELS_MAX + 1] = {5, 4, 3, 2, 1};

static void draw_leaf(int32_t number) {
  static const enum parquet_type types[] = {PARQUET_BOOLEAN, PARQUET_INT32,      PARQUET_INT64,
                                            PARQUET_FLOAT,   PARQUET_BYTE_ARRAY, PARQUET_FIXED};
  struct parquet_leaf *leaf = &drawn.leaves[number];
  *leaf = (struct parquet_leaf){.element = number + 1,
                                .path = path,
                                .path_count = 1 + (int32_t)(draw() % 3),
                                .type = types[draw() % 6],
                                .type_length = 3,
                                .order = (enum parquet_order)(draw() % 7),
                                .max_def = (uint8_t)(draw() % LEVELS_MAX),
                                .max_rep = (uint8_t)(draw() % 2)};
  drawn.elements[number + 1] = (struct parquet_element){
      .name = path[draw() % 3],
      .is_leaf = true,
      .type = leaf->type,
      .type_length = 3,
      .repetition = (enum parquet_repetition)(draw() % 3),
      .field_id = draw_bool() ? PARQUET_NO_FIELD_ID : (int32_t)draw_count(31)};
}

static void draw_bound(struct parquet_bound *bound) {
  bound->size_bytes = (uint8_t)(draw() % (PARQUET_BOUND_BYTES_MAX + 1));
  bound->is_exact = draw_bool();
  for (int i = 0; i < bound->size_bytes; i++) bound->data[i] = (uint8_t)draw();
}

static int64_t draw_offset(void) { return draw_bool() ? -1 : draw_count(50); }

static void draw_chunk(struct parquet_chunk_info *chunk) {
  *chunk = (struct parquet_chunk_info){.codec = PARQUET_GZIP,
                                       .value_count = draw_count(40),
                                       .uncompressed_bytes = draw_count(50),
                                       .compressed_bytes = draw_count(50),
                                       .data_page_offset_bytes = draw_count(50),
                                       .dictionary_page_offset_bytes = draw_offset(),
                                       .bloom_offset_bytes = draw_offset(),
                                       .bloom_bytes = (int32_t)draw_count(31),
                                       .offset_index_offset_bytes = draw_offset(),
                                       .column_index_offset_bytes = draw_offset(),
                                       .offset_index_bytes = (int32_t)draw_count(31),
                                       .column_index_bytes = (int32_t)draw_count(31),
                                       .has_statistics = draw_bool(),
                                       .distinct_count = draw_offset(),
                                       .byte_array_bytes = draw_offset(),
                                       .def_histogram = draw_bool() ? histogram : NULL,
                                       .rep_histogram = draw_bool() ? histogram : NULL};
  for (int i = 0; i < PARQUET_ENCODINGS; i++)
    chunk->pages_of_encoding[i] = draw() % 4 == 0 ? draw_count(31) : 0;
  struct parquet_statistics *statistics = &chunk->statistics;
  *statistics = (struct parquet_statistics){
      .null_count = draw_count(40), .nan_count = draw_count(40), .has_bounds = draw_bool()};
  draw_bound(&statistics->min);
  draw_bound(&statistics->max);
}

static void draw_footer(void) {
  int32_t leaf_count = (int32_t)(draw() % (LEAVES_MAX + 1));
  drawn.elements[0] = (struct parquet_element){.name = "schema", .child_count = leaf_count};
  for (int32_t i = 0; i < leaf_count; i++) draw_leaf(i);
  drawn.schema = (struct parquet_schema){.elements = drawn.elements,
                                         .element_count = leaf_count + 1,
                                         .leaves = drawn.leaves,
                                         .leaf_count = leaf_count};
  drawn.footer = (struct parquet_footer){.schema = &drawn.schema,
                                         .groups = drawn.groups,
                                         .group_count = (int64_t)(draw() % (GROUPS_MAX + 1)),
                                         .row_count = draw_count(60)};
  for (int64_t i = 0; i < drawn.footer.group_count; i++) {
    drawn.groups[i] = (struct parquet_group_info){draw_count(60), draw_count(60), drawn.chunks[i]};
    for (int32_t j = 0; j < leaf_count; j++) draw_chunk(&drawn.chunks[i][j]);
  }
}

/* A number that is there if and only if it is not negative. */
static void assert_number(const struct thrift_value *read, const char *at, int64_t wanted) {
  assert_int_equal(thrift_has(read, at), wanted >= 0);
  if (wanted >= 0) assert_int_equal(thrift_number(read, at), wanted);
}

static void assert_bound(const struct thrift_value *read, const char *at, const char *exact,
                         const struct parquet_bound *bound, bool is_there) {
  assert_int_equal(thrift_has(read, at), is_there);
  if (exact != NULL) assert_number(read, exact, is_there ? bound->is_exact : -1);
  if (is_there) assert_true(thrift_is_binary(read, at, bound->data, bound->size_bytes));
}

static void assert_statistics(const struct thrift_value *read, const struct parquet_leaf *leaf,
                              const struct parquet_chunk_info *chunk) {
  assert_int_equal(read != NULL, chunk->has_statistics);
  if (read == NULL) return;
  const struct parquet_statistics *statistics = &chunk->statistics;
  bool is_float = leaf->order == PARQUET_ORDER_FLOAT, is_half = leaf->order == PARQUET_ORDER_HALF;
  bool has_bounds = statistics->has_bounds && leaf->order != PARQUET_ORDER_NONE;
  bool has_old = has_bounds && (is_float || leaf->order == PARQUET_ORDER_SIGNED);
  assert_bound(read, "1", NULL, &statistics->max, has_old);
  assert_bound(read, "2", NULL, &statistics->min, has_old);
  assert_bound(read, "5", "7", &statistics->max, has_bounds);
  assert_bound(read, "6", "8", &statistics->min, has_bounds);
  assert_number(read, "3", statistics->null_count);
  assert_number(read, "4", chunk->distinct_count);
  assert_number(read, "9", is_float || is_half ? statistics->nan_count : -1);
}

static void assert_chunk(const struct thrift_value *read, const struct parquet_leaf *leaf,
                         const struct parquet_chunk_info *chunk) {
  bool has_dictionary = chunk->dictionary_page_offset_bytes >= 0;
  assert_number(read, "2", 0);
  assert_number(read, "3.1", (int64_t)leaf->type);
  assert_int_equal(thrift_count(read, "3.3"), leaf->path_count);
  assert_number(read, "3.4", PARQUET_GZIP);
  assert_number(read, "3.5", chunk->value_count);
  assert_number(read, "3.6", chunk->uncompressed_bytes);
  assert_number(read, "3.7", chunk->compressed_bytes);
  assert_number(read, "3.9", chunk->data_page_offset_bytes);
  assert_number(read, "3.11", chunk->dictionary_page_offset_bytes);
  assert_statistics(thrift_find(read, "3.12"), leaf, chunk);
  assert_number(read, "3.14", chunk->bloom_offset_bytes);
  assert_number(read, "3.15", chunk->bloom_offset_bytes >= 0 ? chunk->bloom_bytes : -1);
  assert_number(read, "4", chunk->offset_index_offset_bytes);
  assert_number(read, "5", chunk->offset_index_offset_bytes >= 0 ? chunk->offset_index_bytes : -1);
  assert_number(read, "6", chunk->column_index_offset_bytes);
  assert_number(read, "7", chunk->column_index_offset_bytes >= 0 ? chunk->column_index_bytes : -1);
  assert_number(read, "3.16.1", leaf->type == PARQUET_BYTE_ARRAY ? chunk->byte_array_bytes : -1);
  assert_int_equal(thrift_has(read, "3.16.2"), chunk->rep_histogram != NULL && leaf->max_rep > 0);
  assert_int_equal(thrift_has(read, "3.16.3"), chunk->def_histogram != NULL && leaf->max_def > 1);
  const struct thrift_value *sizes = thrift_find(read, "3.16");
  assert_true(sizes == NULL || sizes->count > 0);

  int64_t stats = has_dictionary, pages = 0, read_pages = 0;
  for (int i = 0; i < PARQUET_ENCODINGS; i++) {
    stats += chunk->pages_of_encoding[i] > 0;
    pages += chunk->pages_of_encoding[i];
  }
  const struct thrift_value *list = thrift_find(read, "3.13");
  assert_int_equal(list == NULL ? 0 : list->count, stats);
  for (int64_t i = 0; i < stats; i++) read_pages += thrift_number(&list->items[i], "3");
  assert_int_equal(read_pages, pages + has_dictionary);
}

static void footers(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    random_state = seed;
    draw_footer();
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(parquet_footer_write(&drawn.footer, &budget, &out, NULL), STATUS_OK);
    struct thrift_value *read = thrift_read(out.data, out.size_bytes, NULL);
    assert_number(read, "3", drawn.footer.row_count);
    assert_int_equal(thrift_count(read, "2"), drawn.schema.element_count);
    assert_int_equal(thrift_count(read, "7"), drawn.schema.leaf_count);
    const struct thrift_value *groups = thrift_find(read, "4");
    assert_int_equal(groups->count, drawn.footer.group_count);
    for (int64_t i = 0; i < groups->count; i++) {
      int64_t bytes = 0, compressed_bytes = 0;
      const struct thrift_value *chunks = thrift_find(&groups->items[i], "1");
      assert_int_equal(chunks->count, drawn.schema.leaf_count);
      for (int64_t j = 0; j < chunks->count; j++) {
        assert_chunk(&chunks->items[j], &drawn.leaves[j], &drawn.chunks[i][j]);
        bytes += drawn.chunks[i][j].uncompressed_bytes;
        compressed_bytes += drawn.chunks[i][j].compressed_bytes;
      }
      assert_number(&groups->items[i], "2", bytes);
      assert_number(&groups->items[i], "3", drawn.groups[i].row_count);
      assert_number(&groups->items[i], "5", drawn.groups[i].offset_bytes);
      assert_number(&groups->items[i], "6", compressed_bytes);
      assert_number(&groups->items[i], "7", i);
    }
    thrift_read_free(read);
    buffer_release(&out);
  }
  assert_int_equal(budget.used_bytes, 0);
}

/* ---- column indexes ---------------------------------------------------------------------- */

enum { PAGES_MAX = 6 };

static void column_indexes(void **state) {
  (void)state;
  const struct parquet_leaf leaf = {.type = PARQUET_INT32, .order = PARQUET_ORDER_SIGNED};
  int seen[3] = {0};
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    random_state = seed;
    struct parquet_page_entry pages[PAGES_MAX] = {{0}};
    int32_t bounds[PAGES_MAX][2];
    int count = 1 + (int)(draw() % PAGES_MAX), with_values = 0;
    for (int i = 0; i < count; i++) { /* few values, so that many orders come up */
      struct parquet_statistics *statistics = &pages[i].statistics;
      int32_t min = (int32_t)(draw() % 5) - 2, max = min + (int32_t)(draw() % 3);
      statistics->value_count = draw() % 3 == 0 ? 0 : 10;
      statistics->null_count = draw_count(20);
      if (statistics->value_count == 0) continue;
      statistics->has_bounds = true;
      statistics->min.size_bytes = statistics->max.size_bytes = 4;
      memcpy(statistics->min.data, &min, 4);
      memcpy(statistics->max.data, &max, 4);
      bounds[with_values][0] = min;
      bounds[with_values++][1] = max;
    }
    bool rises = true, falls = true; /* every pair, not only neighbours */
    for (int i = 0; i < with_values; i++)
      for (int j = i + 1; j < with_values; j++)
        for (int side = 0; side < 2; side++) {
          rises = rises && bounds[i][side] <= bounds[j][side];
          falls = falls && bounds[i][side] >= bounds[j][side];
        }
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(
        parquet_column_index_write(&leaf, pages, count, NULL, NULL, &budget, &out, NULL),
        STATUS_OK);
    struct thrift_value *read = thrift_read(out.data, out.size_bytes, NULL);
    enum parquet_boundary_order wanted = rises   ? PARQUET_ASCENDING
                                         : falls ? PARQUET_DESCENDING
                                                 : PARQUET_UNORDERED;
    assert_int_equal(thrift_number(read, "4"), wanted);
    seen[wanted]++;
    for (int i = 0; i < count; i++) {
      assert_int_equal(thrift_find(read, "1")->items[i].number,
                       pages[i].statistics.value_count == 0);
      assert_int_equal(thrift_find(read, "5")->items[i].number, pages[i].statistics.null_count);
      assert_int_equal(thrift_find(read, "2")->items[i].count,
                       pages[i].statistics.value_count == 0 ? 0 : 4);
    }
    thrift_read_free(read);
    buffer_release(&out);
  }
  for (int i = 0; i < 3; i++) assert_true(seen[i] > 100);
  assert_int_equal(budget.used_bytes, 0);
}

/* ---- Bloom filters ----------------------------------------------------------------------- */

enum { VALUES_MAX = 300, TEXT_BYTES_MAX = 70 };

/* A filter of texts of all lengths finds each of them, whatever its size, and whether they were hashed
 * together or apart. */
static void filters(void **state) {
  (void)state;
  static uint8_t text[VALUES_MAX * TEXT_BYTES_MAX];
  static struct parquet_bytes values[VALUES_MAX];
  const struct parquet_leaf leaf = {.type = PARQUET_BYTE_ARRAY};
  for (uint64_t seed = 1; seed <= 200; seed++) {
    random_state = seed;
    int64_t count = 1 + (int64_t)(draw() % VALUES_MAX);
    struct buffer together = BUFFER_EMPTY, apart = BUFFER_EMPTY, all = BUFFER_EMPTY;
    struct buffer one = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)draw();
    for (int64_t i = 0; i < count; i++) {
      values[i] =
          (struct parquet_bytes){text + i * TEXT_BYTES_MAX, (int64_t)(draw() % TEXT_BYTES_MAX)};
      struct parquet_values single = {.count = 1, .data = &values[i]};
      assert_int_equal(parquet_bloom_hash(&leaf, &single, &budget, &apart, NULL), STATUS_OK);
    }
    struct parquet_values dense = {.count = count, .data = values};
    assert_int_equal(parquet_bloom_hash(&leaf, &dense, &budget, &together, NULL), STATUS_OK);
    assert_int_equal(together.size_bytes, count * 8);
    assert_memory_equal(together.data, apart.data, (size_t)(count * 8));

    /* What one value sets is set in the filter of all. */
    int64_t filter_bytes = (int64_t)32 << draw() % 8;
    assert_int_equal(parquet_bloom_write(&together, filter_bytes, &budget, &all, NULL), STATUS_OK);
    struct buffer hash = buffer_slice(&together, (int64_t)(draw() % (uint64_t)count) * 8, 8);
    assert_int_equal(parquet_bloom_write(&hash, filter_bytes, &budget, &one, NULL), STATUS_OK);
    assert_int_equal(one.size_bytes, all.size_bytes);
    int bits = 0;
    for (int64_t i = all.size_bytes - filter_bytes; i < all.size_bytes; i++) {
      assert_int_equal(one.data[i] & ~all.data[i], 0);
      bits += __builtin_popcount(one.data[i]);
    }
    assert_int_equal(bits, 8);
    buffer_release(&hash);
    buffer_release(&together);
    buffer_release(&apart);
    buffer_release(&all);
    buffer_release(&one);
  }
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(footers),
      cmocka_unit_test(column_indexes),
      cmocka_unit_test(filters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
