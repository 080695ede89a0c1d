/* A stranger's program: uses only what is installed. */
#include <arrowport/arrowport.h>
#include <stdio.h>

int main(void) { return puts(arrowport_version()) < 0; }
