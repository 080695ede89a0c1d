# The rooms, the library and the program.

# OBJECTS_<room> lists the room's object library and those of every room before it.
set(below "")
foreach(room IN LISTS ROOMS)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/${room}/*.c")
  if(room STREQUAL "flight")
    list(APPEND sources ${PROTO_SOURCES})
  endif()
  if(sources)
    add_library(arrowport_${room} OBJECT ${sources})
    target_link_libraries(arrowport_${room} PRIVATE arrowport_flags arrowport_dependencies)
    add_dependencies(arrowport_${room} arrowport_proto)
    list(APPEND below arrowport_${room})
  endif()
  set(OBJECTS_${room} ${below})
  if(NOT room STREQUAL "cli")
    set(OBJECTS_LIBRARY ${below}) # all rooms but cli
  endif()
endforeach()
if(TARGET arrowport_cli)
  add_dependencies(arrowport_cli arrowport_commit)
endif()

# What a program of ours is linked with: the objects themselves, so that it starts
# without looking for our library.
function(link_rooms target)
  target_link_libraries(${target} PRIVATE ${ARGN} arrowport_flags arrowport_dependencies)
  add_dependencies(${target} arrowport_proto)
  set_target_properties(${target} PROPERTIES ENABLE_EXPORTS OFF)
endfunction()

if(OBJECTS_LIBRARY)
  add_library(arrowport_library SHARED)
  link_rooms(arrowport_library ${OBJECTS_LIBRARY})
  target_include_directories(arrowport_library INTERFACE
    "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  set_target_properties(arrowport_library PROPERTIES
    OUTPUT_NAME arrowport EXPORT_NAME arrowport LINKER_LANGUAGE C
    VERSION "${PROJECT_VERSION}" SOVERSION "${PROJECT_VERSION_MAJOR}")
  if(NOT ARROWPORT_SANITIZE AND NOT ARROWPORT_FUZZ) # their runtimes are in the program
    target_link_options(arrowport_library PRIVATE -Wl,--no-undefined)
  endif()
endif()

if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/src/cli/main.c")
  add_executable(arrowport)
  link_rooms(arrowport ${OBJECTS_cli})
  set_target_properties(arrowport PROPERTIES LINKER_LANGUAGE C)
else()
  message(STATUS "src/cli/main.c is missing: no arrowport program")
endif()
