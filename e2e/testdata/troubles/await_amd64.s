#include "textflag.h"

// func await1(p *uint64)
TEXT ·await1(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
again:
	MOVQ (AX), BX
	TESTQ BX, BX
	JZ again
	RET
