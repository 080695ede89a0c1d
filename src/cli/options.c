#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* Words into options and arguments. An option is looked for among the command's own, then
 * those of every command, then the settings (flags.c). */
const struct cli_option CLI_COMMON[] = {
    {"config", 'c', "FILE", NULL, "configuration file (default ./arrowport.yaml, if there is one)"},
    {"set", 0, "KEY=VALUE", NULL, "any setting, as `arrowport config show` names it"},
    {"help", 'h', NULL, NULL, "this text"},
    {"help-all", 0, NULL, NULL, "this text, and the options of all settings"},
    {NULL, 0, NULL, NULL, NULL}};

enum { NAMES_MAX = SERVER_SETTINGS_MAX + 64, NAME_BYTES = 64 };

/* The name in `word`, without dashes and value, and with dashes where a setting's key has
 * dots and underscores. */
static void plain_name(const char *word, char name[NAME_BYTES]) {
  const char *begin = word + strspn(word, "-");
  size_t bytes = strcspn(begin, "=");
  if (bytes >= NAME_BYTES) bytes = NAME_BYTES - 1;
  for (size_t i = 0; i < bytes; i++) name[i] = strchr("._", begin[i]) != NULL ? '-' : begin[i];
  name[bytes] = '\0';
}

static enum status unknown_option(const struct cli_command *command, const char *word,
                                  struct error *error) {
  const char *names[NAMES_MAX];
  size_t count = 0;
  size_t setting_count;
  const struct cli_option *settings = cli_setting_options(&setting_count);
  for (const struct cli_option *option = command->options; option != NULL && option->name != NULL;
       option++)
    names[count++] = option->name;
  for (const struct cli_option *option = CLI_COMMON; option->name != NULL; option++)
    names[count++] = option->name;
  for (size_t i = 0; i < setting_count; i++) names[count++] = settings[i].name;
  char name[NAME_BYTES];
  plain_name(word, name);
  const char *nearest = text_nearest(name, names, count);
  if (nearest != NULL)
    return error_set(error, STATUS_INVALID, "unknown option '%.*s'; did you mean --%s?",
                     (int)strcspn(word, "="), word, nearest);
  return error_set(error, STATUS_INVALID,
                   "unknown option '%.*s'; `arrowport %s --help` lists those there are, "
                   "`arrowport help settings` those of settings",
                   (int)strcspn(word, "="), word, command->name);
}

static const struct cli_option *find_in(const struct cli_option *options, const char *name,
                                        size_t bytes, char letter) {
  for (const struct cli_option *option = options; option != NULL && option->name != NULL;
       option++) {
    if (letter != 0 && option->letter == letter) return option;
    if (letter == 0 && strlen(option->name) == bytes && memcmp(option->name, name, bytes) == 0)
      return option;
  }
  return NULL;
}

/* What --NAME is, `bytes` long; NULL: nothing. */
static const struct cli_option *find_named(const struct cli_command *command, const char *name,
                                           size_t bytes) {
  const struct cli_option *option = find_in(command->options, name, bytes, 0);
  if (option == NULL) option = find_in(CLI_COMMON, name, bytes, 0);
  size_t count;
  return option != NULL ? option : find_in(cli_setting_options(&count), name, bytes, 0);
}

/* The option that `word` names; `*value` is what follows its '=', or NULL. */
static const struct cli_option *find_option(const struct cli_command *command, const char *word,
                                            const char **value) {
  *value = NULL;
  if (word[1] != '-') { /* -p: one letter, its value is the next word */
    if (word[2] != '\0') return NULL;
    const struct cli_option *option = find_in(command->options, NULL, 0, word[1]);
    return option != NULL ? option : find_in(CLI_COMMON, NULL, 0, word[1]);
  }
  const char *name = word + 2;
  size_t bytes = strcspn(name, "=");
  const struct cli_option *option = find_named(command, name, bytes);
  if (option != NULL) {
    if (name[bytes] == '=') *value = name + bytes + 1;
    return option;
  }
  if (strncmp(name, "no-", 3) != 0 || name[bytes] == '=') return NULL;
  option = find_named(command, name + 3, bytes - 3);
  if (option == NULL || !cli_option_is_boolean(option)) return NULL;
  *value = "false";
  return option;
}

/* The option at words[*at]; moves on past its value. */
static enum status parse_option(struct cli *cli, int count, char **words, int *at,
                                struct error *error) {
  const char *word = words[*at];
  const char *value;
  const struct cli_option *option = find_option(cli->command, word, &value);
  if (option == NULL) return unknown_option(cli->command, word, error);
  if (cli_option_is_boolean(option)) {
    if (value == NULL) value = "true"; /* the next word is none of its */
  } else if (option->value == NULL && value != NULL) {
    return error_set(error, STATUS_INVALID, "--%s takes no value", option->name);
  } else if (option->value != NULL && value == NULL) {
    if (*at + 1 == count)
      return error_set(error, STATUS_INVALID, "--%s needs a value: --%s %s", option->name,
                       option->name, option->value);
    value = words[++*at];
  }
  if (strcmp(option->name, "help-all") == 0) cli->help_all = true;
  if (strcmp(option->name, "help") == 0 || cli->help_all) cli->help = true;
  cli->given[cli->given_count++] = (struct cli_given){option, value};
  return STATUS_OK;
}

enum status cli_parse(const struct cli_command *command, int count, char **words, struct cli *cli,
                      struct error *error) {
  cli->command = command;
  cli->arguments = calloc((size_t)count + 1, sizeof cli->arguments[0]);
  cli->given = calloc((size_t)count + 1, sizeof cli->given[0]);
  if (cli->arguments == NULL || cli->given == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for the command line");
  enum status status = STATUS_OK;
  bool options_over = false;
  for (int at = 0; at < count && status == STATUS_OK; at++) {
    const char *word = words[at];
    if (options_over || word[0] != '-' || word[1] == '\0')
      cli->arguments[cli->argument_count++] = word; /* "-" is standard input */
    else if (strcmp(word, "--") == 0)
      options_over = true;
    else
      status = parse_option(cli, count, words, &at, error);
  }
  if (status != STATUS_OK || cli->help) return status;
  if (cli->argument_count < command->arguments_min)
    return error_set(error, STATUS_INVALID, "something is missing: arrowport %s %s", command->name,
                     command->usage);
  if (command->arguments_max >= 0 && cli->argument_count > command->arguments_max)
    return error_set(error, STATUS_INVALID, "'%.100s' is one word too many: arrowport %s %s",
                     cli->arguments[command->arguments_max], command->name, command->usage);
  return STATUS_OK;
}

void cli_release(struct cli *cli) {
  free(cli->arguments);
  free(cli->given);
  cli->arguments = NULL;
  cli->given = NULL;
}

bool cli_has(const struct cli *cli, const char *option) {
  for (int i = 0; i < cli->given_count; i++)
    if (strcmp(cli->given[i].option->name, option) == 0) return true;
  return false;
}

const char *cli_value(const struct cli *cli, const char *option) {
  for (int i = cli->given_count - 1; i >= 0; i--)
    if (strcmp(cli->given[i].option->name, option) == 0) return cli->given[i].value;
  return NULL;
}

const char *cli_value_at(const struct cli *cli, const char *option, int index) {
  for (int i = 0; i < cli->given_count; i++)
    if (strcmp(cli->given[i].option->name, option) == 0 && index-- == 0) return cli->given[i].value;
  return NULL;
}
