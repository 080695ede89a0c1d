/* The tests that every sink must pass. A sink joins by a target and a line in
 * test_suite.c. */
#ifndef ARROWPORT_TESTS_SINK_SUITE_H
#define ARROWPORT_TESTS_SINK_SUITE_H

#include "engine/engine.h"
#include "sink/sink.h"

struct suite_target {
  const char *name; /* "duckdb in a file" */
  const char *sink; /* "duckdb" */
  /* Called before each test: sets what the sink needs, for a place that is empty. */
  void (*configure)(struct config *config);
  /* Called after each test, when the sink is closed. */
  void (*clean)(void);
  /* What is written lives on when the sink is closed and opened again. */
  bool reopens;
  /* Appends every row of the table as NDJSON, ordered by its column "n"; NULL where
   * the sink cannot be read. STATUS_NOT_FOUND when there is no such table. */
  enum status (*read)(struct sink *sink, const struct table_name *table, struct text *out,
                      struct error *error);
};

/* Runs all tests; how many failed. */
int suite_run(const struct suite_target *target);

/* The part of them about loads by key (suite_modes.c); suite_run runs it. */
int suite_run_modes(const struct suite_target *target);

/* The part about parcels, tokens and schema policies (suite_land.c); suite_run runs it. */
int suite_run_land(const struct suite_target *target);

/* A target's `read` for a table that an engine reads. */
enum status suite_read(struct engine *engine, const struct table_name *table, struct text *out,
                       struct error *error);

/* For a target's `read`: appends a batch as NDJSON. */
enum status suite_ndjson(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                         struct text *out, struct error *error);

#endif
