/* What shells complete: scripts made of the tables of commands, options and settings.
 *
 * An option's `value` says what to offer for it: "a|b" its words, "FILE" paths, anything else
 * nothing. A command's `usage` says the same of its arguments. The options of all settings are
 * offered where they are usual (serve, config), and their values everywhere. */
#include <string.h>

#include "cli/cli.h"

static const char TEXT[] =
    "Prints the script that lets a shell complete commands, options, their values and files.\n"
    "\n"
    "bash  source <(arrowport completion bash), in ~/.bashrc for every shell\n"
    "zsh   arrowport completion zsh > ~/.zfunc/_arrowport, a folder of $fpath\n"
    "fish  arrowport completion fish > ~/.config/fish/completions/arrowport.fish\n";

static bool is_choice(const char *value) { return value != NULL && strchr(value, '|') != NULL; }
static bool is_file(const char *value) { return value != NULL && strstr(value, "FILE") != NULL; }

static bool shows_settings(const struct cli_command *command) {
  return command == &COMMAND_SERVE || command == &COMMAND_CONFIG;
}

/* The words of "a|b" or of a usage "[a|b] [FILE]", separated by spaces; those in capitals are
 * names of something else. */
static void say_choices(struct say *say, const char *value) {
  while (*value != '\0') {
    value += strspn(value, "[]| ");
    size_t bytes = strcspn(value, "[]| ");
    bool capitals = value[0] >= 'A' && value[0] <= 'Z';
    if (bytes > 0 && !capitals) SAY(say, "%.*s ", (int)bytes, value);
    value += bytes;
  }
}

static void say_commands(struct say *say) {
  size_t count;
  const struct cli_command *const *commands = cli_commands(&count);
  for (size_t i = 0; i < count; i++) SAY(say, "%s ", commands[i]->name);
}

/* What may stand where the command wants an argument. */
static void say_arguments(struct say *say, const struct cli_command *command) {
  if (command == &COMMAND_HELP) say_commands(say);
  if (is_choice(command->usage)) say_choices(say, command->usage);
}

/* In single quotes of a shell; `special` characters have a backslash before them. */
static void say_quoted(struct say *say, const char *text, const char *special) {
  for (; *text != '\0'; text++) {
    if (*text == '\'')
      SAY(say, "'\\''");
    else
      SAY(say, "%s%c", strchr(special, *text) != NULL ? "\\" : "", *text);
  }
}

/* Options in one place, for the loops below. */
typedef void (*say_option)(struct say *say, const struct cli_command *command,
                           const struct cli_option *option);

static void each_of(struct say *say, const struct cli_command *command,
                    const struct cli_option *options, say_option visit) {
  for (const struct cli_option *option = options; option != NULL && option->name != NULL; option++)
    visit(say, command, option);
}

static void each_setting(struct say *say, say_option visit) {
  size_t count;
  each_of(say, NULL, cli_setting_options(&count), visit);
}

/* ---- bash --------------------------------------------------------------------------------- */

static void bash_name(struct say *say, const struct cli_command *command,
                      const struct cli_option *option) {
  (void)command;
  SAY(say, "--%s ", option->name);
}

/* A branch of `case "$command $before"` for the value of an option. */
static void bash_value(struct say *say, const struct cli_command *command,
                       const struct cli_option *option) {
  const char *name = command == NULL ? "*" : command->name;
  const char *quote = command == NULL ? "" : "'";
  if (option->value == NULL) return;
  SAY(say, "  %s%s%s --%s%s", quote, name, command == NULL ? "\\" : "", option->name, quote);
  if (option->letter != 0)
    SAY(say, " | %s%s%s -%c%s", quote, name, command == NULL ? "\\" : "", option->letter, quote);
  SAY(say, ") value=1");
  if (is_choice(option->value)) {
    SAY(say, " words='");
    say_choices(say, option->value);
    SAY(say, "'");
  } else if (is_file(option->value)) {
    SAY(say, " files=1");
  }
  SAY(say, " ;;\n");
}

static void bash_command(struct say *say, const struct cli_command *command) {
  SAY(say, "  %s)\n    options='", command->name);
  each_of(say, command, command->options, bash_name);
  each_of(say, command, CLI_COMMON, bash_name);
  SAY(say, "'");
  if (shows_settings(command)) SAY(say, "\" $settings\"");
  SAY(say, "\n    arguments='");
  say_arguments(say, command);
  SAY(say, "'\n    argument_files=%s\n    ;;\n", is_file(command->usage) ? "1" : "");
}

static const char BASH_BEGIN[] =
    "# bash completion for arrowport\n"
    "_arrowport() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} before= command=${COMP_WORDS[1]}\n"
    "  local options= settings= arguments= argument_files= words= files= value= path\n"
    "  ((COMP_CWORD > 0)) && before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "  # --option=value comes in three words\n"
    "  if [[ $cur == = ]]; then\n"
    "    cur=\n"
    "  elif [[ $before == = ]] && ((COMP_CWORD > 1)); then\n"
    "    before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "  fi\n"
    "  COMPREPLY=()\n";

static const char BASH_END[] =
    "  if [[ -z $value && $cur == -* ]]; then\n"
    "    words=$options\n"
    "  elif [[ -z $value ]]; then\n"
    "    words=$arguments files=$argument_files\n"
    "  fi\n"
    "  [[ -n $words ]] && COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
    "  if [[ -n $files ]]; then\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    while IFS= read -r path; do COMPREPLY+=(\"$path\"); done < <(compgen -f -- \"$cur\")\n"
    "  fi\n"
    "}\n"
    "complete -F _arrowport arrowport\n";

static void say_bash(struct say *say) {
  size_t count;
  const struct cli_command *const *commands = cli_commands(&count);
  SAY(say, "%s  if ((COMP_CWORD == 1)); then\n    COMPREPLY=($(compgen -W '", BASH_BEGIN);
  say_commands(say);
  SAY(say, "--help --version' -- \"$cur\"))\n    return\n  fi\n  settings='");
  each_setting(say, bash_name);
  SAY(say, "'\n  case $command in\n");
  for (size_t i = 0; i < count; i++) bash_command(say, commands[i]);
  SAY(say, "  esac\n  case \"$command $before\" in\n");
  for (size_t i = 0; i < count; i++) each_of(say, commands[i], commands[i]->options, bash_value);
  each_of(say, NULL, CLI_COMMON, bash_value);
  each_setting(say, bash_value);
  SAY(say, "  esac\n%s", BASH_END);
}

/* ---- zsh ---------------------------------------------------------------------------------- */

static void zsh_value(struct say *say, const struct cli_option *option) {
  if (option->value == NULL) return;
  SAY(say, ":");
  if (is_choice(option->value)) {
    SAY(say, "%s:(", option->name);
    say_choices(say, option->value);
    SAY(say, ")");
  } else {
    say_quoted(say, option->value, ":[]\\");
    SAY(say, ":%s", is_file(option->value) ? "_files" : " ");
  }
}

static void zsh_option(struct say *say, const struct cli_command *command,
                       const struct cli_option *option) {
  (void)command;
  SAY(say, "    '--%s%s[", option->name, option->value == NULL ? "" : "=");
  say_quoted(say, option->doc, ":[]\\");
  SAY(say, "]");
  zsh_value(say, option);
  SAY(say, "'\n");
  if (option->letter == 0) return;
  SAY(say, "    '-%c[", option->letter);
  say_quoted(say, option->doc, ":[]\\");
  SAY(say, "]");
  zsh_value(say, option);
  SAY(say, "'\n");
}

static void zsh_command(struct say *say, const struct cli_command *command) {
  SAY(say, "  %s)\n    options=(\n", command->name);
  each_of(say, command, command->options, zsh_option);
  SAY(say, "    )\n    _arguments -S \"${options[@]}\" \"${common[@]}\"%s",
      shows_settings(command) ? " \"${settings[@]}\"" : "");
  bool choices = is_choice(command->usage);
  if (choices) {
    SAY(say, " '1:what:(");
    say_arguments(say, command);
    SAY(say, ")'");
  }
  if (is_file(command->usage)) SAY(say, " '*:file:_files'");
  SAY(say, "\n    ;;\n");
}

static void say_zsh(struct say *say) {
  size_t count;
  const struct cli_command *const *commands = cli_commands(&count);
  SAY(say, "#compdef arrowport\n_arrowport() {\n  local -a commands common settings options\n"
           "  commands=(\n");
  for (size_t i = 0; i < count; i++) {
    SAY(say, "    '%s:", commands[i]->name);
    say_quoted(say, commands[i]->summary, ":\\");
    SAY(say, "'\n");
  }
  SAY(say, "  )\n  common=(\n");
  each_of(say, NULL, CLI_COMMON, zsh_option);
  SAY(say, "  )\n  settings=(\n");
  each_setting(say, zsh_option);
  SAY(say, "  )\n"
           "  if ((CURRENT == 2)); then\n"
           "    _describe -t commands command commands\n"
           "    return\n"
           "  fi\n"
           "  local command=$words[2]\n"
           "  shift words\n"
           "  ((CURRENT--))\n"
           "  case $command in\n");
  for (size_t i = 0; i < count; i++) zsh_command(say, commands[i]);
  SAY(say, "  esac\n}\n"
           "if [[ $funcstack[1] == _arrowport ]]; then\n"
           "  _arrowport \"$@\"\n"
           "else\n"
           "  compdef _arrowport arrowport\n"
           "fi\n");
}

/* ---- fish --------------------------------------------------------------------------------- */

static void fish_quoted(struct say *say, const char *text) {
  SAY(say, "'");
  for (; *text != '\0'; text++) SAY(say, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
  SAY(say, "'");
}

/* `command` NULL: wherever a command stands already. */
static void fish_option(struct say *say, const struct cli_command *command,
                        const struct cli_option *option) {
  SAY(say, "complete -c arrowport -n '%s%s' -l %s",
      command == NULL ? "not __fish_use_subcommand" : "__fish_seen_subcommand_from ",
      command == NULL ? "" : command->name, option->name);
  if (option->letter != 0) SAY(say, " -s %c", option->letter);
  if (is_choice(option->value)) {
    SAY(say, " -x -a '");
    say_choices(say, option->value);
    SAY(say, "'");
  } else if (option->value != NULL) {
    SAY(say, is_file(option->value) ? " -r -F" : " -x");
  }
  SAY(say, " -d ");
  fish_quoted(say, option->doc);
  SAY(say, "\n");
}

static void fish_setting(struct say *say, const struct cli_command *command,
                         const struct cli_option *option) {
  (void)command;
  fish_option(say, &COMMAND_SERVE, option);
  fish_option(say, &COMMAND_CONFIG, option);
}

static void say_fish(struct say *say) {
  size_t count;
  const struct cli_command *const *commands = cli_commands(&count);
  SAY(say, "# fish completion for arrowport\ncomplete -c arrowport -f\n");
  for (size_t i = 0; i < count; i++) {
    SAY(say, "complete -c arrowport -n __fish_use_subcommand -a %s -d ", commands[i]->name);
    fish_quoted(say, commands[i]->summary);
    SAY(say, "\n");
  }
  for (size_t i = 0; i < count; i++) {
    const struct cli_command *command = commands[i];
    each_of(say, command, command->options, fish_option);
    if (is_choice(command->usage)) {
      SAY(say, "complete -c arrowport -n '__fish_seen_subcommand_from %s' -a '", command->name);
      say_arguments(say, command);
      SAY(say, "'\n");
    }
    if (is_file(command->usage))
      SAY(say, "complete -c arrowport -n '__fish_seen_subcommand_from %s' -F\n", command->name);
  }
  each_of(say, NULL, CLI_COMMON, fish_option);
  each_setting(say, fish_setting);
}

/* ---- the command -------------------------------------------------------------------------- */

static enum status run(const struct cli *cli, struct error *error) {
  static const struct {
    const char *name;
    void (*say)(struct say *say);
  } shells[] = {{"bash", say_bash}, {"zsh", say_zsh}, {"fish", say_fish}};
  struct text text = TEXT_EMPTY;
  struct say say = {.text = &text, .error = error};
  void (*print)(struct say *) = NULL;
  for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
    if (strcmp(shells[i].name, cli->arguments[0]) == 0) print = shells[i].say;
  if (print == NULL)
    return error_set(error, STATUS_INVALID, "'%.100s' is none of bash, zsh, fish",
                     cli->arguments[0]);
  print(&say);
  if (say.status == STATUS_OK) say.status = cli_print(&text, error);
  text_release(&text);
  return say.status;
}

const struct cli_command COMMAND_COMPLETION = {.name = "completion",
                                               .summary = "print a shell's completion script",
                                               .usage = "bash|zsh|fish",
                                               .text = TEXT,
                                               .arguments_min = 1,
                                               .arguments_max = 1,
                                               .run = run};
