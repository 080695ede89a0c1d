#include "source/source.h"

#include <string.h>

#include "source/private.h"

static const struct source_type *const types[] = {&SOURCE_IPC_FILE, &SOURCE_IPC_STREAM,
                                                  &SOURCE_FLIGHT_SQL};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

const struct source_type *const *source_all(size_t *count) {
  *count = TYPE_COUNT;
  return types;
}

const struct source_type *source_find(const char *name) {
  for (size_t i = 0; i < TYPE_COUNT; i++)
    if (strcmp(types[i]->name, name) == 0) return types[i];
  return NULL;
}

enum status source_open(const char *name, const struct config *config, struct budget *budget,
                        struct source **source, struct error *error) {
  *source = NULL;
  const struct source_type *type = source_find(name);
  if (type == NULL)
    return error_set(error, STATUS_NOT_FOUND,
                     "there is no source '%s'; ipc_file, ipc_stream and flight_sql are there",
                     name);
  return type->open(config, budget, source, error);
}

void source_close(struct source *source) {
  if (source != NULL) source->type->close(source);
}

const struct ArrowSchema *source_schema(struct source *source) {
  return source->type->schema(source);
}

enum status source_next(struct source *source, struct ArrowArray *batch, struct error *error) {
  batch->release = NULL;
  if (!source->has_failed) {
    source->error.status = source->type->next(source, batch, &source->error);
    if (source->error.status == STATUS_OK) return STATUS_OK;
    source->has_failed = source->error.status != STATUS_BUDGET;
  }
  if (error != NULL) *error = source->error;
  return source->error.status;
}

const char *source_metadata(struct source *source) {
  return source->type->metadata == NULL ? NULL : source->type->metadata(source);
}

double source_fraction(struct source *source) {
  return source->type->fraction == NULL ? -1 : source->type->fraction(source);
}
