/* The part of DuckDB's C interface (version 1.5) that the engine uses, declared here
 * so that nothing of DuckDB is needed to build. Values and layouts are facts of its
 * binary interface; tests/engine/check_duckdb_header.c compares every one of them
 * with the official header.
 *
 * Only functions that the header does not deprecate are used, with one exception:
 * duckdb_pending_prepared_streaming, the only way to a result that is not held whole. */
#ifndef ARROWPORT_ENGINE_DUCKDB_API_H
#define ARROWPORT_ENGINE_DUCKDB_API_H

#include <stdbool.h>
#include <stdint.h>

#ifndef ARROWPORT_DUCKDB_OFFICIAL_TYPES /* the check brings the official ones instead */

typedef uint64_t idx_t;

#define DUCKDB_HANDLE(name)                                                                        \
  typedef struct _##name {                                                                         \
    void *internal_ptr;                                                                            \
  } * name;
DUCKDB_HANDLE(duckdb_config)
DUCKDB_HANDLE(duckdb_database)
DUCKDB_HANDLE(duckdb_connection)
DUCKDB_HANDLE(duckdb_client_context)
DUCKDB_HANDLE(duckdb_extracted_statements)
DUCKDB_HANDLE(duckdb_prepared_statement)
DUCKDB_HANDLE(duckdb_pending_result)
DUCKDB_HANDLE(duckdb_data_chunk)
DUCKDB_HANDLE(duckdb_vector)
DUCKDB_HANDLE(duckdb_logical_type)
DUCKDB_HANDLE(duckdb_value)
DUCKDB_HANDLE(duckdb_table_function)
DUCKDB_HANDLE(duckdb_bind_info)
DUCKDB_HANDLE(duckdb_init_info)
DUCKDB_HANDLE(duckdb_function_info)
#undef DUCKDB_HANDLE

typedef enum duckdb_state { DuckDBSuccess = 0, DuckDBError = 1 } duckdb_state;

typedef enum duckdb_result_type {
  DUCKDB_RESULT_TYPE_INVALID = 0,
  DUCKDB_RESULT_TYPE_CHANGED_ROWS = 1,
  DUCKDB_RESULT_TYPE_NOTHING = 2,
  DUCKDB_RESULT_TYPE_QUERY_RESULT = 3,
} duckdb_result_type;

typedef enum DUCKDB_TYPE {
  DUCKDB_TYPE_INVALID = 0,
  DUCKDB_TYPE_BOOLEAN = 1,
  DUCKDB_TYPE_TINYINT = 2,
  DUCKDB_TYPE_SMALLINT = 3,
  DUCKDB_TYPE_INTEGER = 4,
  DUCKDB_TYPE_BIGINT = 5,
  DUCKDB_TYPE_UTINYINT = 6,
  DUCKDB_TYPE_USMALLINT = 7,
  DUCKDB_TYPE_UINTEGER = 8,
  DUCKDB_TYPE_UBIGINT = 9,
  DUCKDB_TYPE_FLOAT = 10,
  DUCKDB_TYPE_DOUBLE = 11,
  DUCKDB_TYPE_TIMESTAMP = 12,
  DUCKDB_TYPE_DATE = 13,
  DUCKDB_TYPE_TIME = 14,
  DUCKDB_TYPE_INTERVAL = 15,
  DUCKDB_TYPE_HUGEINT = 16,
  DUCKDB_TYPE_VARCHAR = 17,
  DUCKDB_TYPE_BLOB = 18,
  DUCKDB_TYPE_DECIMAL = 19,
  DUCKDB_TYPE_TIMESTAMP_S = 20,
  DUCKDB_TYPE_TIMESTAMP_MS = 21,
  DUCKDB_TYPE_TIMESTAMP_NS = 22,
  DUCKDB_TYPE_ENUM = 23,
  DUCKDB_TYPE_LIST = 24,
  DUCKDB_TYPE_STRUCT = 25,
  DUCKDB_TYPE_MAP = 26,
  DUCKDB_TYPE_UUID = 27,
  DUCKDB_TYPE_UNION = 28,
  DUCKDB_TYPE_BIT = 29,
  DUCKDB_TYPE_TIME_TZ = 30,
  DUCKDB_TYPE_TIMESTAMP_TZ = 31,
  DUCKDB_TYPE_UHUGEINT = 32,
  DUCKDB_TYPE_ARRAY = 33,
  DUCKDB_TYPE_ANY = 34,
  DUCKDB_TYPE_BIGNUM = 35,
  DUCKDB_TYPE_SQLNULL = 36,
  DUCKDB_TYPE_STRING_LITERAL = 37,
  DUCKDB_TYPE_INTEGER_LITERAL = 38,
  DUCKDB_TYPE_TIME_NS = 39,
  DUCKDB_TYPE_GEOMETRY = 40,
  DUCKDB_TYPE_VARIANT = 41,
} duckdb_type;

typedef enum duckdb_pending_state {
  DUCKDB_PENDING_RESULT_READY = 0,
  DUCKDB_PENDING_RESULT_NOT_READY = 1,
  DUCKDB_PENDING_ERROR = 2,
  DUCKDB_PENDING_NO_TASKS_AVAILABLE = 3,
} duckdb_pending_state;

typedef enum duckdb_statement_type {
  DUCKDB_STATEMENT_TYPE_INVALID = 0,
  DUCKDB_STATEMENT_TYPE_SELECT = 1,
  DUCKDB_STATEMENT_TYPE_INSERT = 2,
  DUCKDB_STATEMENT_TYPE_UPDATE = 3,
  DUCKDB_STATEMENT_TYPE_EXPLAIN = 4,
  DUCKDB_STATEMENT_TYPE_DELETE = 5,
  DUCKDB_STATEMENT_TYPE_PREPARE = 6,
  DUCKDB_STATEMENT_TYPE_CREATE = 7,
  DUCKDB_STATEMENT_TYPE_EXECUTE = 8,
  DUCKDB_STATEMENT_TYPE_ALTER = 9,
  DUCKDB_STATEMENT_TYPE_TRANSACTION = 10,
  DUCKDB_STATEMENT_TYPE_COPY = 11,
  DUCKDB_STATEMENT_TYPE_ANALYZE = 12,
  DUCKDB_STATEMENT_TYPE_VARIABLE_SET = 13,
  DUCKDB_STATEMENT_TYPE_CREATE_FUNC = 14,
  DUCKDB_STATEMENT_TYPE_DROP = 15,
  DUCKDB_STATEMENT_TYPE_EXPORT = 16,
  DUCKDB_STATEMENT_TYPE_PRAGMA = 17,
  DUCKDB_STATEMENT_TYPE_VACUUM = 18,
  DUCKDB_STATEMENT_TYPE_CALL = 19,
  DUCKDB_STATEMENT_TYPE_SET = 20,
  DUCKDB_STATEMENT_TYPE_LOAD = 21,
  DUCKDB_STATEMENT_TYPE_RELATION = 22,
  DUCKDB_STATEMENT_TYPE_EXTENSION = 23,
  DUCKDB_STATEMENT_TYPE_LOGICAL_PLAN = 24,
  DUCKDB_STATEMENT_TYPE_ATTACH = 25,
  DUCKDB_STATEMENT_TYPE_DETACH = 26,
  DUCKDB_STATEMENT_TYPE_MULTI = 27,
  DUCKDB_STATEMENT_TYPE_COPY_DATABASE = 28,
  DUCKDB_STATEMENT_TYPE_UPDATE_EXTENSIONS = 29,
  DUCKDB_STATEMENT_TYPE_MERGE_INTO = 30,
} duckdb_statement_type;

/* Passed by value, so its size matters; only the last member means something. */
typedef struct {
  idx_t deprecated_column_count;
  idx_t deprecated_row_count;
  idx_t deprecated_rows_changed;
  struct duckdb_column_ *deprecated_columns;
  char *deprecated_error_message;
  void *internal_data;
} duckdb_result;

/* Text of up to 12 bytes lies inside; longer text is pointed to, not owned. */
typedef struct {
  union {
    struct {
      uint32_t length;
      char prefix[4];
      char *ptr;
    } pointer;
    struct {
      uint32_t length;
      char inlined[12];
    } inlined;
  } value;
} duckdb_string_t;

typedef struct {
  uint64_t offset;
  uint64_t length;
} duckdb_list_entry;

typedef struct {
  uint64_t lower;
  int64_t upper;
} duckdb_hugeint;

typedef struct {
  int32_t months;
  int32_t days;
  int64_t micros;
} duckdb_interval;

typedef struct {
  uint8_t width;
  uint8_t scale;
  duckdb_hugeint value;
} duckdb_decimal;

typedef struct {
  int32_t days;
} duckdb_date;

typedef struct {
  int64_t micros;
} duckdb_time;

typedef struct {
  int64_t nanos;
} duckdb_time_ns;

typedef struct {
  int64_t micros;
} duckdb_timestamp;

typedef struct {
  int64_t seconds;
} duckdb_timestamp_s;

typedef struct {
  int64_t millis;
} duckdb_timestamp_ms;

typedef struct {
  int64_t nanos;
} duckdb_timestamp_ns;

typedef void (*duckdb_delete_callback_t)(void *data);
typedef void (*duckdb_table_function_bind_t)(duckdb_bind_info info);
typedef void (*duckdb_table_function_init_t)(duckdb_init_info info);
typedef void (*duckdb_table_function_t)(duckdb_function_info info, duckdb_data_chunk output);

#endif

/* X(what it returns, its name after "duckdb_", its arguments) */
#define DUCKDB_FUNCTIONS(X)                                                                        \
  X(const char *, library_version, (void))                                                         \
  X(void, free, (void *))                                                                          \
  X(duckdb_state, create_config, (duckdb_config *))                                                \
  X(duckdb_state, set_config, (duckdb_config, const char *, const char *))                         \
  X(void, destroy_config, (duckdb_config *))                                                       \
  X(duckdb_state, open_ext, (const char *, duckdb_database *, duckdb_config, char **))             \
  X(void, close, (duckdb_database *))                                                              \
  X(duckdb_state, connect, (duckdb_database, duckdb_connection *))                                 \
  X(void, disconnect, (duckdb_connection *))                                                       \
  X(void, interrupt, (duckdb_connection))                                                          \
  X(void, connection_get_client_context, (duckdb_connection, duckdb_client_context *))             \
  X(idx_t, client_context_get_connection_id, (duckdb_client_context))                              \
  X(void, destroy_client_context, (duckdb_client_context *))                                       \
  X(duckdb_state, query, (duckdb_connection, const char *, duckdb_result *))                       \
  X(void, destroy_result, (duckdb_result *))                                                       \
  X(const char *, result_error, (duckdb_result *))                                                 \
  X(idx_t, column_count, (duckdb_result *))                                                        \
  X(const char *, column_name, (duckdb_result *, idx_t))                                           \
  X(duckdb_logical_type, column_logical_type, (duckdb_result *, idx_t))                            \
  X(idx_t, rows_changed, (duckdb_result *))                                                        \
  X(duckdb_result_type, result_return_type, (duckdb_result))                                       \
  X(duckdb_data_chunk, fetch_chunk, (duckdb_result))                                               \
  X(idx_t, extract_statements, (duckdb_connection, const char *, duckdb_extracted_statements *))   \
  X(const char *, extract_statements_error, (duckdb_extracted_statements))                         \
  X(duckdb_state, prepare_extracted_statement,                                                     \
    (duckdb_connection, duckdb_extracted_statements, idx_t, duckdb_prepared_statement *))          \
  X(void, destroy_extracted, (duckdb_extracted_statements *))                                      \
  X(duckdb_state, prepare, (duckdb_connection, const char *, duckdb_prepared_statement *))         \
  X(const char *, prepare_error, (duckdb_prepared_statement))                                      \
  X(void, destroy_prepare, (duckdb_prepared_statement *))                                          \
  X(duckdb_statement_type, prepared_statement_type, (duckdb_prepared_statement))                   \
  X(duckdb_logical_type, prepared_statement_column_logical_type,                                   \
    (duckdb_prepared_statement, idx_t))                                                            \
  X(idx_t, prepared_statement_column_count, (duckdb_prepared_statement))                           \
  X(const char *, prepared_statement_column_name, (duckdb_prepared_statement, idx_t))              \
  X(idx_t, nparams, (duckdb_prepared_statement))                                                   \
  X(const char *, parameter_name, (duckdb_prepared_statement, idx_t))                              \
  X(duckdb_logical_type, param_logical_type, (duckdb_prepared_statement, idx_t))                   \
  X(duckdb_state, bind_value, (duckdb_prepared_statement, idx_t, duckdb_value))                    \
  X(duckdb_state, bind_null, (duckdb_prepared_statement, idx_t))                                   \
  X(duckdb_state, bind_boolean, (duckdb_prepared_statement, idx_t, bool))                          \
  X(duckdb_state, bind_int64, (duckdb_prepared_statement, idx_t, int64_t))                         \
  X(duckdb_state, bind_double, (duckdb_prepared_statement, idx_t, double))                         \
  X(duckdb_state, bind_varchar_length, (duckdb_prepared_statement, idx_t, const char *, idx_t))    \
  X(duckdb_state, pending_prepared, (duckdb_prepared_statement, duckdb_pending_result *))          \
  X(duckdb_state, pending_prepared_streaming,                                                      \
    (duckdb_prepared_statement, duckdb_pending_result *))                                          \
  X(const char *, pending_error, (duckdb_pending_result))                                          \
  X(duckdb_pending_state, pending_execute_task, (duckdb_pending_result))                           \
  X(duckdb_state, execute_pending, (duckdb_pending_result, duckdb_result *))                       \
  X(void, destroy_pending, (duckdb_pending_result *))                                              \
  X(duckdb_data_chunk, create_data_chunk, (duckdb_logical_type *, idx_t))                          \
  X(void, data_chunk_reset, (duckdb_data_chunk))                                                   \
  X(idx_t, data_chunk_get_size, (duckdb_data_chunk))                                               \
  X(duckdb_vector, data_chunk_get_vector, (duckdb_data_chunk, idx_t))                              \
  X(void, data_chunk_set_size, (duckdb_data_chunk, idx_t))                                         \
  X(void, destroy_data_chunk, (duckdb_data_chunk *))                                               \
  X(idx_t, vector_size, (void))                                                                    \
  X(void *, vector_get_data, (duckdb_vector))                                                      \
  X(uint64_t *, vector_get_validity, (duckdb_vector))                                              \
  X(void, vector_ensure_validity_writable, (duckdb_vector))                                        \
  X(duckdb_vector, list_vector_get_child, (duckdb_vector))                                         \
  X(idx_t, list_vector_get_size, (duckdb_vector))                                                  \
  X(duckdb_state, list_vector_set_size, (duckdb_vector, idx_t))                                    \
  X(duckdb_state, list_vector_reserve, (duckdb_vector, idx_t))                                     \
  X(duckdb_vector, struct_vector_get_child, (duckdb_vector, idx_t))                                \
  X(duckdb_vector, array_vector_get_child, (duckdb_vector))                                        \
  X(void, vector_reference_vector, (duckdb_vector, duckdb_vector))                                 \
  X(duckdb_logical_type, create_logical_type, (duckdb_type))                                       \
  X(duckdb_logical_type, create_list_type, (duckdb_logical_type))                                  \
  X(duckdb_logical_type, create_array_type, (duckdb_logical_type, idx_t))                          \
  X(duckdb_logical_type, create_map_type, (duckdb_logical_type, duckdb_logical_type))              \
  X(duckdb_logical_type, create_struct_type, (duckdb_logical_type *, const char **, idx_t))        \
  X(duckdb_logical_type, create_decimal_type, (uint8_t, uint8_t))                                  \
  X(void, destroy_logical_type, (duckdb_logical_type *))                                           \
  X(duckdb_type, get_type_id, (duckdb_logical_type))                                               \
  X(char *, logical_type_get_alias, (duckdb_logical_type))                                         \
  X(uint8_t, decimal_width, (duckdb_logical_type))                                                 \
  X(uint8_t, decimal_scale, (duckdb_logical_type))                                                 \
  X(duckdb_type, decimal_internal_type, (duckdb_logical_type))                                     \
  X(duckdb_type, enum_internal_type, (duckdb_logical_type))                                        \
  X(uint32_t, enum_dictionary_size, (duckdb_logical_type))                                         \
  X(char *, enum_dictionary_value, (duckdb_logical_type, idx_t))                                   \
  X(duckdb_logical_type, list_type_child_type, (duckdb_logical_type))                              \
  X(duckdb_logical_type, array_type_child_type, (duckdb_logical_type))                             \
  X(idx_t, array_type_array_size, (duckdb_logical_type))                                           \
  X(duckdb_logical_type, map_type_key_type, (duckdb_logical_type))                                 \
  X(duckdb_logical_type, map_type_value_type, (duckdb_logical_type))                               \
  X(idx_t, struct_type_child_count, (duckdb_logical_type))                                         \
  X(char *, struct_type_child_name, (duckdb_logical_type, idx_t))                                  \
  X(duckdb_logical_type, struct_type_child_type, (duckdb_logical_type, idx_t))                     \
  X(duckdb_table_function, create_table_function, (void))                                          \
  X(void, destroy_table_function, (duckdb_table_function *))                                       \
  X(void, table_function_set_name, (duckdb_table_function, const char *))                          \
  X(void, table_function_add_parameter, (duckdb_table_function, duckdb_logical_type))              \
  X(void, table_function_set_extra_info,                                                           \
    (duckdb_table_function, void *, duckdb_delete_callback_t))                                     \
  X(void, table_function_set_bind, (duckdb_table_function, duckdb_table_function_bind_t))          \
  X(void, table_function_set_init, (duckdb_table_function, duckdb_table_function_init_t))          \
  X(void, table_function_set_local_init, (duckdb_table_function, duckdb_table_function_init_t))    \
  X(void, table_function_set_function, (duckdb_table_function, duckdb_table_function_t))           \
  X(duckdb_state, register_table_function, (duckdb_connection, duckdb_table_function))             \
  X(void, table_function_supports_projection_pushdown, (duckdb_table_function, bool))              \
  X(void, table_function_get_client_context, (duckdb_bind_info, duckdb_client_context *))          \
  X(void *, bind_get_extra_info, (duckdb_bind_info))                                               \
  X(duckdb_value, bind_get_parameter, (duckdb_bind_info, idx_t))                                   \
  X(void, bind_add_result_column, (duckdb_bind_info, const char *, duckdb_logical_type))           \
  X(void, bind_set_bind_data, (duckdb_bind_info, void *, duckdb_delete_callback_t))                \
  X(void, bind_set_cardinality, (duckdb_bind_info, idx_t, bool))                                   \
  X(void, bind_set_error, (duckdb_bind_info, const char *))                                        \
  X(void *, init_get_bind_data, (duckdb_init_info))                                                \
  X(idx_t, init_get_column_count, (duckdb_init_info))                                              \
  X(idx_t, init_get_column_index, (duckdb_init_info, idx_t))                                       \
  X(void, init_set_init_data, (duckdb_init_info, void *, duckdb_delete_callback_t))                \
  X(void, init_set_max_threads, (duckdb_init_info, idx_t))                                         \
  X(void, init_set_error, (duckdb_init_info, const char *))                                        \
  X(void *, function_get_bind_data, (duckdb_function_info))                                        \
  X(void *, function_get_local_init_data, (duckdb_function_info))                                  \
  X(void, function_set_error, (duckdb_function_info, const char *))                                \
  X(int64_t, get_int64, (duckdb_value))                                                            \
  X(duckdb_value, create_null_value, (void))                                                       \
  X(duckdb_value, create_bool, (bool))                                                             \
  X(duckdb_value, create_int8, (int8_t))                                                           \
  X(duckdb_value, create_int16, (int16_t))                                                         \
  X(duckdb_value, create_int32, (int32_t))                                                         \
  X(duckdb_value, create_int64, (int64_t))                                                         \
  X(duckdb_value, create_uint8, (uint8_t))                                                         \
  X(duckdb_value, create_uint16, (uint16_t))                                                       \
  X(duckdb_value, create_uint32, (uint32_t))                                                       \
  X(duckdb_value, create_uint64, (uint64_t))                                                       \
  X(duckdb_value, create_float, (float))                                                           \
  X(duckdb_value, create_double, (double))                                                         \
  X(duckdb_value, create_decimal, (duckdb_decimal))                                                \
  X(duckdb_value, create_varchar_length, (const char *, idx_t))                                    \
  X(duckdb_value, create_blob, (const uint8_t *, idx_t))                                           \
  X(duckdb_value, create_date, (duckdb_date))                                                      \
  X(duckdb_value, create_time, (duckdb_time))                                                      \
  X(duckdb_value, create_time_ns, (duckdb_time_ns))                                                \
  X(duckdb_value, create_timestamp, (duckdb_timestamp))                                            \
  X(duckdb_value, create_timestamp_s, (duckdb_timestamp_s))                                        \
  X(duckdb_value, create_timestamp_ms, (duckdb_timestamp_ms))                                      \
  X(duckdb_value, create_timestamp_ns, (duckdb_timestamp_ns))                                      \
  X(duckdb_value, create_timestamp_tz, (duckdb_timestamp))                                         \
  X(duckdb_value, create_interval, (duckdb_interval))                                              \
  X(duckdb_value, create_list_value, (duckdb_logical_type, duckdb_value *, idx_t))                 \
  X(duckdb_value, create_array_value, (duckdb_logical_type, duckdb_value *, idx_t))                \
  X(duckdb_value, create_struct_value, (duckdb_logical_type, duckdb_value *))                      \
  X(duckdb_value, create_map_value, (duckdb_logical_type, duckdb_value *, duckdb_value *, idx_t))  \
  X(void, destroy_value, (duckdb_value *))

struct duckdb_api {
#define X(result, name, arguments) result(*name) arguments;
  DUCKDB_FUNCTIONS(X)
#undef X
};

#endif
