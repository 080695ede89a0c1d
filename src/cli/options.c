#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 40 };

/* Options of every command. */
static const struct cli_option COMMON[] = {
    {"config", 'c', "FILE", NULL, "configuration file (default ./arrowport.yaml, if there is one)"},
    {"set", 0, "KEY=VALUE", NULL, "any setting, as `arrowport config show` names it"},
    {"help", 'h', NULL, NULL, "this text"},
    {NULL, 0, NULL, NULL, NULL}};

/* All options of a command in one array; returns how many. */
static size_t all_options(const struct cli_command *command,
                          const struct cli_option *options[OPTIONS_MAX]) {
  size_t count = 0;
  for (const struct cli_option *option = command->options; option != NULL && option->name != NULL;
       option++)
    options[count++] = option;
  for (const struct cli_option *option = COMMON; option->name != NULL; option++)
    options[count++] = option;
  return count;
}

static enum status unknown_option(const struct cli_command *command, const char *word,
                                  struct error *error) {
  const struct cli_option *options[OPTIONS_MAX];
  const char *names[OPTIONS_MAX];
  size_t count = all_options(command, options);
  for (size_t i = 0; i < count; i++) names[i] = options[i]->name;
  char name[64];
  const char *begin = word + strspn(word, "-");
  size_t bytes = strcspn(begin, "=");
  if (bytes >= sizeof name) bytes = sizeof name - 1;
  memcpy(name, begin, bytes);
  name[bytes] = '\0';
  const char *nearest = text_nearest(name, names, count);
  if (nearest != NULL)
    return error_set(error, STATUS_INVALID, "unknown option '%.100s'; did you mean --%s?", word,
                     nearest);
  return error_set(error, STATUS_INVALID,
                   "unknown option '%.100s'; `arrowport %s --help` lists those there are", word,
                   command->name);
}

/* The option that `word` names; `*value` is what follows its '=', or NULL. */
static const struct cli_option *find_option(const struct cli_command *command, const char *word,
                                            const char **value) {
  const struct cli_option *options[OPTIONS_MAX];
  size_t count = all_options(command, options);
  *value = NULL;
  if (word[1] != '-') { /* -p: one letter, its value is the next word */
    for (size_t i = 0; i < count; i++)
      if (options[i]->letter == word[1] && word[2] == '\0') return options[i];
    return NULL;
  }
  const char *name = word + 2;
  size_t bytes = strcspn(name, "=");
  for (size_t i = 0; i < count; i++) {
    if (strlen(options[i]->name) != bytes || memcmp(options[i]->name, name, bytes) != 0) continue;
    if (name[bytes] == '=') *value = name + bytes + 1;
    return options[i];
  }
  return NULL;
}

/* The option at words[*at]; moves on past its value. */
static enum status parse_option(struct cli *cli, int count, char **words, int *at,
                                struct error *error) {
  const char *word = words[*at];
  const char *value;
  const struct cli_option *option = find_option(cli->command, word, &value);
  if (option == NULL) return unknown_option(cli->command, word, error);
  if (option->value == NULL && value != NULL)
    return error_set(error, STATUS_INVALID, "--%s takes no value", option->name);
  if (option->value != NULL && value == NULL) {
    if (*at + 1 == count)
      return error_set(error, STATUS_INVALID, "--%s needs a value: --%s %s", option->name,
                       option->name, option->value);
    value = words[++*at];
  }
  if (strcmp(option->name, "help") == 0) cli->help = true;
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

/* ---- help --------------------------------------------------------------------------- */

enum { OPTION_COLUMN_BYTES = 26 };

static enum status help_options(const struct cli_option *options, struct text *out,
                                struct error *error) {
  enum status status = STATUS_OK;
  for (const struct cli_option *option = options; option->name != NULL && status == STATUS_OK;
       option++) {
    char left[64];
    char letter[5] = "    ";
    if (option->letter != 0) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
             option->value == NULL ? "" : " ", option->value == NULL ? "" : option->value);
    status = text_add_format(out, error, "  %-*s  %s\n", OPTION_COLUMN_BYTES, left, option->doc);
  }
  return status;
}

enum status cli_help(const struct cli_command *command, struct text *out, struct error *error) {
  enum status status =
      text_add_format(out, error, "arrowport %s%s%s\n\n%s\nOptions\n", command->name,
                      command->usage[0] == '\0' ? "" : " ", command->usage, command->text);
  if (status == STATUS_OK && command->options != NULL)
    status = help_options(command->options, out, error);
  if (status == STATUS_OK) status = help_options(COMMON, out, error);
  return status;
}

/* ---- settings ------------------------------------------------------------------------ */

enum { FLAGS_MAX = 100, KEY_BYTES_MAX = 64 };

/* The flags that the options give; keys of --set lie in `keys`. */
static enum status collect_flags(const struct cli *cli, struct server_config_flag *flags,
                                 char keys[][KEY_BYTES_MAX], size_t *count, struct error *error) {
  *count = 0;
  for (int i = 0; i < cli->given_count; i++) {
    const struct cli_option *option = cli->given[i].option;
    const char *value = cli->given[i].value;
    const char *key = option->key;
    if (*count == FLAGS_MAX)
      return error_set(error, STATUS_INVALID, "more than %d settings on the command line",
                       FLAGS_MAX);
    if (strcmp(option->name, "set") == 0) {
      const char *equals = strchr(value, '=');
      size_t bytes = equals == NULL ? 0 : (size_t)(equals - value);
      if (bytes == 0 || bytes >= KEY_BYTES_MAX)
        return error_set(error, STATUS_INVALID, "--set takes KEY=VALUE, not '%.100s'", value);
      memcpy(keys[*count], value, bytes);
      keys[*count][bytes] = '\0';
      key = keys[*count];
      value = equals + 1;
    }
    if (key == NULL) continue;
    flags[(*count)++] = (struct server_config_flag){key, value, option->name};
  }
  return STATUS_OK;
}

enum status cli_config(const struct cli *cli, struct server_config **config, struct error *error) {
  struct server_config_flag flags[FLAGS_MAX];
  char names[FLAGS_MAX][KEY_BYTES_MAX + 2];
  char keys[FLAGS_MAX][KEY_BYTES_MAX];
  struct server_config_options options = {.path = cli_value(cli, "config"), .flags = flags};
  enum status status = collect_flags(cli, flags, keys, &options.flag_count, error);
  for (size_t i = 0; status == STATUS_OK && i < options.flag_count; i++) {
    snprintf(names[i], sizeof names[i], "--%s", flags[i].flag);
    flags[i].flag = names[i];
  }
  if (status == STATUS_OK) status = server_config_load(&options, config, error);
  if (status == STATUS_OK) log_level_set((*config)->log_level);
  return status;
}
