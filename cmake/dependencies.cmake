# What is linked, and where libduckdb.so is (which is loaded, not linked).
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1>=0.2.5)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd>=1.5.4)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4>=1.9.4)
pkg_check_modules(SNAPPY REQUIRED IMPORTED_TARGET snappy>=1.1.9)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib>=1.2.13)
# Only its header: its functions are compiled in.
pkg_check_modules(XXHASH REQUIRED libxxhash>=0.8.1)
# Only its headers: the library is loaded when a command makes a request (http_client.c).
pkg_check_modules(CURL REQUIRED libcurl>=7.88)

add_library(arrowport_dependencies INTERFACE)
target_link_libraries(arrowport_dependencies INTERFACE
  PkgConfig::UV PkgConfig::YAML PkgConfig::JANSSON PkgConfig::ZSTD PkgConfig::LZ4 PkgConfig::SNAPPY
  PkgConfig::NGHTTP2 PkgConfig::PROTOBUF_C PkgConfig::OPENSSL PkgConfig::ZLIB
  Threads::Threads ${CMAKE_DL_LIBS} m)
target_include_directories(arrowport_dependencies SYSTEM INTERFACE
  ${CURL_INCLUDE_DIRS} ${XXHASH_INCLUDE_DIRS})

if(NOT DUCKDB_ROOT AND DEFINED ENV{DUCKDB_ROOT})
  set(duckdb_root "$ENV{DUCKDB_ROOT}")
elseif(DUCKDB_ROOT)
  set(duckdb_root "${DUCKDB_ROOT}")
else()
  set(duckdb_root "${CMAKE_CURRENT_SOURCE_DIR}/.deps/duckdb")
endif()
set(DUCKDB_LIBRARY "")
foreach(place "${duckdb_root}" "${duckdb_root}/lib")
  if(EXISTS "${place}/libduckdb.so")
    set(DUCKDB_LIBRARY "${place}/libduckdb.so")
    break()
  endif()
endforeach()
if(DUCKDB_LIBRARY)
  message(STATUS "libduckdb: ${DUCKDB_LIBRARY}")
else()
  message(STATUS "libduckdb.so is not in ${duckdb_root}: scripts/fetch-duckdb gets it")
endif()

# The engine looks for libduckdb.so beside the program: in the build tree a link stands
# there, so that no program carries a path of the machine it was built on.
function(duckdb_beside folder)
  if(DUCKDB_LIBRARY)
    file(MAKE_DIRECTORY "${folder}")
    file(CREATE_LINK "${DUCKDB_LIBRARY}" "${folder}/libduckdb.so" SYMBOLIC)
  endif()
endfunction()
duckdb_beside("${CMAKE_BINARY_DIR}")

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  if(DEFINED ENV{CCACHE_DIR})
    set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE}")
  else() # not in the home folder
    set(CMAKE_C_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
      "CCACHE_DIR=${CMAKE_CURRENT_SOURCE_DIR}/.deps/ccache" "${CCACHE}")
  endif()
endif()
