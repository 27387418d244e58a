#include "textflag.h"

// func assembled(a, b uint64) uint64
TEXT ·assembled(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), AX
	ADDQ b+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET

// func framed(a, b uint64) uint64
TEXT ·framed(SB), $32-24
	MOVQ a+0(FP), AX
	SUBQ b+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET
