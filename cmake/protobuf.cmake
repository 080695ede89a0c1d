# C code of the protobuf messages, and their descriptors for server reflection. protoc-c makes both.
find_program(PROTOC_C protoc-c)
if(NOT PROTOC_C)
  message(FATAL_ERROR "protoc-c is missing: apt-get install protobuf-c-compiler")
endif()

set(proto_folder "${CMAKE_CURRENT_SOURCE_DIR}/src/flight/proto")
set(proto_out "${CMAKE_BINARY_DIR}/generated/proto")
file(MAKE_DIRECTORY "${proto_out}")
file(GLOB_RECURSE proto_files RELATIVE "${proto_folder}" CONFIGURE_DEPENDS "${proto_folder}/*.proto")
set(proto_inputs "")
set(PROTO_SOURCES "")
set(proto_headers "")
foreach(proto IN LISTS proto_files)
  string(REGEX REPLACE "\\.proto$" ".pb-c" stem "${proto}")
  list(APPEND proto_inputs "${proto_folder}/${proto}")
  list(APPEND PROTO_SOURCES "${proto_out}/${stem}.c")
  list(APPEND proto_headers "${proto_out}/${stem}.h")
endforeach()
add_custom_command(
  OUTPUT ${PROTO_SOURCES} ${proto_headers}
  COMMAND "${PROTOC_C}" "-I${proto_folder}" "--c_out=${proto_out}" ${proto_files}
  DEPENDS ${proto_inputs} VERBATIM)
add_custom_command(
  OUTPUT "${proto_out}/descriptors.c"
  COMMAND "${PROTOC_C}" "-I${proto_folder}" "--descriptor_set_out=${proto_out}/descriptors.bin"
    --include_imports ${proto_files}
  COMMAND "${CMAKE_COMMAND}" "-DIN=${proto_out}/descriptors.bin" "-DOUT=${proto_out}/descriptors.c"
    -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed.cmake"
  DEPENDS ${proto_inputs} "${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed.cmake" VERBATIM)
list(APPEND PROTO_SOURCES "${proto_out}/descriptors.c")
add_custom_target(arrowport_proto DEPENDS ${proto_headers} "${proto_out}/descriptors.c")
set_source_files_properties(${PROTO_SOURCES} PROPERTIES COMPILE_OPTIONS -w) # not ours to mend
