/* Arrow's integration-test JSON: schemas and values that a golden file must yield.
 * Whatever differs fails the running test with its place. */
#ifndef ARROWPORT_TESTS_ARROW_GOLDEN_H
#define ARROWPORT_TESTS_ARROW_GOLDEN_H

#include <stdint.h>

#include "arrow/abi.h"

struct golden;

/* `name` below tests/data, with .json.gz. */
struct golden *golden_open(const char *name);
void golden_close(struct golden *golden);

int64_t golden_batch_count(const struct golden *golden);
void golden_check_schema(const struct golden *golden, const struct ArrowSchema *schema);
void golden_check_batch(const struct golden *golden, int64_t index,
                        const struct ArrowSchema *schema, const struct ArrowArray *batch);

#endif
