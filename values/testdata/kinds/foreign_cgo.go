//go:build withcgo

package main

/*
struct pixel { int x; double weight; char tag[4]; };
typedef struct pixel pixel_t;
enum shade { DARK = 3, LIGHT = 4 };
static pixel_t one = { 5, 0.25, "abc" };
static pixel_t *get(void) { return &one; }
*/
import "C"

var (
	cPixel *C.pixel_t
	cInt   = C.int(-7)
	cShade C.enum_shade
)

func foreign() {
	cPixel = C.get()
	cShade = C.LIGHT
	say("main.cPixel", &cPixel)
	say("main.cPixel.weight", &cPixel.weight)
	say("main.cInt", &cInt)
	say("main.cShade", &cShade)
}
