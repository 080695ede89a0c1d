/* The sink of DuckLake: the shared suite, the number of the snapshot, names, a lent engine. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "ducklake.h"
#include "sink/duckdb.h"
#include "sink/ducklake.h"
#include "suite.h"

static char folder[32], path[64];

static void in_a_file(struct config *config) {
  struct error error = {0};
  if (folder[0] == '\0') {
    snprintf(folder, sizeof folder, "/tmp/arrowport-sink-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/lake.ducklake", folder);
  }
  if (config_set(config, "path", path, CONFIG_FLAG, &error) != STATUS_OK ||
      config_set(config, "extension", ducklake_extension(), CONFIG_FLAG, &error) != STATUS_OK)
    fail_msg("%s", error.text);
}

static void clean(void) {
  char command[160];
  snprintf(command, sizeof command,
           "cd %s && rm -rf lake.ducklake.files lake.ducklake lake.ducklake.wal && rmdir %s",
           folder, folder);
  assert_int_equal(system(command), 0); /* and nothing else was in it */
  folder[0] = '\0';
}

static enum status read_rows(struct sink *sink, const struct table_name *table, struct text *out,
                             struct error *error) {
  struct table_name full = *table;
  snprintf(full.catalog, sizeof full.catalog, "lake");
  snprintf(full.schema, sizeof full.schema, "main");
  return suite_read(sink_duckdb_engine(sink), &full, out, error);
}

/* ---- what only a lake has ------------------------------------------------------------------- */

static struct sink *open_lake(void) {
  struct config *config;
  struct sink *sink = NULL;
  struct error error = {0};
  assert_int_equal(config_new(SINK_DUCKLAKE.config, &config, &error), STATUS_OK);
  in_a_file(config);
  if (sink_open("ducklake", config, &sink, &error) != STATUS_OK) fail_msg("%s", error.text);
  config_free(config);
  return sink;
}

static struct ArrowSchema numbers_schema(void) {
  struct ArrowSchema schema;
  struct error error = {0};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, 1, &error), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema.children[0], "l", "n", true, 0, &error), STATUS_OK);
  return schema;
}

static struct ArrowArray numbers(const struct ArrowSchema *schema, int64_t count) {
  static struct budget budget = {.limit_bytes = 1 << 30};
  struct ArrowArray batch;
  struct build *build;
  struct error error = {0};
  assert_int_equal(build_new(schema, &budget, &build, &error), STATUS_OK);
  for (int64_t i = 0; i < count; i++) {
    assert_int_equal(build_integer(build_child(build, 0), i, &error), STATUS_OK);
    assert_int_equal(build_slot(build, &error), STATUS_OK);
  }
  assert_int_equal(build_finish(build, &batch, &error), STATUS_OK);
  build_free(build);
  return batch;
}

/* The version that a load of `count` rows answers with. */
static int64_t land(struct sink *sink, const char *catalog, enum sink_mode mode, int64_t count) {
  struct ArrowSchema schema = numbers_schema();
  struct load_spec spec = {
      .table = {.table = "t"}, .schema = &schema, .mode = mode, .create_table = true};
  struct load *load;
  struct load_result result;
  struct error error = {0};
  struct ArrowArray batch = numbers(&schema, count);
  snprintf(spec.table.catalog, sizeof spec.table.catalog, "%s", catalog);
  if (load_begin(sink, &spec, &load, &error) != STATUS_OK ||
      load_append(load, &batch, &error) != STATUS_OK ||
      load_commit(load, &result, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  assert_int_equal(result.rows, count);
  int64_t version = result.version;
  load_result_release(&result);
  arrow_schema_release(&schema);
  return version;
}

static void test_versions(void **state) {
  (void)state;
  struct sink *sink = open_lake();
  int64_t first = land(sink, "", SINK_APPEND, 10);
  assert_true(first > 0);
  int64_t second = land(sink, "LAKE", SINK_APPEND, 5000);
  assert_int_equal(second, first + 1);
  assert_int_equal(land(sink, "lake", SINK_OVERWRITE, 3), second + 1);
  struct ArrowSchema schema = numbers_schema();
  struct ArrowArray batches[2] = {numbers(&schema, 4), numbers(&schema, 5)};
  struct error errors[2] = {{0}};
  struct parcel parcels[2] = {
      {.schema = &schema, .batches = &batches[0], .batch_count = 1, .error = &errors[0]},
      {.schema = &schema, .batches = &batches[1], .batch_count = 1, .error = &errors[1]}};
  struct load_spec spec = {.table = {.table = "t"}, .schema = &schema, .mode = SINK_APPEND};
  sink_land(sink, &spec, parcels, 2);
  for (int i = 0; i < 2; i++) {
    if (parcels[i].status != STATUS_OK) fail_msg("%s", errors[i].text);
    assert_int_equal(parcels[i].result.version, second + 2); /* one snapshot for both */
    load_result_release(&parcels[i].result);
  }
  arrow_schema_release(&schema);
  struct table_info *tables = NULL;
  int64_t count = 0;
  struct error error = {0};
  assert_int_equal(sink_list_tables(sink, &tables, &count, &error), STATUS_OK);
  assert_int_equal(count, 1);
  assert_string_equal(tables[0].name.catalog, "lake");
  assert_string_equal(tables[0].name.schema, "main");
  table_info_release(&tables[0]);
  free(tables);
  sink_close(sink);
  clean();
}

static void test_another_catalog(void **state) {
  (void)state;
  struct sink *sink = open_lake();
  struct ArrowSchema schema = numbers_schema();
  struct load_spec spec = {.table = {.catalog = "memory", .table = "t"},
                           .schema = &schema,
                           .mode = SINK_APPEND,
                           .create_table = true};
  struct load *load;
  struct error error = {0};
  assert_int_equal(load_begin(sink, &spec, &load, &error), STATUS_NOT_FOUND);
  assert_non_null(strstr(error.text, "this lake is \"lake\""));
  struct ArrowArray batch = numbers(&schema, 4);
  struct parcel parcel = {.schema = &schema, .batches = &batch, .batch_count = 1, .error = &error};
  sink_land(sink, &spec, &parcel, 1);
  assert_int_equal(parcel.status, STATUS_NOT_FOUND);
  assert_null(batch.release);
  arrow_schema_release(&schema);
  sink_close(sink);
  clean();
}

/* The server's lakes: one engine, a sink each. */
static void test_on_a_lent_engine(void **state) {
  (void)state;
  struct config *config;
  struct sink *duckdb = NULL, *lake = NULL;
  struct error error = {0};
  sink_close(open_lake()); /* makes the folder */
  assert_int_equal(config_new(SINK_DUCKDB.config, &config, &error), STATUS_OK);
  assert_int_equal(config_add(config, "extensions", ducklake_extension(), CONFIG_FLAG, &error),
                   STATUS_OK);
  assert_int_equal(config_add(config, "lakes", path, CONFIG_FLAG, &error), STATUS_OK);
  if (sink_open("duckdb", config, &duckdb, &error) != STATUS_OK) fail_msg("%s", error.text);
  config_free(config);
  assert_int_equal(sink_ducklake_on(duckdb, "/tmp/none.ducklake", &lake, &error), STATUS_NOT_FOUND);
  assert_null(lake);
  if (sink_ducklake_on(duckdb, path, &lake, &error) != STATUS_OK) fail_msg("%s", error.text);
  assert_ptr_equal(sink_duckdb_engine(lake), sink_duckdb_engine(duckdb));
  assert_int_equal(land(duckdb, "", SINK_APPEND, 7), -1);
  assert_true(land(lake, "", SINK_APPEND, 9) > 0);
  struct table_info info = {.columns = NULL};
  struct table_name name = {.table = "t"};
  assert_int_equal(sink_table_info(lake, &name, &info, &error), STATUS_OK);
  assert_int_equal(info.rows, 9);
  table_info_release(&info);
  assert_int_equal(sink_table_info(duckdb, &name, &info, &error), STATUS_OK);
  assert_int_equal(info.rows, 7);
  table_info_release(&info);
  sink_close(lake);
  sink_close(duckdb);
  clean();
}

/* They race to make the table; every one lands, whatever DuckLake says about the others. */
enum { LOADERS = 4, LOADS = 12 };
struct loader {
  struct sink *sink;
  struct error error;
  int landed;
};

static void *load_often(void *context) {
  struct loader *loader = context;
  struct ArrowSchema schema = numbers_schema();
  struct load_spec spec = {
      .table = {.table = "t"}, .schema = &schema, .mode = SINK_APPEND, .create_table = true};
  for (int i = 0; i < LOADS; i++) {
    struct load *load;
    struct load_result result;
    struct ArrowArray batch = numbers(&schema, 300);
    enum status status = load_begin(loader->sink, &spec, &load, &loader->error);
    if (status == STATUS_OK) status = load_append(load, &batch, &loader->error);
    if (status == STATUS_OK) status = load_commit(load, &result, &loader->error);
    if (status != STATUS_OK) break;
    load_result_release(&result);
    loader->landed++;
  }
  arrow_schema_release(&schema);
  return NULL;
}

static void test_many_loaders(void **state) {
  (void)state;
  struct sink *sink = open_lake();
  struct loader loaders[LOADERS] = {{.sink = NULL}};
  pthread_t threads[LOADERS];
  for (int i = 0; i < LOADERS; i++) {
    loaders[i].sink = sink;
    assert_int_equal(pthread_create(&threads[i], NULL, load_often, &loaders[i]), 0);
  }
  for (int i = 0; i < LOADERS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < LOADERS; i++)
    if (loaders[i].landed != LOADS)
      fail_msg("load %d: %s", loaders[i].landed, loaders[i].error.text);
  struct text got = TEXT_EMPTY;
  struct table_name name = {.table = "t"};
  struct error error = {0};
  assert_int_equal(read_rows(sink, &name, &got, &error), STATUS_OK);
  size_t rows = 0;
  for (const char *at = text_get(&got); *at != '\0'; at++) rows += *at == '\n';
  assert_int_equal(rows, LOADERS * LOADS * 300);
  text_release(&got);
  sink_close(sink);
  clean();
}

int main(void) {
  static const struct suite_target target = {"ducklake", "ducklake", in_a_file,
                                             clean,      true,       read_rows};
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_versions),
      cmocka_unit_test(test_another_catalog),
      cmocka_unit_test(test_on_a_lent_engine),
      cmocka_unit_test(test_many_loaders),
  };
  if (ducklake_extension() == NULL) return 0;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed + suite_run(&target);
}
