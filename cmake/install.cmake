# The installed layout: bin/arrowport, lib/libarrowport.so with libduckdb.so beside it,
# headers, pkg-config and CMake package files, licences.
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/arrowport")

if(TARGET arrowport)
  install(TARGETS arrowport RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
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
