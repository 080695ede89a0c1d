#include <string.h>

#include "cli/cli.h"

static const struct cli_option OPTIONS[] = {{"json", 0, NULL, NULL, "show: as JSON"},
                                            {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "show       every setting with its effective value and where that comes from: default,\n"
    "           file, environment or flag (the default)\n"
    "check      whether a server could start with this configuration\n"
    "defaults   a configuration file that says all defaults, to start from\n"
    "reference  the reference of all settings, as Markdown\n"
    "\n"
    "Examples\n"
    "  arrowport config defaults > arrowport.yaml\n"
    "  arrowport config check --config arrowport.yaml\n"
    "  ARROWPORT_PORT=9000 arrowport config show\n";

static enum status show(const struct cli *cli, struct text *out, struct error *error) {
  struct server_config *config = NULL;
  bool json = cli_has(cli, "json");
  enum status status = cli_config(cli, &config, error);
  if (status == STATUS_OK && !json && config->path != NULL)
    status = text_add_format(out, error, "# %s\n", config->path);
  if (status == STATUS_OK) status = server_config_show(config, json, out, error);
  server_config_free(config);
  return status;
}

static enum status check(const struct cli *cli, struct text *out, struct error *error) {
  struct server_config *config = NULL;
  enum status status = cli_config(cli, &config, error);
  if (status == STATUS_OK) status = server_config_startable(config, error);
  if (status == STATUS_OK)
    status = text_add_format(out, error, "%s: sound, %zu stream%s\n",
                             config->path == NULL ? "no file, defaults only" : config->path,
                             config->stream_count, config->stream_count == 1 ? "" : "s");
  server_config_free(config);
  return status;
}

static enum status run(const struct cli *cli, struct error *error) {
  static const char *const names[] = {"show", "check", "defaults", "reference"};
  enum { NAME_COUNT = sizeof names / sizeof names[0] };
  const char *name = cli->argument_count > 0 ? cli->arguments[0] : "show";
  struct text out = TEXT_EMPTY;
  enum status status = STATUS_OK;
  if (strcmp(name, "show") == 0) {
    status = show(cli, &out, error);
  } else if (strcmp(name, "check") == 0) {
    status = check(cli, &out, error);
  } else if (strcmp(name, "defaults") == 0) {
    status = server_config_defaults(&out, error);
  } else if (strcmp(name, "reference") == 0) {
    status = server_config_reference(&out, error);
  } else {
    const char *nearest = text_nearest(name, names, NAME_COUNT);
    status = error_set(error, STATUS_INVALID,
                       "'%.100s' is none of show, check, defaults, "
                       "reference%s%s%s",
                       name, nearest == NULL ? "" : "; did you mean ",
                       nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
  }
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  return status;
}

const struct cli_command COMMAND_CONFIG = {.name = "config",
                                           .summary = "show or check the configuration",
                                           .usage = "[show|check|defaults|reference]",
                                           .text = TEXT,
                                           .options = OPTIONS,
                                           .arguments_max = 1,
                                           .run = run};
