/* `arrowport COMMAND ...` */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct cli_command *const commands[] = {
    &COMMAND_SERVE,  &COMMAND_INGEST, &COMMAND_QUERY,  &COMMAND_INSPECT, &COMMAND_STREAMS,
    &COMMAND_TABLES, &COMMAND_SINKS,  &COMMAND_CONFIG, &COMMAND_VERSION,
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const char EXAMPLES[] =
    "\nTo begin with\n"
    "  arrowport serve                        start a server on http://127.0.0.1:8888\n"
    "  arrowport ingest flights FILE.arrow    land a file in the table `flights`\n"
    "  arrowport query 'SELECT count(*) FROM flights'\n"
    "\n`arrowport COMMAND --help` says more about a command.\n";

static enum status add_overview(struct text *out, struct error *error) {
  enum status status = text_add(out,
                                "Arrowport: Arrow streams in, tables out, SQL back.\n\n"
                                "arrowport COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands\n",
                                error);
  for (size_t i = 0; i < COMMAND_COUNT && status == STATUS_OK; i++)
    status = text_add_format(out, error, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
  if (status == STATUS_OK)
    status = text_add(out, "  help      this text, or that of a command\n", error);
  return status == STATUS_OK ? text_add(out, EXAMPLES, error) : status;
}

static enum status find_command(const char *name, const struct cli_command **command,
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

static enum status print_help(const struct cli_command *command, struct error *error) {
  struct text text = TEXT_EMPTY;
  enum status status =
      command == NULL ? add_overview(&text, error) : cli_help(command, &text, error);
  if (status == STATUS_OK) status = cli_print(&text, error);
  text_release(&text);
  return status;
}

/* `words` are what follows the program's name; there is at least one. */
static enum status run(const char *program, int count, char **words, struct error *error) {
  const struct cli_command *command = NULL;
  const char *name = words[0];
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
  if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
    if (count == 1) return print_help(NULL, error);
    enum status status = find_command(words[1], &command, error);
    return status == STATUS_OK ? print_help(command, error) : status;
  }
  enum status status = find_command(name, &command, error);
  if (status != STATUS_OK) return status;
  struct cli cli = {.program = program};
  status = cli_parse(command, count - 1, words + 1, &cli, error);
  if (status == STATUS_OK)
    status = cli.help ? print_help(command, error) : command->run(&cli, error);
  cli_release(&cli);
  return status;
}

/* It may hold names that come from the input. */
static void print_error(const struct error *error) {
  bool terminal = isatty(STDERR_FILENO) != 0;
  struct text said = TEXT_EMPTY;
  enum status status = text_add_visible(&said, error->text, strlen(error->text), true, NULL);
  fprintf(stderr, "%sarrowport:%s %s\n", terminal ? "\033[31m" : "", terminal ? "\033[0m" : "",
          status == STATUS_OK ? text_get(&said) : status_meaning(error->status));
  text_release(&said);
}

int main(int count, char **words) {
  struct error error = {.status = STATUS_OK};
  if (count < 2) {
    struct text text = TEXT_EMPTY;
    if (add_overview(&text, &error) == STATUS_OK) fputs(text_get(&text), stderr);
    text_release(&text);
    return status_exit(STATUS_INVALID);
  }
  enum status status = run(words[0], count - 1, words + 1, &error);
  if (status != STATUS_OK) print_error(&error);
  return status_exit(status);
}
