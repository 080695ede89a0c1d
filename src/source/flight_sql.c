/* Rows of a Flight server: of a reader that somebody has opened, or, as the source `flight_sql`, of a
 * statement, a path or a command on a server that the settings name. */
#include <stdlib.h>
#include <string.h>

#include "source/flight_source.h"
#include "source/private.h"

struct flight_source {
  struct source source;
  struct flight_reader *reader;
  void (*close)(void *context);
  void *context;
};

static void flight_close(struct source *source) {
  struct flight_source *made = (struct flight_source *)source;
  flight_reader_close(made->reader);
  if (made->close != NULL) made->close(made->context);
  free(made);
}

static const struct ArrowSchema *flight_schema(struct source *source) {
  return flight_reader_schema(((struct flight_source *)source)->reader);
}

/* Messages with nothing but metadata are no rows. */
static enum status flight_next(struct source *source, struct ArrowArray *batch,
                               struct error *error) {
  struct flight_source *made = (struct flight_source *)source;
  struct flight_chunk chunk;
  bool got = true;
  enum status status = STATUS_OK;
  while (status == STATUS_OK && got && batch->release == NULL) {
    status = flight_reader_next(made->reader, &chunk, &got, error);
    if (status != STATUS_OK || !got) break;
    arrow_array_move(&chunk.batch, batch);
    flight_chunk_release(&chunk);
  }
  return status;
}

/* ---- by settings --------------------------------------------------------------------------------- */

static const struct config_field fields[] = {
    {.name = "url",
     .type = CONFIG_STRING,
     .required = true,
     .doc = "The server: grpc://HOST:PORT, grpc+tls://HOST:PORT, flightsql://HOST:PORT."},
    {.name = "query", .type = CONFIG_STRING, .doc = "The SQL whose rows are read."},
    {.name = "path",
     .type = CONFIG_LIST,
     .doc = "In place of a query: the path of the flight that is read."},
    {.name = "token",
     .type = CONFIG_STRING,
     .secret = true,
     .environment = "ARROWPORT_FLIGHT_TOKEN",
     .doc = "Bearer token."},
    {.name = "user", .type = CONFIG_STRING, .doc = "User, in place of a token."},
    {.name = "password",
     .type = CONFIG_STRING,
     .secret = true,
     .environment = "ARROWPORT_FLIGHT_PASSWORD",
     .doc = "The user's password."},
    {.name = "ca_cert",
     .type = CONFIG_PATH,
     .doc = "PEM: who signs the server's certificate; the system's list when unset."},
    {.name = "client_cert", .type = CONFIG_PATH, .doc = "PEM: our certificate."},
    {.name = "client_key", .type = CONFIG_PATH, .doc = "PEM: its key."},
    {.name = "insecure",
     .type = CONFIG_BOOLEAN,
     .default_text = "false",
     .doc = "Takes any certificate."},
    {.name = "timeout_ms",
     .type = CONFIG_INTEGER,
     .unit = "ms",
     .max = INT32_MAX,
     .doc = "How long all of it may take; as long as it does when unset."},
    {.name = "parallel",
     .type = CONFIG_INTEGER,
     .default_text = "4",
     .min = 1,
     .max = 64,
     .doc = "Endpoints that are read at a time."},
    CONFIG_FIELD_END};

static enum status open_reader(const struct config *config, struct flight_client *client,
                               struct flight_reader **reader, struct error *error) {
  const char *const *path;
  size_t path_count = config_list(config, "path", &path);
  const char *query = config_string(config, "query");
  FlightDescriptor descriptor = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  FlightInfo *info = NULL;
  if ((query != NULL) == (path_count > 0))
    return error_set(error, STATUS_INVALID, "give a query or a path");
  if (query != NULL) return flight_client_sql_query(client, query, NULL, NULL, reader, error);
  descriptor.type = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__PATH;
  descriptor.n_path = path_count;
  memcpy(&descriptor.path, &path, sizeof descriptor.path);
  enum status status = flight_client_info(client, &descriptor, NULL, &info, error);
  if (status == STATUS_OK) status = flight_reader_open(client, info, NULL, reader, error);
  if (info != NULL) FLIGHT(flight_info__free_unpacked)(info, NULL);
  return status;
}

static void close_client(void *context) { flight_client_close(context); }

static enum status flight_open(const struct config *config, struct budget *budget,
                               struct source **source, struct error *error) {
  struct flight_client *client = NULL;
  struct flight_reader *reader = NULL;
  struct flight_client_options options = {
      .url = config_string(config, "url"),
      .token = config_string(config, "token"),
      .user = config_string(config, "user"),
      .password = config_string(config, "password"),
      .ca_path = config_string(config, "ca_cert"),
      .cert_path = config_string(config, "client_cert"),
      .key_path = config_string(config, "client_key"),
      .insecure = config_boolean(config, "insecure"),
      .timeout_ms = config_integer(config, "timeout_ms"),
      .parallel = (int)config_integer(config, "parallel"),
      .budget = budget,
  };
  *source = NULL;
  enum status status = flight_client_open(&options, &client, error);
  if (status == STATUS_OK) status = open_reader(config, client, &reader, error);
  if (status == STATUS_OK) return source_open_flight(reader, close_client, client, source, error);
  flight_client_close(client);
  return status;
}

const struct source_type SOURCE_FLIGHT_SQL = {
    .name = "flight_sql",
    .summary = "a query on a Flight SQL server, or a flight of any Flight server",
    .config = fields,
    .open = flight_open,
    .close = flight_close,
    .schema = flight_schema,
    .next = flight_next,
};

enum status source_open_flight(struct flight_reader *reader, void (*close)(void *context),
                               void *context, struct source **source, struct error *error) {
  struct flight_source *made = calloc(1, sizeof *made);
  *source = NULL;
  if (made == NULL) {
    flight_reader_close(reader);
    if (close != NULL) close(context);
    return error_set(error, STATUS_NOMEM, "no memory for a stream");
  }
  *made = (struct flight_source){
      .source.type = &SOURCE_FLIGHT_SQL, .reader = reader, .close = close, .context = context};
  *source = &made->source;
  return STATUS_OK;
}
