/* Footers, indexes and Bloom filters when memory runs out: each call leaves what was there, and may be
 * repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nomem/nomem.h"
#include "parquet/bloom.h"
#include "parquet/metadata.h"

/* A buffer that cannot have twice its room asks for what it needs: so many allocations are
 * spared, two for each time that it grows. */
enum { SPARED_MAX = 32 };

static const char LEAD[] = "what was there before";

static void assert_untouched(const struct buffer *out, int64_t before_bytes) {
  assert_int_equal(out->size_bytes, before_bytes);
  if (before_bytes > 0) assert_memory_equal(out->data, LEAD, (size_t)before_bytes);
}

/* ---- footers ----------------------------------------------------------------------------- */

static const char *path[] = {"column"};
static struct parquet_element elements[] = {
    {.name = "schema", .child_count = 1, .field_id = PARQUET_NO_FIELD_ID},
    {.name = "column",
     .is_leaf = true,
     .type = PARQUET_INT64,
     .field_id = 1,
     .logical = {.kind = PARQUET_LOGICAL_TIMESTAMP, .unit = PARQUET_MICROS, .is_utc = true}}};
static struct parquet_leaf leaf = {.element = 1,
                                   .path = path,
                                   .path_count = 1,
                                   .type = PARQUET_INT64,
                                   .order = PARQUET_ORDER_SIGNED};
static struct parquet_schema schema = {
    .elements = elements, .element_count = 2, .leaves = &leaf, .leaf_count = 1};

enum { GROUPS = 40 };

static enum status write_footer(void *context, struct error *error) {
  struct buffer *wanted = context;
  struct parquet_chunk_info chunk = {.dictionary_page_offset_bytes = -1,
                                     .bloom_offset_bytes = -1,
                                     .offset_index_offset_bytes = -1,
                                     .column_index_offset_bytes = -1,
                                     .has_statistics = true,
                                     .distinct_count = -1};
  struct parquet_group_info groups[GROUPS];
  for (int i = 0; i < GROUPS; i++) groups[i] = (struct parquet_group_info){.chunks = &chunk};
  const struct parquet_footer footer = {
      .schema = &schema, .groups = groups, .group_count = GROUPS, .created_by = "a test"};
  struct buffer out = BUFFER_EMPTY;
  enum status status = STATUS_OK;
  for (int i = 0; i < 2 && status == STATUS_OK; i++) { /* empty at first, then behind something */
    int64_t before_bytes = i == 0 ? 0 : (int64_t)sizeof LEAD;
    buffer_release(&out);
    nomem_pause();
    if (i == 1)
      assert_int_equal(buffer_append(&out, &nomem_budget, LEAD, before_bytes, NULL), STATUS_OK);
    nomem_resume();
    do {
      status = parquet_footer_write(&footer, &nomem_budget, &out, error);
      if (status != STATUS_OK) assert_untouched(&out, before_bytes);
    } while (nomem_again(status));
    if (status != STATUS_OK) break;
    if (wanted->size_bytes == 0) {
      *wanted = out;
      out = BUFFER_EMPTY;
      continue;
    }
    assert_int_equal(out.size_bytes - before_bytes, wanted->size_bytes);
    assert_memory_equal(out.data + before_bytes, wanted->data, (size_t)wanted->size_bytes);
  }
  buffer_release(&out);
  return status;
}

static void a_footer(void **state) {
  (void)state;
  struct buffer wanted = BUFFER_EMPTY;
  assert_int_equal(write_footer(&wanted, NULL), STATUS_OK);
  assert_true(nomem_run("a footer", write_footer, &wanted, SPARED_MAX) >= 4);
  buffer_release(&wanted);
}

/* ---- indexes ----------------------------------------------------------------------------- */

enum { PAGES = 60 };

static enum status write_indexes(void *context, struct error *error) {
  (void)context;
  static struct parquet_page_entry pages[PAGES];
  for (int i = 0; i < PAGES; i++) {
    pages[i].statistics = (struct parquet_statistics){.value_count = 1, .has_bounds = true};
    pages[i].statistics.min.size_bytes = pages[i].statistics.max.size_bytes = 8;
  }
  struct buffer out = BUFFER_EMPTY;
  enum status status;
  do {
    status =
        parquet_column_index_write(&leaf, pages, PAGES, NULL, NULL, &nomem_budget, &out, error);
    if (status != STATUS_OK) assert_int_equal(out.size_bytes, 0);
  } while (nomem_again(status));
  if (status != STATUS_OK) goto done;
  const int64_t before_bytes = out.size_bytes;
  do {
    status = parquet_offset_index_write(&leaf, pages, PAGES, &nomem_budget, &out, error);
    assert_int_equal(out.size_bytes > before_bytes, status == STATUS_OK);
  } while (nomem_again(status));
done:
  buffer_release(&out);
  return status;
}

static void indexes(void **state) {
  (void)state;
  assert_true(nomem_run("indexes", write_indexes, NULL, SPARED_MAX) >= 4);
}

/* ---- Bloom filters ----------------------------------------------------------------------- */

static enum status write_filter(void *context, struct error *error) {
  (void)context;
  static const int64_t numbers[100] = {1, 2, 3};
  const struct parquet_values values = {.count = 100, .data = numbers};
  struct buffer hashes = BUFFER_EMPTY, out = BUFFER_EMPTY;
  enum status status = STATUS_OK;
  for (int page = 0; page < 5 && status == STATUS_OK; page++) do {
      status = parquet_bloom_hash(&leaf, &values, &nomem_budget, &hashes, error);
      assert_int_equal(hashes.size_bytes, 800 * (page + (status == STATUS_OK)));
    } while (nomem_again(status));
  if (status != STATUS_OK) goto done;
  nomem_pause();
  assert_int_equal(buffer_append(&out, &nomem_budget, LEAD, sizeof LEAD, NULL), STATUS_OK);
  nomem_resume();
  do {
    status = parquet_bloom_write(&hashes, 1024, &nomem_budget, &out, error);
    if (status != STATUS_OK) assert_untouched(&out, sizeof LEAD);
  } while (nomem_again(status));
  if (status == STATUS_OK) assert_in_range(out.size_bytes, 1024 + sizeof LEAD, 1060 + sizeof LEAD);
done:
  buffer_release(&hashes);
  buffer_release(&out);
  return status;
}

static void a_filter(void **state) {
  (void)state;
  assert_true(nomem_run("a Bloom filter", write_filter, NULL, SPARED_MAX) >= 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_footer), cmocka_unit_test(indexes),
                                     cmocka_unit_test(a_filter)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
