/* Schemas, their text, and shredding when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nomem/nomem.h"
#include "parquet/random_array.h"
#include "parquet/schema.h"
#include "parquet/shred.h"

enum { SCHEMAS = 25, ROWS = 300, DEPTH = 4 };

struct world {
  struct ArrowSchema arrow;
  struct ArrowArray batch;
  char *text; /* of the Arrow schema */
};

static enum status shred_all(const struct parquet_schema *schema, const struct ArrowArray *batch,
                             struct error *error) {
  struct parquet_shredder shredder = {.budget = &nomem_budget};
  enum status status = STATUS_OK;
  for (int32_t i = 0; i < schema->leaf_count && status == STATUS_OK; i++) {
    struct parquet_levels levels = {0};
    struct parquet_slots slots;
    for (int part = 0; part < 2 && status == STATUS_OK; part++)
      status = parquet_shred(&schema->leaves[i], batch, part * ROWS / 2, ROWS / 2, 0, &shredder,
                             &levels, &slots, error);
    if (status == STATUS_OK) assert_int_equal(levels.rows, ROWS);
    parquet_levels_release(&levels);
  }
  parquet_shredder_release(&shredder);
  return status;
}

static enum status make_and_shred(void *context, struct error *error) {
  const struct world *world = context;
  struct parquet_schema *schema = NULL;
  enum status status;
  do status = parquet_schema_new(&world->arrow, &schema, error);
  while (nomem_again(status));
  if (status == STATUS_OK) status = shred_all(schema, &world->batch, error);
  parquet_schema_free(schema);
  return status;
}

static enum status make_text(void *context, struct error *error) {
  const struct world *world = context;
  char *text = NULL;
  enum status status;
  do status = parquet_arrow_schema(&world->arrow, &nomem_budget, &text, error);
  while (nomem_again(status));
  assert_true((text != NULL) == (status == STATUS_OK));
  if (text != NULL) assert_string_equal(text, world->text);
  free(text);
  return status;
}

static void every_allocation_fails_in_turn(void **state) {
  (void)state;
  for (uint64_t i = 1; i <= SCHEMAS; i++) {
    struct random random = {.state = i * 0x9e3779b97f4a7c15U};
    struct world world = {.arrow = random_schema(&random, DEPTH)};
    world.batch = random_batch(&random, &world.arrow, ROWS);
    assert_true(nomem_run("a schema and its levels", make_and_shred, &world, 0) > 5);
    struct budget budget = {.limit_bytes = 1 << 20};
    assert_int_equal(parquet_arrow_schema(&world.arrow, &budget, &world.text, NULL), STATUS_OK);
    /* The IPC writer does without some of what it asks for. */
    assert_true(nomem_run("an Arrow schema's text", make_text, &world, INT64_MAX) > 2);
    free(world.text);
    world.batch.release(&world.batch);
    arrow_schema_release(&world.arrow);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_in_turn)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
