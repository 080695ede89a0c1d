/* What the commands share that speak Flight: query and ingest with a grpc:// URL, and `flight`. */
#ifndef ARROWPORT_CLI_FLIGHT_H
#define ARROWPORT_CLI_FLIGHT_H

#include <jansson.h>

#include "cli/cli.h"
#include "cli/ingest.h"
#include "cli/printer.h"
#include "flight/client.h"

/* What every command takes that speaks Flight. */
#define CLI_FLIGHT_OPTIONS                                                                         \
  {"header", 0, "NAME:VALUE", NULL, "grpc://: a header of every call; again for another one"}, {   \
    "timeout", 0, "SECONDS", NULL,                                                                 \
        "grpc://: how long a call may take (default: as long as it does)"                          \
  }

/* A client with the options that say who we are and whom we trust. http:// and https:// stand for
 * grpc:// and grpc+tls://: the same server, the same port. */
enum status cli_flight_connect(const struct cli *cli, const struct server_config *config,
                               struct budget *budget, struct flight_client **client,
                               struct error *error) WARN_UNUSED;

/* All rows of the reader, which is closed in any case; NULL is allowed after a failure. */
enum status cli_flight_print(struct flight_reader *reader, const struct printer_options *options,
                             struct error *error) WARN_UNUSED;

/* `query`: `parameters` is a JSON array. `update`: the statement gives no rows. */
enum status cli_flight_query(const struct cli *cli, const struct server_config *config,
                             const char *sql, const json_t *parameters, bool update,
                             const struct printer_options *options,
                             struct error *error) WARN_UNUSED;

/* `ingest`. */
enum status cli_flight_ingest(const struct cli *cli, const struct server_config *config,
                              const struct ingest_asked *asked, struct error *error) WARN_UNUSED;

#endif
