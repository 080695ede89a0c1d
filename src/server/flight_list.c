/* ListFlights: the streams and tables that the caller may read. */
#include <stdlib.h>
#include <string.h>

#include "flight/data.h"
#include "server/auth_parts.h"
#include "server/flight_methods.h"

enum { FLIGHTS_MAX = 10000, PATTERN_BYTES_MAX = 1024 };

struct listing {
  struct flight_ask *ask;
  char pattern[PATTERN_BYTES_MAX + 1]; /* "": all */
  int64_t count;
};

/* The pattern that the criteria say: '*' (or '%', as SQL's LIKE has it) is any text, '?' one character. */
static enum status read_criteria(struct listing *listing, const struct buffer *message,
                                 struct error *error) {
  Arrow__Flight__Protocol__Criteria *criteria =
      FLIGHT(criteria__unpack)(NULL, (size_t)message->size_bytes, message->data);
  enum status status = STATUS_OK;
  if (criteria == NULL) return error_set(error, STATUS_INVALID, "the request is no Criteria");
  const ProtobufCBinaryData *expression = &criteria->expression;
  if (expression->len > PATTERN_BYTES_MAX ||
      utf8_valid_bytes(expression->data, expression->len) != expression->len ||
      (expression->len > 0 && memchr(expression->data, '\0', expression->len) != NULL))
    status =
        error_set(error, STATUS_INVALID,
                  "the criteria are a pattern of names, '*' for any text, in UTF-8, of %d bytes "
                  "at most",
                  PATTERN_BYTES_MAX);
  else if (expression->len > 0)
    memcpy(listing->pattern, expression->data, expression->len);
  for (char *at = listing->pattern; *at != '\0'; at++)
    if (*at == '%') *at = '*';
  FLIGHT(criteria__free_unpacked)(criteria, NULL);
  return status;
}

static bool matches(const struct listing *listing, const char *name) {
  return listing->pattern[0] == '\0' || auth_pattern_matches(listing->pattern, name, true);
}

static enum status count_one(struct listing *listing, struct error *error) {
  if (listing->count++ < FLIGHTS_MAX) return flight_ask_check(listing->ask, error);
  return error_set(error, STATUS_TOO_LARGE,
                   "there are more than %d flights; ask for some of them by a pattern",
                   FLIGHTS_MAX);
}

/* A stream whose table is not there yet: it can be written to. */
static enum status add_empty(struct listing *listing, FlightDescriptor *descriptor,
                             struct error *error) {
  struct ArrowSchema none = {.format = "+s", .name = ""};
  struct buffer schema = BUFFER_EMPTY;
  FlightInfo info = ARROW__FLIGHT__PROTOCOL__FLIGHT_INFO__INIT;
  enum status status = flight_schema_bytes(&none, &schema, error);
  info.schema = (ProtobufCBinaryData){.data = schema.data, .len = (size_t)schema.size_bytes};
  info.flight_descriptor = descriptor;
  if (status == STATUS_OK) status = flight_answer(listing->ask, &info.base, error);
  buffer_release(&schema);
  return status;
}

/* What a path leads to; `stream`: its table need not be there. */
static enum status add_path(struct listing *listing, char *name, bool stream, struct error *error) {
  FlightDescriptor descriptor = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  struct flight_request request;
  descriptor.type = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__PATH;
  descriptor.path = &name;
  descriptor.n_path = 1;
  enum status status = count_one(listing, error);
  if (status != STATUS_OK) return status;
  status = flight_request_path(listing->ask, &name, 1, &request, error);
  if (status == STATUS_OK)
    status = flight_answer_info(listing->ask, &request, &descriptor, false, error);
  flight_request_release(&request);
  if (status == STATUS_NOT_FOUND) /* a table may have gone since it was listed */
    status = stream ? add_empty(listing, &descriptor, error) : STATUS_OK;
  return status == STATUS_DENIED ? STATUS_OK : status; /* a view over what he may not read */
}

static enum status add_streams(struct listing *listing, struct error *error) {
  const struct server_config *config = listing->ask->config;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < config->stream_count && status == STATUS_OK; i++) {
    const struct stream_config *stream = &config->streams[i];
    if (auth_allow_stream(listing->ask->who, AUTH_READ, stream->name, &stream->table, NULL) !=
            STATUS_OK ||
        !matches(listing, stream->name))
      continue;
    status = add_path(listing, (char *)(uintptr_t)stream->name, true, error);
  }
  return status;
}

static enum status add_tables(struct listing *listing, const struct table_info *tables,
                              int64_t count, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    struct text name = TEXT_EMPTY;
    if (auth_allow_table(listing->ask->who, AUTH_READ, &tables[i].name, NULL) != STATUS_OK)
      continue;
    status = table_name_print(&tables[i].name, &name, error);
    /* A stream of that name was listed already. */
    if (status == STATUS_OK && matches(listing, text_get(&name)) &&
        server_config_stream(listing->ask->config, text_get(&name)) == NULL)
      status = add_path(listing, name.data, false, error);
    text_release(&name);
  }
  return status;
}

static enum status add_backend(struct listing *listing, const char *backend, struct error *error) {
  struct sink *sink = NULL;
  struct table_info *tables = NULL;
  int64_t count = 0;
  enum status status = storage_sink(listing->ask->server->storage, backend, &sink, error);
  if (status == STATUS_UNAVAILABLE && server_config_lake_path(backend) != NULL) return STATUS_OK;
  if (status == STATUS_OK) status = sink_list_tables(sink, &tables, &count, error);
  if (status == STATUS_OK) status = add_tables(listing, tables, count, error);
  for (int64_t i = 0; i < count; i++) table_info_release(&tables[i]);
  free(tables);
  return status;
}

enum status flight_list_flights(struct flight_ask *ask, const struct buffer *message,
                                struct error *error) {
  struct listing listing = {.ask = ask};
  enum status status = read_criteria(&listing, message, error);
  if (status == STATUS_OK) status = add_streams(&listing, error);
  if (status == STATUS_OK) status = add_backend(&listing, "duckdb", error);
  for (size_t i = 0; i < ask->config->lake_count && status == STATUS_OK; i++)
    status = add_backend(&listing, ask->config->lakes[i].backend, error);
  return status;
}
