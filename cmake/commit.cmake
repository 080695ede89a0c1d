# Run at each build: writes HEADER with the commit of SOURCE, if it has changed.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown") # an archive of the sources, or no git
endif()
file(CONFIGURE OUTPUT "${HEADER}" CONTENT
  "/* Generated. */\n#define ARROWPORT_COMMIT \"${commit}\"\n")
