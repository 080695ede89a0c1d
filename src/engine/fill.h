/* How Arrow values are put into DuckDB's vectors: one function a physical layout.
 * types.c chooses among them; insert.c calls the chosen ones. */
#ifndef ARROWPORT_ENGINE_FILL_H
#define ARROWPORT_ENGINE_FILL_H

#include "engine/private.h"

/* All put `rows` values of `array`, beginning at value `from` (array->offset not
 * counted), into `vector` at `at`. Text and binary are pointed to, not copied: the
 * array must outlive the vector. STATUS_SCHEMA for a value that the DuckDB type does
 * not hold exactly, STATUS_INVALID for one that is broken; the text begins with the
 * landing's path. The row is not named: the caller finds it by filling row by row. */
landing_fill fill_null, fill_boolean, fill_fixed, fill_half, fill_decimal;
landing_fill fill_int32_to_int32, fill_int32_to_int64, fill_int64_to_int32, fill_int64_to_int64;
landing_fill fill_duration, fill_interval_months, fill_interval_day_time, fill_interval_month_day;
landing_fill fill_bytes, fill_large_bytes, fill_view, fill_fixed_bytes;
landing_fill fill_list, fill_large_list, fill_list_view, fill_large_list_view, fill_fixed_list;
landing_fill fill_struct, fill_dictionary;

#endif
