# The tests in C: see the head of CMakeLists.txt for how they are found.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)
duckdb_beside("${CMAKE_BINARY_DIR}/tests")

# Golden files are found from here, whatever the working directory.
set(test_definitions "ARROWPORT_TEST_DATA=\"${CMAKE_CURRENT_SOURCE_DIR}/tests/data\"")

# Programs named test_nomem*.c make each allocation of our objects fail in turn: see
# tests/nomem/nomem.h.
file(GLOB nomem_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/tests/nomem/*.c")
add_library(arrowport_test_nomem OBJECT ${nomem_sources})
target_link_libraries(arrowport_test_nomem PRIVATE arrowport_flags arrowport_dependencies
  PkgConfig::CMOCKA)
target_include_directories(arrowport_test_nomem PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/tests")
set(nomem_functions malloc calloc realloc aligned_alloc strdup strndup free pthread_create
  ZSTD_createCCtx ZSTD_freeCCtx ZSTD_createDCtx ZSTD_freeDCtx
  LZ4F_createCompressionContext LZ4F_freeCompressionContext
  LZ4F_createDecompressionContext LZ4F_freeDecompressionContext)
list(TRANSFORM nomem_functions PREPEND "-Wl,--wrap=" OUTPUT_VARIABLE nomem_link_options)

foreach(room IN LISTS ROOMS)
  set(folder "${CMAKE_CURRENT_SOURCE_DIR}/tests/${room}")
  file(GLOB tests CONFIGURE_DEPENDS "${folder}/test_*.c")
  file(GLOB checks CONFIGURE_DEPENDS "${folder}/check_*.c")
  file(GLOB helpers CONFIGURE_DEPENDS "${folder}/*.c")
  list(REMOVE_ITEM helpers ${tests} ${checks})

  set(helper_library "")
  if(helpers)
    set(helper_library arrowport_test_${room})
    add_library(${helper_library} OBJECT ${helpers})
    target_link_libraries(${helper_library} PRIVATE arrowport_flags arrowport_dependencies
      PkgConfig::CMOCKA)
    target_include_directories(${helper_library} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/tests")
    target_compile_definitions(${helper_library} PRIVATE ${test_definitions})
  endif()
  foreach(source IN LISTS tests)
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "^test_" "" name "${name}")
    set(target test_${room}_${name})
    add_executable(${target} "${source}")
    link_rooms(${target} ${OBJECTS_${room}} ${helper_library})
    target_link_libraries(${target} PRIVATE PkgConfig::CMOCKA)
    if(name MATCHES "^nomem")
      target_link_libraries(${target} PRIVATE arrowport_test_nomem)
      target_link_options(${target} PRIVATE ${nomem_link_options})
    endif()
    target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/tests")
    target_compile_definitions(${target} PRIVATE ${test_definitions})
    set_target_properties(${target} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_test(NAME ${room}/${name} COMMAND ${target})
    set_tests_properties(${room}/${name} PROPERTIES TIMEOUT 300 LABELS ${room})
  endforeach()
endforeach()

# Programs that tests run.
file(GLOB tools CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/tests/tools/*.c")
foreach(source IN LISTS tools)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(tool_${name} "${source}")
  link_rooms(tool_${name} ${OBJECTS_LIBRARY})
  set_target_properties(tool_${name} PROPERTIES
    OUTPUT_NAME "${name}" RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/tools")
endforeach()
if(tools)
  duckdb_beside("${CMAKE_BINARY_DIR}/tests/tools")
endif()

# Libraries that tests preload into programs (LD_PRELOAD): no room of ours is in them.
file(GLOB preloads CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/tests/tools/preload/*.c")
foreach(source IN LISTS preloads)
  get_filename_component(name "${source}" NAME_WE)
  add_library(preload_${name} MODULE "${source}")
  target_link_libraries(preload_${name} PRIVATE ${CMAKE_DL_LIBS})
  target_compile_options(preload_${name} PRIVATE -Wall -Wextra -Wshadow -fno-sanitize=all)
  target_link_options(preload_${name} PRIVATE -fno-sanitize=all)
  set_target_properties(preload_${name} PROPERTIES PREFIX "" OUTPUT_NAME "${name}"
    C_VISIBILITY_PRESET default
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/tools")
endforeach()

# Programs that benchmarks run: bench/run compiles them itself, without our flags for
# tests; here they are held to the same warnings.
file(GLOB tools CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/bench/tools/*.c")
foreach(source IN LISTS tools)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(bench_${name} "${source}")
  link_rooms(bench_${name} ${OBJECTS_LIBRARY})
  set_target_properties(bench_${name} PROPERTIES
    OUTPUT_NAME "${name}" RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
endforeach()
if(tools)
  duckdb_beside("${CMAKE_BINARY_DIR}/bench")
endif()

# Our declarations of DuckDB's interface against its own: passes when it compiles.
if(DUCKDB_HEADER_DIR AND EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/tests/engine/check_duckdb_header.c")
  add_library(check_duckdb_header OBJECT EXCLUDE_FROM_ALL
    "${CMAKE_CURRENT_SOURCE_DIR}/tests/engine/check_duckdb_header.c")
  target_link_libraries(check_duckdb_header PRIVATE arrowport_flags)
  target_include_directories(check_duckdb_header SYSTEM PRIVATE "${DUCKDB_HEADER_DIR}")
endif()
