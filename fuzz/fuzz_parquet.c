/* A schema, record batches and options are drawn from the bytes, written as a Parquet file, read back by
 * DuckDB and compared value by value. The file's statistics and Bloom filters are asked too: a
 * query for one of the column's values finds as many rows as there are.
 *
 * Every batch is made twice of the same bytes: one is the writer's, and its memory gone as soon as it is
 * released, the other one is compared with. Batches that break their contract must be refused, and the
 * file holds the others.
 *
 * What DuckDB reads as another type is in same_value.h. Not compared: ARROW:schema and all else that DuckDB
 * does not look at (bounds' exactness flags, size statistics, distinct counts, sorting columns); decimals of
 * more than 38 digits but for their nulls; payloads of NaNs; nanoseconds of
 * instants and times of day.
 *
 * Bytes before the schema's: see read_options. When they end, what follows is drawn from their sum. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arrow/array.h"
#include "engine/engine.h"
#include "ipc_feed.h"
#include "make_array.h"
#include "parquet/parquet.h"
#include "same_value.h"

enum { OPTION_BYTES = 12, BATCHES_MAX = 6, ROWS_MAX = 48, MANY_ROWS = 300, COLUMNS_MAX = 3 };

/* The second byte. */
enum {
  V2_BIT = 0x01,
  COMPATIBLE_BIT = 0x02,
  ALWAYS_COMPRESS_BIT = 0x04,
  NO_CHECKSUMS_BIT = 0x08,
  NO_STATISTICS_BIT = 0x10,
  NO_PAGE_INDEX_BIT = 0x20,
  NO_ARROW_SCHEMA_BIT = 0x40,
  THREADS_BIT = 0x80,
};
/* The third. */
enum {
  CHECKED_BIT = 0x01, /* the writer does not look whether batches are right */
  SLICES_BIT = 0x02,
  WRONG_BIT = 0x04, /* some batches break their contract */
  GROUPS_BIT = 0x08,
  SMALL_GROUPS_BIT = 0x10,
  SMALL_PAGES_BIT = 0x20,
  MANY_ROWS_BIT = 0x40,
  FAILING_BIT = 0x80, /* the destination fails at some call */
};

struct trip {
  const struct ArrowSchema *schema;
  struct parquet_options options;
  struct parquet_column_options columns[COLUMNS_MAX];
  uint8_t how; /* the third byte */
  struct maker maker;
  struct buffer file;
  int calls_left; /* until the destination fails; 0: it does not */
  int releases;
  struct ArrowArray batches[BATCHES_MAX]; /* that are in the file */
  int batch_count;
  int64_t rows;
};

static struct budget file_budget = {.limit_bytes = INT64_MAX};
static const char *const column_names[COLUMNS_MAX] = {"a", "b", "c"};

/* ---- options ------------------------------------------------------------------------------- */

static void read_columns(struct trip *trip, const uint8_t *bytes) {
  static const enum parquet_encoding encodings[] = {
      PARQUET_PLAIN,
      PARQUET_RLE,
      PARQUET_RLE_DICTIONARY,
      PARQUET_DELTA_BINARY_PACKED,
      PARQUET_DELTA_LENGTH_BYTE_ARRAY,
      PARQUET_DELTA_BYTE_ARRAY,
      PARQUET_BYTE_STREAM_SPLIT,
  };
  enum { ENCODINGS = sizeof encodings / sizeof encodings[0] };
  for (int i = 0; i < COLUMNS_MAX; i++) {
    int encoding = bytes[i] % 16;
    trip->columns[i] = (struct parquet_column_options){
        .path = column_names[i],
        .has_encoding = encoding < ENCODINGS,
        .encoding = encodings[encoding < ENCODINGS ? encoding : 0],
        .has_bloom = (bytes[i] & 0x10) != 0,
    };
  }
  trip->options.columns = trip->columns;
}

static void read_options(struct trip *trip, const uint8_t *bytes) {
  static const enum parquet_codec codecs[] = {PARQUET_UNCOMPRESSED, PARQUET_SNAPPY, PARQUET_GZIP,
                                              PARQUET_ZSTD, PARQUET_LZ4_RAW};
  static const int64_t dictionary_bytes[] = {2 << 20, 0, 16, 100, 1000, 2 << 20, 2 << 20, 4000};
  struct parquet_options *options = &trip->options;
  uint8_t flags = bytes[1];
  *options = PARQUET_OPTIONS_DEFAULT;
  options->codec = codecs[bytes[0] % (sizeof codecs / sizeof codecs[0])];
  options->compatible = (flags & COMPATIBLE_BIT) != 0;
  options->page_version = (flags & V2_BIT) != 0 && !options->compatible ? 2 : 1;
  options->always_compress = (flags & ALWAYS_COMPRESS_BIT) != 0;
  options->no_checksums = (flags & NO_CHECKSUMS_BIT) != 0;
  options->no_statistics = (flags & NO_STATISTICS_BIT) != 0;
  options->no_page_index = (flags & NO_PAGE_INDEX_BIT) != 0;
  options->no_arrow_schema = (flags & NO_ARROW_SCHEMA_BIT) != 0;
  options->workers = feed_workers((flags & THREADS_BIT) != 0);
  trip->how = bytes[2];
  options->is_checked = (trip->how & CHECKED_BIT) != 0;
  if ((trip->how & SMALL_GROUPS_BIT) != 0) options->row_group_bytes = 500;
  if ((trip->how & SMALL_PAGES_BIT) != 0) options->page_bytes = 1 + bytes[3];
  if ((trip->how & FAILING_BIT) != 0) trip->calls_left = 1 + bytes[11] % 64;
  if (bytes[4] > 0) options->page_values = bytes[4];
  if (bytes[5] > 0) options->row_group_rows = bytes[5];
  options->dictionary_bytes_max = dictionary_bytes[bytes[6] % 8];
  options->bound_bytes_max = 1 + bytes[7] % 64;
  options->bloom_bytes_max = 32 << bytes[3] % 6;
  read_columns(trip, bytes + 8);
}

/* ---- writing ------------------------------------------------------------------------------- */

static enum status take_bytes(void *context, const void *data, int64_t bytes, struct error *error) {
  struct trip *trip = context;
  feed_expect(bytes > 0, "something is written");
  if (trip->calls_left > 0 && --trip->calls_left == 0)
    return error_set(error, STATUS_IO, "the disk is full");
  return buffer_append(&trip->file, &file_budget, data, bytes, error);
}

/* Without the columns' options where one does not fit. NULL: the schema is none that Parquet can say. */
static struct parquet_writer *new_writer(struct trip *trip) {
  struct parquet_writer *writer = NULL;
  struct error error = {.status = STATUS_OK};
  struct parquet_out out = {take_bytes, trip};
  trip->options.column_count = trip->schema->n_children;
  for (int tries = 0; tries < 2; tries++) {
    enum status status =
        parquet_writer_new(trip->schema, &trip->options, &out, &feed_budget, &writer, &error);
    feed_expect_refusal(status, &error);
    if (status != STATUS_INVALID) break;
    feed_expect(tries == 0, error.text);
    trip->options.column_count = 0;
  }
  return writer;
}

/* The last two thirds of its rows. */
static void slice(const struct ArrowSchema *schema, struct ArrowArray *batch) {
  struct ArrowArray part = {.release = NULL};
  struct error error = {.status = STATUS_OK};
  int64_t offset = batch->length / 3;
  enum status status =
      arrow_array_slice(schema, batch, offset, batch->length - offset, &part, &error);
  feed_expect(status == STATUS_OK, error.text);
  *batch = part;
}

/* The next batch, twice. False: it would be too large. */
static bool make_batch(struct trip *trip, struct ArrowArray *batch, struct ArrowArray *kept) {
  trip->maker.is_right = (trip->how & WRONG_BIT) == 0;
  int64_t rows = maker_byte(&trip->maker);
  rows = (trip->how & MANY_ROWS_BIT) != 0 ? MANY_ROWS - rows : rows % ROWS_MAX;
  struct maker again = trip->maker;
  return maker_batch(&trip->maker, trip->schema, rows, &trip->releases, batch) &&
         maker_batch(&again, trip->schema, rows, &trip->releases, kept);
}

/* False: the writer takes no more. */
static bool add_batch(struct trip *trip, struct parquet_writer *writer, struct ArrowArray *batch,
                      struct ArrowArray *kept) {
  struct error error = {.status = STATUS_OK};
  bool is_right = arrow_array_check(trip->schema, batch, ARRAY_CHECK_FULL, NULL) == STATUS_OK;
  if (!is_right && trip->options.is_checked) return true; /* nobody who says so hands it in */
  if (is_right && (trip->how & SLICES_BIT) != 0) {
    slice(trip->schema, batch);
    slice(trip->schema, kept);
  }
  enum status status = parquet_writer_add(writer, batch, &error);
  feed_expect((status == STATUS_OK) == (batch->release == NULL), "who holds the batch is known");
  if (status == STATUS_IO) return false;
  if (!is_right) {
    feed_expect(status == STATUS_INVALID || status == STATUS_SCHEMA, "what is wrong is refused");
    return status == STATUS_INVALID;
  }
  if (status != STATUS_OK && status != STATUS_SCHEMA) fprintf(stderr, "%s\n", error.text);
  feed_expect(status == STATUS_OK || status == STATUS_SCHEMA, "what is right is taken");
  if (status != STATUS_OK) return false;
  trip->rows += kept->length;
  trip->batches[trip->batch_count++] = *kept;
  kept->release = NULL;
  return true;
}

/* True when there is a whole file. */
static bool write_file(struct trip *trip) {
  struct parquet_writer *writer = new_writer(trip);
  struct error error = {.status = STATUS_OK};
  if (writer == NULL) return false;
  bool goes_on = true;
  int count = 1 + maker_byte(&trip->maker) % BATCHES_MAX;
  for (int i = 0; goes_on && i < count; i++) {
    struct ArrowArray batch = {.release = NULL};
    struct ArrowArray kept = {.release = NULL};
    goes_on = make_batch(trip, &batch, &kept) && add_batch(trip, writer, &batch, &kept);
    if (goes_on && (trip->how & GROUPS_BIT) != 0)
      goes_on = parquet_writer_end_group(writer, NULL) == STATUS_OK;
    arrow_array_release(&batch);
    arrow_array_release(&kept);
  }
  enum status status = goes_on ? parquet_writer_finish(writer, &error) : STATUS_CANCELLED;
  feed_expect(status == STATUS_OK || status == STATUS_SCHEMA || status == STATUS_IO || !goes_on,
              error.text);
  if (status == STATUS_OK) {
    struct parquet_progress progress;
    parquet_writer_progress(writer, &progress);
    feed_expect(progress.rows == trip->rows, "the rows are counted");
    feed_expect(progress.bytes == trip->file.size_bytes, "the bytes are counted");
  }
  parquet_writer_free(writer);
  return status == STATUS_OK;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* One session for as long as the process. */
static struct engine_session *session(void) {
  static struct engine *engine = NULL;
  static struct engine_session *session = NULL;
  struct error error = {.status = STATUS_OK};
  struct engine_options options = {
      .threads = 1, .local_files = true, .memory_limit_bytes = (int64_t)256 << 20};
  if (engine == NULL) {
    enum status status = engine_open(&options, &engine, &error);
    if (status == STATUS_OK) status = engine_session_open(engine, &session, &error);
    feed_expect(status == STATUS_OK, error.text);
  }
  return session;
}

/* In memory, under a path that no file before it had: DuckDB may remember those. */
static int open_file(const struct trip *trip, char *path, size_t path_bytes) {
  static unsigned number;
  int file = memfd_create("fuzz_parquet", MFD_CLOEXEC);
  int64_t bytes = trip->file.size_bytes;
  if (file < 0 || write(file, trip->file.data, (size_t)bytes) != bytes) abort();
  number++;
  size_t used = (size_t)snprintf(path, path_bytes, "/proc/self/fd");
  for (unsigned bit = 0; bit < 24; bit++) /* a number in slashes and dots */
    used += (size_t)snprintf(path + used, path_bytes - used, "/%s", number >> bit & 1 ? "." : "");
  snprintf(path + used, path_bytes - used, "/%d", file);
  return file;
}

/* What DuckDB says of files that are right and that it does not read. */
static bool is_limit(const char *text) {
  static const char *const limits[] = {
      "BYTE_STREAM_SPLIT encoding is only supported for FLOAT or DOUBLE",
  };
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    if (strstr(text, limits[i]) != NULL) return true;
  return false;
}

/* NULL: DuckDB does not read such files. Aborts with its words when it should have. */
static struct engine_result *query(const char *sql, const struct engine_value *value) {
  struct engine_result *result = NULL;
  struct error error = {.status = STATUS_OK};
  struct engine_query asked = {
      .sql = sql, .parameters = value, .parameter_count = value != NULL, .own = true};
  enum status status = engine_query(session(), &asked, &result, &error);
  feed_expect(status == STATUS_OK || is_limit(error.text), error.text);
  return result;
}

static void next_batch(struct engine_result *result, struct ArrowArray *batch) {
  struct error error = {.status = STATUS_OK};
  enum status status = engine_result_next(result, batch, &error);
  feed_expect(status == STATUS_OK, error.text);
}

static void show(const struct ArrowSchema *schema, const struct ArrowArray *batch) {
  struct text text = TEXT_EMPTY;
  struct error error = {.status = STATUS_OK};
  if (arrow_array_print(schema, batch, 8, 200, &text, &error) == STATUS_OK)
    fprintf(stderr, "%s\n", text_get(&text));
  text_release(&text);
}

static void compare_row(const struct trip *trip, const struct ArrowArray *written, int64_t row,
                        const struct ArrowSchema *schema, const struct ArrowArray *read,
                        int64_t read_row) {
  struct slot left = {trip->schema, written, row};
  struct slot right = {schema, read, read_row};
  if (same_value(left, right)) return;
  show(trip->schema, written);
  show(schema, read);
  fprintf(stderr, "row %lld of a batch, row %lld as it was read\n", (long long)row,
          (long long)read_row);
  feed_expect(false, "what is read is what was written");
}

/* False: DuckDB does not read it. */
static bool compare_all(const struct trip *trip, const char *path) {
  char sql[256];
  snprintf(sql, sizeof sql, "SELECT * FROM read_parquet('%s', hive_partitioning = false)", path);
  struct engine_result *result = query(sql, NULL);
  if (result == NULL) return false;
  const struct ArrowSchema *schema = engine_result_schema(result);
  feed_expect(schema->n_children == trip->schema->n_children, "the columns are all there");
  struct ArrowArray read = {.release = NULL};
  int64_t at = 0;
  for (int i = 0; i < trip->batch_count; i++)
    for (int64_t row = 0; row < trip->batches[i].length; row++, at++) {
      while (read.release == NULL || at == read.length) {
        arrow_array_release(&read);
        next_batch(result, &read);
        feed_expect(read.release != NULL, "every row is there");
        at = 0;
      }
      compare_row(trip, &trip->batches[i], row, schema, &read, at);
    }
  feed_expect(read.release == NULL || at == read.length, "no row more is there");
  arrow_array_release(&read);
  if (read.release == NULL) next_batch(result, &read);
  feed_expect(read.release == NULL, "no row more is there");
  engine_result_close(result);
  return true;
}

/* ---- looking for a value --------------------------------------------------------------------- */

static struct slot cell(const struct trip *trip, int batch, int64_t column, int64_t row) {
  const struct ArrowArray *array = &trip->batches[batch];
  return (struct slot){trip->schema->children[column], array->children[column],
                       array->offset + row};
}

/* What a query can ask for; false: another kind of value, or none. */
static bool value_of(struct slot slot, struct engine_value *value, __int128 *number) {
  struct arrow_type type;
  if (!slot_resolve(&slot, &type)) return false;
  *value = (struct engine_value){.kind = ENGINE_INTEGER};
  if (type.kind >= ARROW_INT8 && type.kind <= ARROW_UINT64) {
    *number = slot_number(&slot, &type);
    value->integer = (int64_t)*number;
    return *number <= INT64_MAX;
  }
  if (type.kind != ARROW_UTF8 && type.kind != ARROW_LARGE_UTF8 && type.kind != ARROW_UTF8_VIEW)
    return false;
  int64_t bytes = 0;
  const uint8_t *data = slot_bytes(&slot, &type, &bytes);
  *value = (struct engine_value){.kind = ENGINE_TEXT,
                                 .text = bytes == 0 ? "" : (const char *)data,
                                 .text_bytes = (size_t)bytes};
  return true;
}

static int64_t ask(const char *path, int64_t column, const char *comparison,
                   const struct engine_value *value) {
  char sql[256];
  struct ArrowArray read = {.release = NULL};
  snprintf(sql, sizeof sql,
           "SELECT count(*)::BIGINT FROM read_parquet('%s', hive_partitioning = false) "
           "WHERE %s %s ?",
           path, column_names[column], comparison);
  struct engine_result *result = query(sql, value);
  feed_expect(result != NULL, "what was read once is read again");
  next_batch(result, &read);
  feed_expect(read.release != NULL && read.length == 1, "a count is one row");
  int64_t count = ((const int64_t *)read.children[0]->buffers[1])[read.children[0]->offset];
  arrow_array_release(&read);
  engine_result_close(result);
  return count;
}

/* Rows that equal the value in the middle, and those of more. */
static void look_for(const struct trip *trip, const char *path, int64_t column, int batch) {
  struct engine_value value, other;
  __int128 number = 0, other_number = 0;
  int64_t equal = 0, more = 0;
  if (trip->batches[batch].length == 0) return;
  struct slot wanted = cell(trip, batch, column, trip->batches[batch].length / 2);
  if (!value_of(wanted, &value, &number)) return;
  for (int i = 0; i < trip->batch_count; i++)
    for (int64_t row = 0; row < trip->batches[i].length; row++) {
      struct slot slot = cell(trip, i, column, row);
      equal += same_value(slot, wanted);
      bool is_number = value_of(slot, &other, &other_number) || other_number > INT64_MAX;
      more += is_number && other_number > number;
      other_number = 0;
    }
  feed_expect(ask(path, column, "=", &value) == equal, "a query finds every row of a value");
  if (value.kind == ENGINE_INTEGER)
    feed_expect(ask(path, column, ">", &value) == more, "a query finds every row of larger values");
}

static void read_back(const struct trip *trip) {
  char path[128];
  int file = open_file(trip, path, sizeof path);
  bool is_read = compare_all(trip, path);
  for (int64_t i = 0; is_read && i < trip->schema->n_children; i++)
    if (trip->batch_count > 0) look_for(trip, path, i, (int)(trip->rows % trip->batch_count));
  close(file);
}

/* ---- a case -------------------------------------------------------------------------------- */

static uint64_t sum_of(const uint8_t *data, size_t size) {
  uint64_t sum = 0x9E3779B97F4A7C15;
  for (size_t i = 0; i < size; i++) sum = (sum ^ data[i]) * 0x100000001B3;
  return sum | 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < OPTION_BYTES) return 0;
  struct trip trip = {.maker = {.at = data + OPTION_BYTES,
                                .end = data + size,
                                .more = sum_of(data, size),
                                .is_mild = true,
                                .is_right = true}};
  read_options(&trip, data);
  trip.schema = maker_schema(&trip.maker);
  if (trip.schema != NULL && write_file(&trip)) read_back(&trip);
  for (int i = 0; i < trip.batch_count; i++) arrow_array_release(&trip.batches[i]);
  maker_end(&trip.maker);
  buffer_release(&trip.file);
  feed_expect_nothing_held(&feed_budget);
  feed_expect_nothing_held(&file_budget);
  return 0;
}
