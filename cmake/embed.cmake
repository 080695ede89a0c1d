# cmake -DIN=descriptors.bin -DOUT=descriptors.c -P embed.cmake: a file's bytes as a C array.
file(READ "${IN}" hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," list "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" list "${list}")
file(WRITE "${OUT}" "/* A FileDescriptorSet of all .proto files: see flight/messages.h. */
#include <stddef.h>
#include \"flight/messages.h\"
const unsigned char flight_descriptors[] = {
${list}
};
const size_t flight_descriptors_bytes = ${bytes};
")
