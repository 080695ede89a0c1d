/* What database.c and guard.c need of kept.c. */
#ifndef ARROWPORT_ENGINE_KEPT_H
#define ARROWPORT_ENGINE_KEPT_H

#include "engine/private.h"

/* Where results are kept; SQL from outside must not say its name. */
#define KEPT_CATALOG "arrowport_kept"

/* Makes the function known through which answers become tables. */
enum status kept_register(struct engine *engine, struct error *error) WARN_UNUSED;

#endif
