# One libFuzzer program for each fuzz/fuzz_<name>.c, and a test that replays
# fuzz/corpus/<name> (and one empty input, so that it runs without a corpus too). Other
# files are helpers, linked into each program.
duckdb_beside("${CMAKE_BINARY_DIR}/fuzz")
file(GLOB targets CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_*.c")
file(GLOB helpers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/*.c")
list(REMOVE_ITEM helpers ${targets})
add_library(arrowport_fuzz OBJECT ${helpers})
target_link_libraries(arrowport_fuzz PRIVATE arrowport_flags arrowport_dependencies)
foreach(source IN LISTS targets)
  get_filename_component(target "${source}" NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" name "${target}")
  add_executable(${target} "${source}")
  link_rooms(${target} ${OBJECTS_LIBRARY} arrowport_fuzz)
  target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")

  set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name}")
  file(WRITE "${CMAKE_BINARY_DIR}/fuzz/empty/empty" "")
  if(NOT IS_DIRECTORY "${corpus}")
    set(corpus "")
  endif()
  add_test(NAME fuzz/${name}
    COMMAND ${target} -runs=0 "${CMAKE_BINARY_DIR}/fuzz/empty" ${corpus})
  set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
endforeach()
