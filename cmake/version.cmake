# arrowport_version.h: ARROWPORT_VERSION, fixed when the build is configured.
# arrowport_commit.h: ARROWPORT_COMMIT, looked up at each build; a header of its own, so
# that a commit recompiles only the one file that prints it.
configure_file("${CMAKE_CURRENT_LIST_DIR}/arrowport_version.h.in"
  "${CMAKE_BINARY_DIR}/generated/arrowport_version.h" @ONLY)

add_custom_target(arrowport_commit
  COMMAND "${CMAKE_COMMAND}" "-DSOURCE=${CMAKE_CURRENT_SOURCE_DIR}"
    "-DHEADER=${CMAKE_BINARY_DIR}/generated/arrowport_commit.h"
    -P "${CMAKE_CURRENT_LIST_DIR}/commit.cmake"
  BYPRODUCTS "${CMAKE_BINARY_DIR}/generated/arrowport_commit.h"
  COMMENT "")
