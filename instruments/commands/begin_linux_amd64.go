package commands

// begin is in assembler. It is the entry point where the linker is told so: see the Makefile.
func begin()

// beginSays is what it says where the address space is less than leastSpace.
var beginSays = "ri: ri's address space is limited (RLIMIT_AS), and it needs 1.5 GiB" + spaceAdvice + "\n"

var _, _ = begin, beginSays
