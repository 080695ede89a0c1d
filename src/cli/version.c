#include "arrowport_commit.h"
#include "arrowport_version.h"
#include "cli/cli.h"
#include "engine/engine.h"

static const struct cli_option OPTIONS[] = {
    {"all", 0, NULL, NULL, "also DuckDB's, which has to be loaded for that"},
    {"json", 0, NULL, NULL, "as JSON"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] = "Prints the program's version and the commit it was built from.\n";

static enum status run(const struct cli *cli, struct error *error) {
  struct text out = TEXT_EMPTY;
  bool json = cli_has(cli, "json");
  bool all = cli_has(cli, "all");
  const char *duckdb = NULL;
  struct error why = {.status = STATUS_OK};
  if (all && engine_version(&duckdb, &why) != STATUS_OK) duckdb = NULL;

  enum status status =
      json ? text_add(&out,
                      "{\"name\":\"arrowport\",\"version\":\"" ARROWPORT_VERSION
                      "\",\"commit\":\"" ARROWPORT_COMMIT "\"",
                      error)
           : text_add(&out, "arrowport " ARROWPORT_VERSION " (" ARROWPORT_COMMIT ")\n", error);
  if (status == STATUS_OK && all && json)
    status = duckdb == NULL ? text_add(&out, ",\"duckdb\":null", error)
                            : text_add_format(&out, error, ",\"duckdb\":\"%s\"", duckdb);
  else if (status == STATUS_OK && all)
    status = duckdb == NULL ? text_add_format(&out, error, "DuckDB: %s\n", why.text)
                            : text_add_format(&out, error, "DuckDB %s\n", duckdb);
  if (status == STATUS_OK && json) status = text_add(&out, "}\n", error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  return status;
}

const struct cli_command COMMAND_VERSION = {.name = "version",
                                            .summary = "print the version",
                                            .usage = "",
                                            .text = TEXT,
                                            .options = OPTIONS,
                                            .arguments_max = 0,
                                            .run = run};
