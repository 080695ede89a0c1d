/* Every allocation made to fail in turn.
 *
 * Programs named tests/<room>/test_nomem*.c are linked so that what our objects ask the C
 * library for memory goes through this helper (cmake/tests.cmake, "--wrap"), which counts,
 * remembers what was not given back, and fails what it is told to. What shared libraries
 * take for themselves is not seen; the contexts that ZSTD and LZ4 make for us are, and so
 * are threads.
 *
 *   static enum status read_it(void *context, struct error *error);
 *   nomem_run("reading a stream", read_it, &stream);
 *
 * An operation is whole: it makes what it needs and lets go of it again. It is run once to
 * count, then once for each allocation that fails alone, and once for each from which on all
 * fail. Each of these runs must end with STATUS_NOMEM and a text, and with nothing held. */
#ifndef ARROWPORT_TESTS_NOMEM_NOMEM_H
#define ARROWPORT_TESTS_NOMEM_NOMEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

/* What operations charge. */
extern struct budget nomem_budget;

typedef enum status (*nomem_operation)(void *context, struct error *error);

/* Fails the running test when something is not as it must be. Returns how many allocations
 * there were. At most `spared_max` of them are such that the operation can do without and end
 * with STATUS_OK: where somebody asks for less instead, or for no help, as a comment in src/
 * says; what comes of it must be the same then, which is for the operation to check. */
int64_t nomem_run(const char *what, nomem_operation operation, void *context, int64_t spared_max);
/* As nomem_run, for operations that take their time: one allocation in `step` fails, the first, and
 * so on. All do when the environment has NOMEM_ALL (scripts/soak). */
int64_t nomem_run_some(const char *what, nomem_operation operation, void *context,
                       int64_t spared_max, int64_t step);

/* Behind a step that left everything as it was when it failed, so that it may be repeated:
 *
 *   do status = step(error);
 *   while (nomem_again(status));
 *
 * Operations that say so are run once more for each allocation, with one failure only; after
 * the step has been repeated the run must end with STATUS_OK. And they are run with a budget
 * that refuses every charge, and has a little more room each time it has, until they end with
 * STATUS_OK. nomem_again_budget is for steps that may be repeated after STATUS_BUDGET alone. */
bool nomem_again(enum status status);
bool nomem_again_budget(enum status status);

/* Between the two an operation prepares and checks: nothing is counted, nothing fails. Outside of
 * nomem_run they do nothing. */
void nomem_pause(void);
void nomem_resume(void);

#endif
