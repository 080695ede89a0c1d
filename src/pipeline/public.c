/* The public API (include/arrowport/arrowport.h) over the house's own functions. */
#include "arrowport/arrowport.h"

#include <string.h>

#include "arrowport_version.h"
#include "pipeline/pipeline.h"
#include "source/public.h"

const char *arrowport_version(void) { return ARROWPORT_VERSION; }

const char *arrowport_status_name(enum arrowport_status status) {
  if ((int)status < STATUS_OK || (int)status > STATUS_INTERNAL) return "?";
  return status_name((enum status)status);
}

static enum status open_sink(const struct arrowport_load_options *options, struct sink **sink,
                             struct error *error) {
  const struct sink_type *type = sink_find(options->sink);
  if (type == NULL) return sink_open(options->sink, NULL, sink, error); /* says which there are */
  struct config *config = NULL;
  enum status status = config_new(type->config, &config, error);
  if (status == STATUS_OK) status = config_environment(config, error);
  for (size_t i = 0; i < options->setting_count && status == STATUS_OK; i++)
    status = config_set(config, options->settings[i].name, options->settings[i].value, CONFIG_FLAG,
                        error);
  if (status == STATUS_OK) status = config_check(config, error);
  if (status == STATUS_OK) status = sink_open(options->sink, config, sink, error);
  config_free(config);
  return status;
}

static enum status read_mode(const char *name, enum sink_mode *mode, struct error *error) {
  static const enum sink_mode modes[] = {SINK_APPEND, SINK_OVERWRITE, SINK_UPSERT, SINK_MERGE};
  *mode = SINK_APPEND;
  if (name == NULL) return STATUS_OK;
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    *mode = modes[i];
    if (strcmp(sink_mode_name(*mode), name) == 0) return STATUS_OK;
  }
  return error_set(error, STATUS_INVALID,
                   "the mode is \"%.40s\"; it must be append, overwrite, upsert or merge", name);
}

static enum status read_policy(const char *name, enum schema_policy *policy, struct error *error) {
  static const enum schema_policy policies[] = {SCHEMA_SKIP, SCHEMA_STRICT, SCHEMA_MERGE};
  *policy = SCHEMA_SKIP;
  if (name == NULL) return STATUS_OK;
  for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
    *policy = policies[i];
    if (strcmp(schema_policy_name(*policy), name) == 0) return STATUS_OK;
  }
  return error_set(error, STATUS_INVALID,
                   "the schema policy is \"%.40s\"; it must be skip, strict or merge", name);
}

static enum status load(struct ArrowArrayStream *stream,
                        const struct arrowport_load_options *options, struct load_result *result,
                        struct error *error) {
  if (options->sink == NULL || options->table == NULL)
    return error_set(error, STATUS_INVALID, "sink and table must be set in arrowport_load_options");
  for (size_t i = 0; i < options->setting_count; i++)
    if (options->settings == NULL || options->settings[i].name == NULL ||
        options->settings[i].value == NULL)
      return error_set(error, STATUS_INVALID, "setting %zu lacks its name or value", i);
  for (size_t i = 0; i < options->key_count; i++)
    if (options->keys == NULL || options->keys[i] == NULL)
      return error_set(error, STATUS_INVALID, "key %zu has no name", i);
  struct source *source = NULL;
  struct sink *sink = NULL;
  struct pipeline_target target = {.create_table = !options->must_exist,
                                   .keys = options->keys,
                                   .key_count = options->key_count,
                                   .refuse_duplicates = options->refuse_duplicates,
                                   .token = options->idempotency_key};
  enum status status =
      table_name_parse(options->table, strlen(options->table), &target.table, error);
  if (status == STATUS_OK) status = read_mode(options->mode, &target.mode, error);
  if (status == STATUS_OK) status = read_policy(options->schema_policy, &target.policy, error);
  if (status == STATUS_OK) status = open_sink(options, &sink, error);
  target.sink = sink;
  if (status == STATUS_OK) status = source_open_c_stream(stream, &source, error);
  if (status == STATUS_OK) status = pipeline_run(source, &target, NULL, result, error);
  source_close(source);
  sink_close(sink);
  return status;
}

enum arrowport_status arrowport_load(struct ArrowArrayStream *stream,
                                     const struct arrowport_load_options *options,
                                     struct arrowport_load_result *result,
                                     struct arrowport_error *error) {
  struct load_result loaded = {.version = -1};
  struct error why = {.status = STATUS_OK};
  struct arrowport_load_options own;
  enum status status = public_need(stream, "stream", &why);
  if (status == STATUS_OK)
    status = public_options(options, "arrowport_load", &own, sizeof own, &why);
  if (status == STATUS_OK) status = load(stream, &own, &loaded, &why);
  if (stream != NULL && stream->release != NULL) stream->release(stream);
  if (status == STATUS_OK && result != NULL)
    *result = (struct arrowport_load_result){loaded.rows, loaded.batches, loaded.version};
  if (status == STATUS_OK && own.repeated != NULL) *own.repeated = loaded.repeated;
  load_result_release(&loaded);
  return public_status(status, &why, error);
}
