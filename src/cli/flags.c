/* Every setting as an option, made of the settings' own tables, and options as settings.
 *
 * The options are made when somebody first asks for one that is not the command's own: most
 * calls never do. The program has one thread that parses its words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static struct {
  bool made;
  size_t count;
  struct server_setting settings[SERVER_SETTINGS_MAX];
  char names[SERVER_SETTINGS_MAX][SERVER_SETTING_KEY_BYTES];
  struct cli_option options[SERVER_SETTINGS_MAX + 1]; /* the last one ends them */
} all;

static const char *value_name(const struct config_field *field) {
  if (field == NULL) return "VALUE";
  switch (field->type) {
  case CONFIG_STRING: return "TEXT";
  case CONFIG_PATH: return "FILE";
  case CONFIG_INTEGER: return "N";
  case CONFIG_BYTES: return "BYTES";
  case CONFIG_BOOLEAN: return NULL;
  case CONFIG_CHOICE: return field->choices;
  case CONFIG_LIST: return "A,B,...";
  }
  return "VALUE";
}

static void make_options(void) {
  if (all.made) return;
  all.count = server_config_settings(all.settings);
  for (size_t i = 0; i < all.count; i++) {
    const struct server_setting *setting = &all.settings[i];
    for (size_t at = 0; setting->key[at] != '\0'; at++)
      all.names[i][at] = strchr("._", setting->key[at]) != NULL ? '-' : setting->key[at];
    all.options[i] = (struct cli_option){.name = all.names[i],
                                         .value = value_name(setting->field),
                                         .key = setting->key,
                                         .doc = setting->doc};
  }
  all.made = true;
}

const struct cli_option *cli_setting_options(size_t *count) {
  make_options();
  *count = all.count;
  return all.options;
}

const struct server_setting *cli_setting(const char *key) {
  make_options();
  for (size_t i = 0; i < all.count; i++)
    if (strcmp(all.settings[i].key, key) == 0) return &all.settings[i];
  return NULL;
}

static bool has_type(const char *key, enum config_type type) {
  const struct server_setting *setting = key == NULL ? NULL : cli_setting(key);
  return setting != NULL && setting->field != NULL && setting->field->type == type;
}

bool cli_option_is_boolean(const struct cli_option *option) {
  return option->value == NULL && has_type(option->key, CONFIG_BOOLEAN);
}

/* ---- options as settings ------------------------------------------------------------------ */

enum { FLAGS_MAX = 100, FLAG_BYTES = SERVER_SETTING_KEY_BYTES + 2 };

/* What the options set. Text that is put together here is freed at its end. */
struct flags {
  struct server_config_flag flags[FLAGS_MAX];
  char names[FLAGS_MAX][FLAG_BYTES]; /* "--port", for messages */
  char keys[FLAGS_MAX][SERVER_SETTING_KEY_BYTES];
  struct text joined[FLAGS_MAX]; /* lists that are given more than once */
  size_t count;
};

/* KEY=VALUE of --set. */
static enum status split(const char *given, char key[SERVER_SETTING_KEY_BYTES], const char **value,
                         struct error *error) {
  const char *equals = strchr(given, '=');
  size_t bytes = equals == NULL ? 0 : (size_t)(equals - given);
  if (bytes == 0 || bytes >= SERVER_SETTING_KEY_BYTES)
    return error_set(error, STATUS_INVALID, "--set takes KEY=VALUE, not '%.*s'",
                     equals == NULL ? 100 : (int)(bytes < 100 ? bytes : 100), given);
  memcpy(key, given, bytes);
  key[bytes] = '\0';
  *value = equals + 1;
  return STATUS_OK;
}

/* A list that was given before goes on: true when there is nothing more to do. */
static enum status join(struct flags *flags, const char *key, const char *value, bool *joined,
                        struct error *error) {
  enum status status = STATUS_OK;
  *joined = false;
  if (!has_type(key, CONFIG_LIST)) return STATUS_OK;
  for (size_t i = 0; i < flags->count && status == STATUS_OK; i++) {
    if (strcmp(flags->flags[i].key, key) != 0) continue;
    struct text *text = &flags->joined[i];
    if (text->data == NULL) status = text_add(text, flags->flags[i].value, error);
    if (status == STATUS_OK) status = text_add_format(text, error, ",%s", value);
    flags->flags[i].value = text_get(text);
    *joined = true;
  }
  return status;
}

static enum status collect(const struct cli *cli, struct flags *flags, struct error *error) {
  enum status status = STATUS_OK;
  for (int i = 0; i < cli->given_count && status == STATUS_OK; i++) {
    const struct cli_option *option = cli->given[i].option;
    const char *value = cli->given[i].value;
    const char *key = option->key;
    bool joined = false;
    if (flags->count == FLAGS_MAX)
      return error_set(error, STATUS_INVALID, "more than %d settings on the command line",
                       FLAGS_MAX);
    if (strcmp(option->name, "set") == 0) {
      status = split(value, flags->keys[flags->count], &value, error);
      key = flags->keys[flags->count];
    }
    if (key != NULL && status == STATUS_OK) status = join(flags, key, value, &joined, error);
    if (key == NULL || joined || status != STATUS_OK) continue;
    char *name = flags->names[flags->count];
    snprintf(name, FLAG_BYTES, "--%s", option->name);
    flags->flags[flags->count++] = (struct server_config_flag){key, value, name};
  }
  return status;
}

enum status cli_config_at(const struct cli *cli, const char *path, struct server_config **config,
                          struct error *error) {
  struct flags *flags = calloc(1, sizeof *flags);
  if (flags == NULL) return error_set(error, STATUS_NOMEM, "no memory for options");
  enum status status = collect(cli, flags, error);
  struct server_config_options options = {
      .path = path, .flags = flags->flags, .flag_count = flags->count};
  if (status == STATUS_OK) status = server_config_load(&options, config, error);
  if (status == STATUS_OK) log_level_set((*config)->log_level);
  for (size_t i = 0; i < flags->count; i++) text_release(&flags->joined[i]);
  free(flags);
  return status;
}

enum status cli_config(const struct cli *cli, struct server_config **config, struct error *error) {
  return cli_config_at(cli, cli_value(cli, "config"), config, error);
}
