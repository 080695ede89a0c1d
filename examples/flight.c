/* Copies a flight from one Flight server to another (or to another path of the same), batch by batch, and
 * says what the second one acknowledges.
 *
 * cc examples/flight.c -o flight $(pkg-config --cflags --libs arrowport)
 * ./flight grpc://127.0.0.1:8888 flights grpc://127.0.0.1:8888 copy */
#include <arrowport/flight.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool print_result(void *context, const void *app_metadata, size_t bytes) {
  (void)context;
  printf("%.*s\n", (int)bytes, (const char *)app_metadata);
  return true;
}

static enum arrowport_status copy(struct arrowport_flight *from, const char *from_path,
                                  struct arrowport_flight *to, const char *to_path,
                                  struct arrowport_error *error) {
  struct arrowport_flight_descriptor source = {.path = &from_path, .path_count = 1};
  struct arrowport_flight_descriptor target = {.path = &to_path, .path_count = 1};
  struct arrowport_flight_put_options options = {.struct_size = sizeof options,
                                                 .result = print_result};
  struct ArrowArrayStream stream;
  int64_t rows = 0;
  enum arrowport_status status = arrowport_flight_get(from, &source, NULL, &stream, error);
  if (status != ARROWPORT_OK) return status;
  status = arrowport_flight_put(to, &target, &stream, &options, &rows, error);
  if (status == ARROWPORT_OK) printf("%" PRId64 " rows\n", rows);
  return status;
}

int main(int count, char **arguments) {
  struct arrowport_error error = {"four words are wanted: FROM-URL PATH TO-URL PATH"};
  struct arrowport_flight_options options = {.struct_size = sizeof options,
                                             .token = getenv("TOKEN")};
  struct arrowport_flight *from = NULL;
  struct arrowport_flight *to = NULL;
  enum arrowport_status status = ARROWPORT_INVALID;
  if (count == 5) status = arrowport_flight_open(arguments[1], &options, &from, &error);
  if (status == ARROWPORT_OK) status = arrowport_flight_open(arguments[3], &options, &to, &error);
  if (status == ARROWPORT_OK) status = copy(from, arguments[2], to, arguments[4], &error);
  if (status != ARROWPORT_OK) fprintf(stderr, "%s\n", error.text);
  arrowport_flight_close(to);
  arrowport_flight_close(from);
  return status == ARROWPORT_OK ? 0 : 1;
}
