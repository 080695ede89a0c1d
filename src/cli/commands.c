/* The commands, in the order in which help lists them. */
#include <string.h>

#include "cli/cli.h"

static const struct cli_command *const commands[] = {
    &COMMAND_SERVE,   &COMMAND_INGEST,  &COMMAND_QUERY,         &COMMAND_FLIGHT,
    &COMMAND_INSPECT, &COMMAND_CONVERT, &COMMAND_STREAMS,       &COMMAND_TABLES,
    &COMMAND_SINKS,   &COMMAND_CONFIG,  &COMMAND_HASH_PASSWORD, &COMMAND_COMPLETION,
    &COMMAND_VERSION, &COMMAND_HELP,
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

const struct cli_command *const *cli_commands(size_t *count) {
  *count = COMMAND_COUNT;
  return commands;
}

enum status cli_find_command(const char *name, const struct cli_command **command,
                             struct error *error) {
  const char *names[COMMAND_COUNT];
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    names[i] = commands[i]->name;
    if (strcmp(name, names[i]) != 0) continue;
    *command = commands[i];
    return STATUS_OK;
  }
  const char *nearest = text_nearest(name, names, COMMAND_COUNT);
  if (nearest != NULL)
    return error_set(error, STATUS_INVALID, "there is no command '%.100s'; did you mean '%s'?",
                     name, nearest);
  return error_set(error, STATUS_INVALID,
                   "there is no command '%.100s'; `arrowport help` lists those there are", name);
}
