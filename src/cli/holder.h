/* The running server that holds the database file, seen from a command that was told to do
 * without one (`--local`). */
#ifndef ARROWPORT_CLI_HOLDER_H
#define ARROWPORT_CLI_HOLDER_H

#include "cli/cli.h"

/* For a storage_new that failed with STATUS_CONFLICT, whose `error` names the process that holds
 * the file: STATUS_OK when that process is the Arrowport server at config->url, which is then said
 * on standard error unless `quiet`: go through it. Otherwise the status and `error` it was, and
 * why there is no way through. */
enum status holder_find(const struct cli *cli, const struct server_config *config, bool quiet,
                        struct error *error) WARN_UNUSED;

#endif
