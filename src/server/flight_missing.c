/* What stands in for a part of Flight SQL that is not there yet: put aside by the real one. */
#include "server/flight.h"

__attribute__((weak)) const struct flight_command flight_catalog_commands[] = {{.name = NULL}};
