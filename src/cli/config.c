#include <string.h>

#include "cli/cli.h"

static const struct cli_option OPTIONS[] = {{"json", 0, NULL, NULL, "show, check: as JSON"},
                                            {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "show       every setting with its effective value and where that comes from: default,\n"
    "           file, environment or flag (the default); secrets are hidden\n"
    "check      whether a server could start with this configuration: ok, or where it is\n"
    "           wrong; also looks at the files that it names, and warns of what is risky\n"
    "defaults   a configuration file that says all defaults, to start from\n"
    "reference  the reference of all settings, as Markdown\n"
    "\n"
    "Examples\n"
    "  arrowport config defaults > arrowport.yaml\n"
    "  arrowport config check arrowport.yaml\n"
    "  ARROWPORT_PORT=9000 arrowport config show\n";

/* The FILE after the word, else --config. */
static const char *path_of(const struct cli *cli) {
  return cli->argument_count > 1 ? cli->arguments[1] : cli_value(cli, "config");
}

static enum status show(const struct cli *cli, struct text *out, struct error *error) {
  struct server_config *config = NULL;
  bool json = cli_has(cli, "json");
  enum status status = cli_config_at(cli, path_of(cli), &config, error);
  if (status == STATUS_OK && !json && config->path != NULL)
    status = text_add_format(out, error, "# %s\n", config->path);
  if (status == STATUS_OK) status = server_config_show(config, json, out, error);
  server_config_free(config);
  return status;
}

static void say_string(struct say *say, const char *name, const char *value) {
  SAY(say, "\"%s\": ", name);
  if (value == NULL)
    SAY(say, "null");
  else if (say->status == STATUS_OK)
    say->status = text_add_json(say->text, value, strlen(value), say->error);
}

/* `config` NULL: it could not be read; `why` says what is wrong. */
static void say_json(struct say *say, const char *path, const struct server_config *config,
                     const struct error *why, const char *const *warnings, size_t count) {
  SAY(say, "{");
  say_string(say, "file", config == NULL ? path : config->path);
  SAY(say, ", \"ok\": %s, ", why->status == STATUS_OK ? "true" : "false");
  if (why->status == STATUS_OK && config != NULL)
    SAY(say, "\"streams\": %zu, \"error\": null", config->stream_count);
  else
    SAY(say, "\"error\": {\"status\": \"%s\", \"exit_code\": %d, ", status_name(why->status),
        status_exit(why->status));
  if (why->status != STATUS_OK) {
    say_string(say, "text", why->text);
    SAY(say, "}");
  }
  SAY(say, ", \"warnings\": [");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) SAY(say, ", ");
    if (say->status == STATUS_OK)
      say->status = text_add_json(say->text, warnings[i], strlen(warnings[i]), say->error);
  }
  SAY(say, "]}\n");
}

static void say_check(struct say *say, const struct server_config *config,
                      const char *const *warnings, size_t count) {
  const char *file = config->path == NULL ? "no file, defaults only" : config->path;
  for (size_t i = 0; i < count; i++) SAY(say, "%s: warning: %s\n", file, warnings[i]);
  SAY(say, "%s: ok, %zu stream%s\n", file, config->stream_count,
      config->stream_count == 1 ? "" : "s");
}

/* As JSON, what is wrong goes to standard output too. */
static enum status check(const struct cli *cli, struct text *out, struct error *error) {
  struct server_config *config = NULL;
  struct error why = {.status = STATUS_OK};
  const char *warnings[SERVER_WARNINGS_MAX];
  size_t count = 0;
  struct say say = {.text = out, .error = error};
  bool json = cli_has(cli, "json");
  enum status status = cli_config_at(cli, path_of(cli), &config, &why);
  if (status == STATUS_OK) status = server_config_files(config, &why);
  if (status == STATUS_OK) count = server_config_warnings(config, warnings);
  if (status != STATUS_OK) *error = why;
  if (json)
    say_json(&say, path_of(cli), config, &why, warnings, count);
  else if (status == STATUS_OK)
    say_check(&say, config, warnings, count);
  server_config_free(config);
  if (json && status != STATUS_OK) (void)!cli_print(out, NULL);
  if (status != STATUS_OK) *error = why;
  return status != STATUS_OK ? status : say.status;
}

static enum status run(const struct cli *cli, struct error *error) {
  static const char *const names[] = {"show", "check", "defaults", "reference"};
  enum { NAME_COUNT = sizeof names / sizeof names[0] };
  const char *name = cli->argument_count > 0 ? cli->arguments[0] : "show";
  struct text out = TEXT_EMPTY;
  enum status status = STATUS_OK;
  bool takes_file = strcmp(name, "show") == 0 || strcmp(name, "check") == 0;
  if (cli->argument_count > 1 && (!takes_file || cli_has(cli, "config")))
    return error_set(error, STATUS_INVALID, "'%.100s' is one word too many: arrowport config %s%s",
                     cli->arguments[1], name, takes_file ? " FILE, or --config FILE" : "");
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
                                           .usage = "[show|check|defaults|reference] [FILE]",
                                           .text = TEXT,
                                           .options = OPTIONS,
                                           .arguments_max = 2,
                                           .run = run};
