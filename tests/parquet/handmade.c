/* The arrow room's arrays written down by hand, for this room's tests: helpers are linked by room. */
#include "arrow/handmade.c"
