/* What people read: the overview, a command's help, all settings, the exit codes. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

enum { OPTION_COLUMN_BYTES = 26, TEXT_COLUMNS = 88, SETTING_INDENT = 6 };

static const char EXAMPLES[] =
    "\nTo begin with\n"
    "  arrowport serve                        start a server on http://127.0.0.1:8888\n"
    "  arrowport ingest flights FILE.arrow    land a file in the table `flights`\n"
    "  arrowport query 'SELECT count(*) FROM flights'\n"
    "\n`arrowport help COMMAND` says more about a command, `arrowport help settings` lists the\n"
    "options that every command takes, `arrowport help exit-codes` what exit codes mean.\n";

enum status cli_overview(struct text *out, struct error *error) {
  struct say say = {.text = out, .error = error};
  size_t count;
  const struct cli_command *const *commands = cli_commands(&count);
  SAY(&say, "Arrowport: Arrow streams in, tables out, SQL back.\n\n"
            "arrowport COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands\n");
  for (size_t i = 0; i < count; i++)
    SAY(&say, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
  SAY(&say, "%s", EXAMPLES);
  return say.status;
}

static void say_options(struct say *say, const struct cli_option *options) {
  for (const struct cli_option *option = options; option != NULL && option->name != NULL;
       option++) {
    char left[96];
    char letter[5] = "    ";
    if (option->letter != 0) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
             option->value == NULL ? "" : " ", option->value == NULL ? "" : option->value);
    if (strlen(left) > OPTION_COLUMN_BYTES)
      SAY(say, "  %s\n  %-*s  %s\n", left, OPTION_COLUMN_BYTES, "", option->doc);
    else
      SAY(say, "  %-*s  %s\n", OPTION_COLUMN_BYTES, left, option->doc);
  }
}

/* A sentence in lines that begin so far in. */
static void say_wrapped(struct say *say, const char *sentence) {
  size_t column = 0;
  while (*sentence != '\0') {
    size_t word = strcspn(sentence, " ");
    bool first = column == 0;
    bool next_line = !first && column + 1 + word > TEXT_COLUMNS;
    if (next_line) SAY(say, "\n");
    if (first || next_line) {
      SAY(say, "%*s", SETTING_INDENT, "");
      column = SETTING_INDENT;
    } else {
      SAY(say, " ");
      column++;
    }
    SAY(say, "%.*s", (int)word, sentence);
    column += word;
    sentence += word;
    sentence += strspn(sentence, " ");
  }
  SAY(say, "\n");
}

static void say_setting(struct say *say, const struct cli_option *option) {
  const struct server_setting *setting = cli_setting(option->key);
  SAY(say, "  --%s%s%s\n", option->name, option->value == NULL ? "" : " ",
      option->value == NULL ? "" : option->value);
  say_wrapped(say, option->doc);
  const char *value = setting->field == NULL ? NULL : setting->field->default_text;
  if (value != NULL) SAY(say, "%*sDefault %s. ", SETTING_INDENT, "", value);
  if (setting->environment != NULL)
    SAY(say, "%*sEnvironment: %s.", value == NULL ? SETTING_INDENT : 0, "", setting->environment);
  if (value != NULL || setting->environment != NULL) SAY(say, "\n");
}

static void say_settings(struct say *say) {
  size_t count;
  const struct cli_option *options = cli_setting_options(&count);
  SAY(say, "Options of settings: every command takes them. A flag wins over the environment, that\n"
           "over the configuration file. A list is given as A,B or by the option again; what is\n"
           "true or false is --NAME, --no-NAME or --NAME=true.\n\n");
  for (size_t i = 0; i < count; i++) say_setting(say, &options[i]);
}

static void say_command(struct say *say, const struct cli_command *command) {
  SAY(say, "arrowport %s%s%s\n\n%s\nOptions\n", command->name, command->usage[0] == '\0' ? "" : " ",
      command->usage, command->text);
  say_options(say, command->options);
  say_options(say, CLI_COMMON);
}

static void say_exit_codes(struct say *say) {
  SAY(say, "Exit codes\n");
#define X(name, http, grpc, exit, meaning) SAY(say, "  %2d  %-16s %s\n", exit, #name, meaning);
  STATUS_TABLE(X)
#undef X
  SAY(say, "\nA program that is stopped by a signal ends with 128 and the signal's number.\n");
}

static enum status print(struct say *say) {
  if (say->status == STATUS_OK) say->status = cli_print(say->text, say->error);
  text_release(say->text);
  return say->status;
}

enum status cli_print_help(const struct cli *cli, struct error *error) {
  struct text text = TEXT_EMPTY;
  struct say say = {.text = &text, .error = error};
  say_command(&say, cli->command);
  if (cli->help_all) {
    SAY(&say, "\n");
    say_settings(&say);
  }
  return print(&say);
}

/* ---- the command -------------------------------------------------------------------------- */

static const char TEXT[] =
    "Says what a command does and which options it takes. Of its own it knows\n"
    "\n"
    "settings    the options that are settings, which every command takes\n"
    "exit-codes  what each exit code means\n"
    "man         all of it as a manual page: arrowport help man | man -l -\n";

static enum status run(const struct cli *cli, struct error *error) {
  struct text text = TEXT_EMPTY;
  struct say say = {.text = &text, .error = error};
  const char *about = cli->argument_count == 0 ? NULL : cli->arguments[0];
  const struct cli_command *command = NULL;
  if (about == NULL) {
    say.status = cli_overview(&text, error);
  } else if (strcmp(about, "settings") == 0) {
    say_settings(&say);
  } else if (strcmp(about, "exit-codes") == 0) {
    say_exit_codes(&say);
  } else if (strcmp(about, "man") == 0) {
    say.status = cli_man(&text, error);
  } else {
    say.status = cli_find_command(about, &command, error);
    if (say.status == STATUS_OK) say_command(&say, command);
  }
  return print(&say);
}

const struct cli_command COMMAND_HELP = {.name = "help",
                                         .summary = "this text, or that of a command",
                                         .usage = "[COMMAND|settings|exit-codes|man]",
                                         .text = TEXT,
                                         .arguments_max = 1,
                                         .run = run};
