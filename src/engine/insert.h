/* What database.c needs of insert.c. */
#ifndef ARROWPORT_ENGINE_INSERT_H
#define ARROWPORT_ENGINE_INSERT_H

#include "engine/private.h"

/* Makes the table function known to the database, by its control connection. */
enum status insert_register(struct engine *engine, struct error *error) WARN_UNUSED;

#endif
