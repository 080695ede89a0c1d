/* memory_limit and what there is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/config.h"
#include "server/settings.h"

static const char FIELD[] = "memory_limit";

static int64_t least(const struct config *values) {
  const struct config_field *field = config_fields(values);
  while (strcmp(field->name, FIELD) != 0) field++;
  return field->min;
}

/* In the words that the setting takes: whole units where it comes out even. */
static enum status set(struct server_config *config, int64_t bytes, struct error *error) {
  char text[MEMORY_TEXT_BYTES];
  bool even = bytes % (1 << 20) == 0;
  snprintf(text, sizeof text, even ? "%" PRId64 "MiB" : "%" PRId64, even ? bytes >> 20 : bytes);
  return config_set(config->settings->values, FIELD, text, CONFIG_DEFAULT, error);
}

static void warn(struct server_config *config, const struct memory_bound *bound) {
  char limit[MEMORY_TEXT_BYTES];
  char there[320];
  if (config->memory_limit_bytes <= bound->bytes - SERVER_MEMORY_BESIDE_BYTES) return;
  memory_print(config->memory_limit_bytes, limit);
  memory_bound_print(bound, there, sizeof there);
  snprintf(config->memory_warning, sizeof config->memory_warning,
           "memory_limit: %s and the %d MiB that the process takes besides are more than %s: the "
           "kernel would rather end the server than let it have so much",
           limit, (int)(SERVER_MEMORY_BESIDE_BYTES >> 20), there);
}

/* 16 bytes each: all of them take a sixteenth of the limit. */
static void bound_tokens(struct server_config *config) {
  int64_t fitting = config->memory_limit_bytes / 256;
  if (config_origin(config->settings->values, "tokens_max") == CONFIG_DEFAULT &&
      config->tokens_max > fitting)
    config->tokens_max = fitting;
}

enum status server_config_bound(struct server_config *config, const struct memory_bound *bound,
                                struct error *error) {
  const struct config *values = config->settings->values;
  enum status status = STATUS_OK;
  if (bound->source == MEMORY_UNKNOWN) {
    bound_tokens(config);
    return STATUS_OK;
  }
  int64_t half_bytes = bound->bytes / 2;
  if (config_origin(values, FIELD) == CONFIG_DEFAULT && half_bytes < config->memory_limit_bytes) {
    char there[320];
    bool little = half_bytes < least(values);
    memory_bound_print(bound, there, sizeof there);
    status = set(config, little ? least(values) : half_bytes, error);
    config->memory_limit_bytes = config_integer(values, FIELD);
    snprintf(config->memory_why, sizeof config->memory_why, "default: %s %s",
             little ? "the least, more than half of" : "half of", there);
  }
  if (config_origin(values, FIELD) != CONFIG_DEFAULT) warn(config, bound);
  bound_tokens(config);
  return status;
}
