# How our own code is compiled.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug)
endif()
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(arrowport_flags INTERFACE)
target_compile_definitions(arrowport_flags INTERFACE _GNU_SOURCE)
target_compile_options(arrowport_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -fno-omit-frame-pointer -ffunction-sections
  -fdata-sections $<$<BOOL:${ARROWPORT_WERROR}>:-Werror>)
target_link_options(arrowport_flags INTERFACE -Wl,--as-needed -Wl,--gc-sections)
target_include_directories(arrowport_flags INTERFACE
  "${CMAKE_CURRENT_SOURCE_DIR}/src"
  "${CMAKE_CURRENT_SOURCE_DIR}/include"
  "${CMAKE_BINARY_DIR}/generated")
target_include_directories(arrowport_flags SYSTEM INTERFACE "${CMAKE_BINARY_DIR}/generated/proto")
if(CMAKE_BUILD_TYPE MATCHES "^Rel")
  target_compile_options(arrowport_flags INTERFACE -fstack-protector-strong)
  # ccache leaves a command alone that names _FORTIFY_SOURCE twice: Debian's gcc does not set it.
  target_compile_definitions(arrowport_flags INTERFACE _FORTIFY_SOURCE=2)
  target_link_options(arrowport_flags INTERFACE -Wl,-z,relro)
endif()

# A release names no folder of the machine that built it; assert() and the debug
# information would. Other builds do: tests find their files by it.
if(CMAKE_BUILD_TYPE MATCHES "^Rel")
  target_compile_options(arrowport_flags INTERFACE
    "-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}/=")
endif()

# gcc's -O2 makes vector instructions of hardly any loop; checking indices and offsets is
# twice as fast with them.
string(REPLACE "-O2" "-O3" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

# assert() stays on in every build: a broken invariant must not go on to write data.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

if(ARROWPORT_SANITIZE)
  target_compile_options(arrowport_flags INTERFACE
    "-fsanitize=${ARROWPORT_SANITIZE}" -fno-sanitize-recover=all)
  target_link_options(arrowport_flags INTERFACE "-fsanitize=${ARROWPORT_SANITIZE}")
  # AddressSanitizer looks for __cxa_throw when a program starts; libduckdb.so, which
  # throws, comes later. So the C++ runtime is there from the start.
  target_link_options(arrowport_flags INTERFACE
    -Wl,--push-state,--no-as-needed -l:libstdc++.so.6 -Wl,--pop-state)
endif()
if(ARROWPORT_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "ARROWPORT_FUZZ needs clang: CC=clang-14, or --preset asan")
  endif()
  target_compile_options(arrowport_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ARROWPORT_COVERAGE)
  if(NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "ARROWPORT_COVERAGE needs gcc: --preset coverage")
  endif()
  target_compile_options(arrowport_flags INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(arrowport_flags INTERFACE --coverage)
endif()
