package commands

// begin is in assembler. It is the entry point where the linker is told so: see the Makefile.
func begin()

// beginSays is what it says where there is no room for the Go runtime, which needs some 720 MiB.
var beginSays = "ri: ri's address space is limited to less than 768 MiB (RLIMIT_AS), and it needs 1.5 GiB" +
	spaceAdvice + "\n"

var _, _ = begin, beginSays
