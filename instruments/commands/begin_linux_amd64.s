#include "textflag.h"

// begin is where the kernel starts ri (the linker's -E), in front of the Go runtime, which says nothing that helps
// where the address space is too small for it. Numbers of calls: arch/x86/entry/syscalls/syscall_64.tbl.
TEXT ·begin(SB),NOSPLIT|NOFRAME,$0
	// getrlimit(RLIMIT_AS, below the stack)
	MOVQ	$97, AX
	MOVQ	$9, DI
	LEAQ	-128(SP), SI
	SYSCALL
	TESTQ	AX, AX
	JNE	room
	MOVQ	$(3<<29), CX // leastSpace
	CMPQ	CX, -128(SP)
	JHI	little

room:
	// mmap(what scripts/trim has taken from the data segment: zeros, readable and writable, fixed, private)
	LEAQ	runtime·edata(SB), DI
	ADDQ	$4095, DI
	ANDQ	$~4095, DI
	LEAQ	runtime·end(SB), SI
	SUBQ	DI, SI
	JLS	start
	MOVQ	$9, AX
	MOVQ	$3, DX
	MOVQ	$0x32, R10
	MOVQ	$-1, R8
	MOVQ	$0, R9
	SYSCALL
	CMPQ	AX, DI
	JNE	little

start:
	JMP	_rt0_amd64_linux(SB)

little:
	// write(2, ...), exit_group(4: refused)
	MOVQ	$1, AX
	MOVQ	$2, DI
	MOVQ	·beginSays(SB), SI
	MOVQ	·beginSays+8(SB), DX
	SYSCALL
	MOVQ	$231, AX
	MOVQ	$4, DI
	SYSCALL
	INT	$3
