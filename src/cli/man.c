/* The manual page, arrowport(1), in roff with the macros of man(7): the tables of commands,
 * options, settings and statuses once more.
 *
 * What stands in the tables is text: a backslash, a dash and a line that begins with a dot or
 * a quote mean something to roff and are written so that they do not. */
#include <string.h>

#include "arrowport_version.h"
#include "cli/cli.h"

/* One line or several of text as it is. */
static void say_plain(struct say *say, const char *text) {
  bool line_begins = true;
  for (; *text != '\0'; text++) {
    if (line_begins && (*text == '.' || *text == '\'')) SAY(say, "\\&");
    line_begins = *text == '\n';
    if (*text == '\\')
      SAY(say, "\\e");
    else if (*text == '-')
      SAY(say, "\\-");
    else
      SAY(say, "%c", *text);
  }
}

/* Text with the line breaks that it has. */
static void say_block(struct say *say, const char *text) {
  SAY(say, ".nf\n");
  while (*text != '\0') {
    size_t bytes = strcspn(text, "\n");
    char line[256];
    size_t kept = bytes < sizeof line ? bytes : sizeof line - 1;
    memcpy(line, text, kept);
    line[kept] = '\0';
    if (kept == 0)
      SAY(say, ".sp\n");
    else
      say_plain(say, line);
    if (kept > 0) SAY(say, "\n");
    text += bytes;
    if (*text == '\n') text++;
  }
  SAY(say, ".fi\n");
}

static void say_option(struct say *say, const struct cli_option *option) {
  SAY(say, ".TP\n");
  if (option->letter != 0) SAY(say, "\\fB\\-%c\\fR, ", option->letter);
  SAY(say, "\\fB\\-\\-");
  say_plain(say, option->name);
  SAY(say, "\\fR");
  if (option->value != NULL) {
    SAY(say, " \\fI");
    say_plain(say, option->value);
    SAY(say, "\\fR");
  }
  SAY(say, "\n");
  say_plain(say, option->doc);
  SAY(say, "\n");
}

static void say_options(struct say *say, const struct cli_option *options) {
  for (const struct cli_option *option = options; option != NULL && option->name != NULL; option++)
    say_option(say, option);
}

static void say_command(struct say *say, const struct cli_command *command) {
  SAY(say, ".SS arrowport ");
  say_plain(say, command->name);
  SAY(say, " ");
  say_plain(say, command->usage);
  SAY(say, "\n");
  say_block(say, command->text);
  say_options(say, command->options);
}

static void say_settings(struct say *say) {
  size_t count;
  const struct cli_option *options = cli_setting_options(&count);
  for (size_t i = 0; i < count; i++) {
    const struct server_setting *setting = cli_setting(options[i].key);
    say_option(say, &options[i]);
    const char *value = setting->field == NULL ? NULL : setting->field->default_text;
    if (value != NULL) {
      SAY(say, "Default: ");
      say_plain(say, value);
      SAY(say, ".\n");
    }
    if (setting->environment != NULL) SAY(say, "Environment: %s.\n", setting->environment);
  }
}

static const char FILES[] =
    ".SH FILES\n"
    ".TP\n\\&./arrowport.yaml\nThe configuration, unless \\fB\\-\\-config\\fR names another file.\n"
    ".TP\ndata/arrowport.duckdb\nThe database, unless \\fBdb_path\\fR names another file.\n";

enum status cli_man(struct text *out, struct error *error) {
  struct say say = {.text = out, .error = error};
  size_t count;
  const struct cli_command *const *commands = cli_commands(&count);
  SAY(&say, ".TH ARROWPORT 1 \"\" \"arrowport %s\" \"User Commands\"\n", ARROWPORT_VERSION);
  SAY(&say, ".nh\n.ad l\n");
  SAY(&say, ".SH NAME\narrowport \\- Arrow streams in, tables out, SQL back\n");
  SAY(&say, ".SH SYNOPSIS\n");
  for (size_t i = 0; i < count; i++) {
    SAY(&say, "%s.B arrowport %s\n", i == 0 ? "" : ".br\n", commands[i]->name);
    if (commands[i]->usage[0] != '\0') say_plain(&say, commands[i]->usage);
    SAY(&say, "%s[\\fIOPTIONS\\fR]\n", commands[i]->usage[0] == '\0' ? "" : "\n");
  }
  SAY(&say, ".SH DESCRIPTION\nA server that lands Arrow data in tables and answers SQL over them, "
            "and the commands that use it.\n");
  SAY(&say, ".SH COMMANDS\n");
  for (size_t i = 0; i < count; i++) say_command(&say, commands[i]);
  SAY(&say, ".SH OPTIONS OF EVERY COMMAND\n");
  say_options(&say, CLI_COMMON);
  SAY(&say, ".SH SETTINGS\nEvery command takes an option for every setting. A flag wins over the "
            "environment, that over the configuration file. A list is given as A,B or by the "
            "option again; what is true or false is \\-\\-NAME, \\-\\-no\\-NAME or "
            "\\-\\-NAME=true.\n");
  say_settings(&say);
  SAY(&say, ".SH EXIT STATUS\n");
#define X(name, http, grpc, exit, meaning) SAY(&say, ".TP\n%d\n%s (%s)\n", exit, meaning, #name);
  STATUS_TABLE(X)
#undef X
  SAY(&say, "%s", FILES);
  return say.status;
}
