/* `arrowport COMMAND ...` */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* `words` are what follows the program's name; there is at least one. */
static enum status run(const char *program, int count, char **words, struct error *error) {
  const struct cli_command *command = NULL;
  const char *name = words[0];
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
  enum status status = cli_find_command(name, &command, error);
  if (status != STATUS_OK) return status;
  struct cli cli = {.program = program};
  status = cli_parse(command, count - 1, words + 1, &cli, error);
  if (status == STATUS_OK)
    status = cli.help ? cli_print_help(&cli, error) : command->run(&cli, error);
  cli_release(&cli);
  return status;
}

/* It may hold names that come from the input. */
static void print_error(const struct error *error) {
  bool colour = cli_colour(STDERR_FILENO);
  struct text said = TEXT_EMPTY;
  enum status status = text_add_visible(&said, error->text, strlen(error->text), true, NULL);
  fprintf(stderr, "%sarrowport:%s %s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "",
          status == STATUS_OK ? text_get(&said) : status_meaning(error->status));
  text_release(&said);
}

int main(int count, char **words) {
  struct error error = {.status = STATUS_OK};
  if (count < 2) {
    struct text text = TEXT_EMPTY;
    if (cli_overview(&text, &error) == STATUS_OK) fputs(text_get(&text), stderr);
    text_release(&text);
    return status_exit(STATUS_INVALID);
  }
  enum status status = run(words[0], count - 1, words + 1, &error);
  if (status != STATUS_OK) print_error(&error);
  return status_exit(status);
}
