# The installed layout: bin/arrowport, lib/libarrowport.so with libduckdb.so beside it,
# headers, pkg-config and CMake package files, licences.
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/arrowport")

if(TARGET arrowport)
  install(TARGETS arrowport RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
# What the program says about itself: the manual page and what shells complete.
if(TARGET arrowport)
  install(CODE "
    set(program \"$<TARGET_FILE:arrowport>\")
    set(folder \"${CMAKE_BINARY_DIR}/packaging\")
    file(MAKE_DIRECTORY \"\${folder}\")
    foreach(pair \"help;man;arrowport.1\" \"completion;bash;arrowport\" \"completion;zsh;_arrowport\"
        \"completion;fish;arrowport.fish\")
      list(GET pair 0 command)
      list(GET pair 1 what)
      list(GET pair 2 file)
      execute_process(COMMAND \"\${program}\" \"\${command}\" \"\${what}\"
        OUTPUT_FILE \"\${folder}/\${file}\" COMMAND_ERROR_IS_FATAL ANY)
    endforeach()")
  install(FILES "${CMAKE_BINARY_DIR}/packaging/arrowport.1"
    DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES "${CMAKE_BINARY_DIR}/packaging/arrowport"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
  install(FILES "${CMAKE_BINARY_DIR}/packaging/_arrowport"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
  install(FILES "${CMAKE_BINARY_DIR}/packaging/arrowport.fish"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
endif()
if(TARGET arrowport_library)
  install(TARGETS arrowport_library EXPORT arrowport
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(EXPORT arrowport NAMESPACE arrowport:: FILE arrowportTargets.cmake
    DESTINATION "${package_dir}")
endif()
install(DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/include/arrowport"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
if(DUCKDB_LIBRARY)
  file(REAL_PATH "${DUCKDB_LIBRARY}" duckdb_file)
  install(PROGRAMS "${duckdb_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" RENAME libduckdb.so)
  get_filename_component(duckdb_folder "${duckdb_file}" DIRECTORY)
  install(FILES "${duckdb_folder}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}"
    RENAME LICENSE.duckdb OPTIONAL)
endif()
install(FILES "${CMAKE_CURRENT_SOURCE_DIR}/LICENSE" "${CMAKE_CURRENT_SOURCE_DIR}/NOTICE"
  "${CMAKE_CURRENT_SOURCE_DIR}/docs/third-party.md" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

configure_file("${CMAKE_CURRENT_SOURCE_DIR}/packaging/arrowport.pc.in"
  "${CMAKE_BINARY_DIR}/packaging/arrowport.pc" @ONLY)
configure_package_config_file("${CMAKE_CURRENT_SOURCE_DIR}/packaging/arrowportConfig.cmake.in"
  "${CMAKE_BINARY_DIR}/packaging/arrowportConfig.cmake" INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may break.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/packaging/arrowportConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/packaging/arrowport.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(FILES "${CMAKE_BINARY_DIR}/packaging/arrowportConfig.cmake"
  "${CMAKE_BINARY_DIR}/packaging/arrowportConfigVersion.cmake" DESTINATION "${package_dir}")

# systemd looks in lib/systemd/system of /usr and of /usr/local. What is to be copied and changed
# lies in share/arrowport; nothing is written into /etc.
install(FILES "${CMAKE_CURRENT_SOURCE_DIR}/packaging/arrowport.service"
  "${CMAKE_CURRENT_SOURCE_DIR}/packaging/arrowport.socket" DESTINATION lib/systemd/system)
install(FILES "${CMAKE_CURRENT_SOURCE_DIR}/packaging/arrowport.yaml"
  "${CMAKE_CURRENT_SOURCE_DIR}/packaging/grafana-dashboard.json"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/arrowport")
