/* A database that is out of use, opened anew under the same engine. */
#include <assert.h>

#include "engine/private.h"

int64_t engine_generation(struct engine *engine) { return atomic_load(&engine->generation); }

void engine_on_loss(struct engine *engine, void (*release)(void *context), void *context) {
  assert(engine->loss_count < ENGINE_LOSS_MAX);
  engine->losses[engine->loss_count++] = (struct engine_loss){release, context};
}
