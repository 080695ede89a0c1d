/* Small loads that have come whole: what every destination does with them that has no way of its
 * own, one load after the other. */
#include <string.h>

#include "sink/sink.h"

static enum status append_all(struct load *load, struct parcel *parcel) {
  for (int64_t i = 0; i < parcel->batch_count; i++) {
    enum status status = load_append(load, &parcel->batches[i], parcel->error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

static enum status land_one(struct sink *sink, const struct load_spec *spec,
                            struct parcel *parcel) {
  struct load_spec own = *spec;
  struct load *load = NULL;
  own.schema = parcel->schema;
  own.token = parcel->token;
  enum status status = load_begin(sink, &own, &load, parcel->error);
  parcel->schema_refused = status == STATUS_SCHEMA;
  if (status != STATUS_OK) return status;
  status = append_all(load, parcel);
  if (status == STATUS_OK) return load_commit(load, &parcel->result, parcel->error);
  load_abort(load);
  return status;
}

void sink_land(struct sink *sink, const struct load_spec *spec, struct parcel *parcels,
               int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    parcels[i].status = STATUS_OK;
    parcels[i].schema_refused = false;
    parcels[i].result = (struct load_result){.version = -1};
  }
  if (sink->type->land != NULL) {
    sink->type->land(sink, spec, parcels, count);
  } else {
    for (int64_t i = 0; i < count; i++) parcels[i].status = land_one(sink, spec, &parcels[i]);
  }
  for (int64_t i = 0; i < count; i++)
    for (int64_t k = 0; k < parcels[i].batch_count; k++)
      if (parcels[i].batches[k].release != NULL) arrow_array_release(&parcels[i].batches[k]);
}
