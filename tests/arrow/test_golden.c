/* What other implementations wrote is read as they meant it: schema, values, nulls and
 * metadata of every golden file, as a stream and as a file, of both byte orders. What we
 * write of it is read back as the same. */
#include <glob.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "arrow/array.h"
#include "arrow/array_walk.h"
#include "arrow/golden.h"
#include "arrow/read_all.h"

/* A family that is not whole is a failure, not fewer tests. */
static const struct {
  const char *name;
  size_t cases; /* each is a .stream, an .arrow_file and a .json.gz */
} families[] = {
    {"0.14.1", 9},
    {"0.17.1", 1},
    {"1.0.0-bigendian", 22},
    {"1.0.0-littleendian", 22},
    {"2.0.0-compression", 4},
    {"4.0.0-shareddict", 1},
    {"cpp-21.0.0", 32},
};
enum { FAMILIES = sizeof families / sizeof families[0], CASES = 91, BYTE_ORDER_CASES = 22 };

static struct budget budget = {.limit_bytes = INT64_MAX};

static int refused; /* in the test that runs */

static glob_t find(const char *family, const char *pattern) {
  char path[1024];
  glob_t found;
  snprintf(path, sizeof path, ARROWPORT_TEST_DATA "/arrow-ipc/%s%s", family, pattern);
  if (glob(path, 0, NULL, &found) != 0) fail_msg("%s: there is no such file", path);
  return found;
}

/* Each golden case by its name without an ending, "arrow-ipc/0.14.1/generated_map". `check`
 * returns how many times it compared something, and so does this. */
static int each_case(const char *what, int (*check)(const char *name)) {
  static const char root[] = ARROWPORT_TEST_DATA "/";
  int cases = 0;
  int compared = 0;
  refused = 0;
  for (size_t family = 0; family < FAMILIES; family++) {
    glob_t found = find(families[family].name, "/*.json.gz");
    assert_int_equal(found.gl_pathc, families[family].cases);
    for (size_t i = 0; i < found.gl_pathc; i++) {
      char name[256];
      snprintf(name, sizeof name, "%s", found.gl_pathv[i] + strlen(root));
      name[strlen(name) - strlen(".json.gz")] = '\0';
      compared += check(name);
    }
    cases += (int)found.gl_pathc;
    globfree(&found);
  }
  print_message("%d %s of %d cases compared\n", compared, what, cases);
  if (refused > 0) fail_msg("%d %s were refused", refused, what);
  assert_int_equal(budget.used_bytes, 0);
  return compared;
}

static const char *with_ending(const char *name, const char *ending) {
  static char joined[300];
  snprintf(joined, sizeof joined, "%s%s", name, ending);
  return joined;
}

/* The array keeps what readers promise, by two judges of it. */
static void check_sound(const char *name, int64_t index, const struct read_all *all) {
  struct error error = {0};
  const char *broken = array_walk(&all->schema, &all->batches[index], NULL);
  if (broken != NULL) fail_msg("%s, batch %" PRId64 ": not so: %s", name, index, broken);
  if (arrow_array_check(&all->schema, &all->batches[index], ARRAY_CHECK_FULL, &error) != STATUS_OK)
    fail_msg("%s, batch %" PRId64 ": %s", name, index, error.text);
}

static void check_all(const char *name, const struct read_all *all) {
  struct golden *golden = golden_open(with_ending(name, ".json.gz"));
  assert_int_equal(all->batch_count, golden_batch_count(golden));
  golden_check_schema(golden, &all->schema);
  for (int64_t i = 0; i < all->batch_count; i++) {
    check_sound(name, i, all);
    golden_check_batch(golden, i, &all->schema, &all->batches[i]);
  }
  golden_close(golden);
}

/* The same batches, however they are laid out. */
static void check_same(const char *name, const struct read_all *wanted,
                       const struct read_all *got) {
  struct golden *golden = golden_open(with_ending(name, ".json.gz"));
  struct error where = {0};
  assert_int_equal(got->batch_count, wanted->batch_count);
  golden_check_schema(golden, &got->schema);
  for (int64_t i = 0; i < got->batch_count; i++) {
    check_sound(name, i, got);
    if (!arrow_array_equal(&wanted->schema, &wanted->batches[i], &got->batches[i], &where))
      fail_msg("%s, batch %" PRId64 ": %s", name, i, where.text);
  }
  golden_close(golden);
}

/* ---- reading ------------------------------------------------------------------------- */

/* 1 when the values were compared, with the golden file or with `wanted`; a refusal is told
 * of, and fails the test at its end. */
static int compare(const char *name, const char *what, enum status status,
                   const struct error *error, const struct read_all *wanted, struct read_all *all) {
  if (status != STATUS_OK)
    print_error("%s%s: %s\n", name, what, error->text);
  else if (wanted == NULL)
    check_all(name, all);
  else
    check_same(name, wanted, all);
  read_all_release(all);
  refused += status != STATUS_OK;
  return status == STATUS_OK;
}

static int check_stream(const char *name, int64_t step_bytes) {
  struct buffer data = test_data(with_ending(name, ".stream"), &budget);
  struct read_all_options options = {.step_bytes = step_bytes};
  struct read_all all;
  struct error error = {0};
  enum status status = read_all_stream(data.data, data.size_bytes, &options, &budget, &all, &error);
  int compared = compare(name, ".stream", status, &error, NULL, &all);
  buffer_release(&data);
  return compared;
}

static int check_whole_stream(const char *name) { return check_stream(name, 0); }

static int check_stream_in_steps(const char *name) {
  return check_stream(name, 1) + check_stream(name, 13);
}

static int check_file(const char *name) {
  struct buffer data = test_data(with_ending(name, ".arrow_file"), &budget);
  struct read_all all;
  struct error error = {0};
  enum status status = read_all_file(data.data, data.size_bytes, &budget, &all, &error);
  int compared = compare(name, ".arrow_file", status, &error, NULL, &all);
  buffer_release(&data);
  return compared;
}

static int check_in_memory(const char *name) {
  static const char *const endings[] = {".stream", ".arrow_file"};
  int compared = 0;
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
    struct buffer data = test_data(with_ending(name, endings[i]), &budget);
    struct read_all all;
    struct error error = {0};
    enum status status = read_all_memory(&data, &budget, &all, &error);
    compared += compare(name, endings[i], status, &error, NULL, &all);
    buffer_release(&data);
  }
  return compared;
}

static void golden_streams_have_the_values_of_their_json(void **state) {
  (void)state;
  assert_int_equal(each_case("streams", check_whole_stream), CASES);
}

static void a_stream_is_the_same_however_its_bytes_arrive(void **state) {
  (void)state;
  assert_int_equal(each_case("streams in steps", check_stream_in_steps), 2 * CASES);
}

static void golden_files_have_the_values_of_their_json(void **state) {
  (void)state;
  assert_int_equal(each_case("files", check_file), CASES);
}

static void what_lies_in_memory_is_read_without_a_copy_to_the_same_values(void **state) {
  (void)state;
  assert_int_equal(each_case("streams and files in memory", check_in_memory), 2 * CASES);
}

/* The families of 1.0.0 hold the same values, written on two kinds of machines. */
static int compare_byte_orders(const char *name) {
  static const char big[] = "arrow-ipc/1.0.0-bigendian";
  if (strncmp(name, big, strlen(big)) != 0) return 0;
  char other[256];
  snprintf(other, sizeof other, "arrow-ipc/1.0.0-littleendian%s", name + strlen(big));
  struct buffer big_data = test_data(with_ending(name, ".stream"), &budget);
  struct buffer little_data = test_data(with_ending(other, ".stream"), &budget);
  struct read_all swapped;
  struct read_all native;
  struct error error = {0};
  enum status status = read_all_memory(&big_data, &budget, &swapped, &error);
  if (status == STATUS_OK) {
    status = read_all_memory(&little_data, &budget, &native, &error);
    if (status == STATUS_OK) check_same(name, &native, &swapped);
    read_all_release(&native);
  }
  if (status != STATUS_OK) fail_msg("%s: %s", name, error.text);
  read_all_release(&swapped);
  buffer_release(&big_data);
  buffer_release(&little_data);
  return 1;
}

static void both_byte_orders_are_read_to_the_same_values(void **state) {
  (void)state;
  assert_int_equal(each_case("pairs of byte orders", compare_byte_orders), BYTE_ORDER_CASES);
}

static void every_golden_file_belongs_to_a_case_that_is_compared(void **state) {
  (void)state;
  static const char *const endings[] = {"/*.json.gz", "/*.stream", "/*.arrow_file"};
  glob_t folders = find("", "*/");
  assert_int_equal(folders.gl_pathc, FAMILIES);
  globfree(&folders);
  for (size_t family = 0; family < FAMILIES; family++) {
    glob_t all = find(families[family].name, "/*");
    assert_int_equal(all.gl_pathc, 3 * families[family].cases);
    globfree(&all);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
      glob_t found = find(families[family].name, endings[i]);
      assert_int_equal(found.gl_pathc, families[family].cases);
      globfree(&found);
    }
  }
}

/* ---- writing ------------------------------------------------------------------------- */

enum { WAYS = 9 }; /* three compressions: as a stream, with deltas of dictionaries, as a file */

static enum status write_all(const struct read_all *all, const struct ipc_writer_options *options,
                             struct buffer *out, struct error *error) {
  struct ipc_writer *writer = NULL;
  enum status status = ipc_writer_new(&all->schema, options, &budget, &writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, out, error);
  for (int64_t i = 0; i < all->batch_count && status == STATUS_OK; i++)
    status = ipc_writer_batch(writer, &all->batches[i], out, error);
  if (status == STATUS_OK) status = ipc_writer_end(writer, out, error);
  ipc_writer_free(writer);
  return status;
}

static int check_written(const char *name, const struct read_all *all,
                         const struct ipc_writer_options *options) {
  struct buffer data = BUFFER_EMPTY;
  struct read_all again = {.batches = NULL};
  struct error error = {0};
  char what[100];
  bool is_file = options->format == IPC_FORMAT_FILE;
  enum status status = write_all(all, options, &data, &error);
  if (status == STATUS_OK) {
    assert_int_equal(ipc_file_magic(data.data, data.size_bytes), is_file);
    status = read_all_memory(&data, &budget, &again, &error);
  }
  snprintf(what, sizeof what, ", written as a %s with compression %d", is_file ? "file" : "stream",
           (int)options->compression);
  int compared = compare(name, what, status, &error, all, &again);
  buffer_release(&data);
  return compared;
}

static int check_written_in_every_way(const char *name) {
  static const enum ipc_compression compressions[] = {IPC_COMPRESSION_NONE, IPC_COMPRESSION_LZ4,
                                                      IPC_COMPRESSION_ZSTD};
  struct buffer data = test_data(with_ending(name, ".stream"), &budget);
  struct read_all all;
  struct error error = {0};
  int compared = 0;
  enum status status = read_all_memory(&data, &budget, &all, &error);
  for (size_t i = 0; i < WAYS / 3 && status == STATUS_OK; i++) {
    struct ipc_writer_options options = {.compression = compressions[i]};
    compared += check_written(name, &all, &options);
    options.dictionary_deltas = true;
    compared += check_written(name, &all, &options);
    options.format = IPC_FORMAT_FILE;
    compared += check_written(name, &all, &options);
  }
  if (status != STATUS_OK) print_error("%s.stream: %s\n", name, error.text);
  refused += status != STATUS_OK;
  read_all_release(&all);
  buffer_release(&data);
  return compared;
}

static void what_was_read_and_written_again_has_the_same_values(void **state) {
  (void)state;
  assert_int_equal(each_case("streams and files of ours", check_written_in_every_way),
                   WAYS * CASES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_streams_have_the_values_of_their_json),
      cmocka_unit_test(a_stream_is_the_same_however_its_bytes_arrive),
      cmocka_unit_test(golden_files_have_the_values_of_their_json),
      cmocka_unit_test(what_lies_in_memory_is_read_without_a_copy_to_the_same_values),
      cmocka_unit_test(both_byte_orders_are_read_to_the_same_values),
      cmocka_unit_test(every_golden_file_belongs_to_a_case_that_is_compared),
      cmocka_unit_test(what_was_read_and_written_again_has_the_same_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
