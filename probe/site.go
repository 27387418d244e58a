package probe

import "time"

// Instruction is what stands at a site, which is what a hit costs.
type Instruction uint8

// The kernel emulates the first three for some half a microsecond; what it can't emulate is copied out of line and
// single-stepped, for several (arch/x86/kernel/uprobes.c, Linux 6.6 to 6.18).
const (
	Push     Instruction = iota // PUSHQ BP, after the stack check
	Check                       // the stack check's own JBE: see Site.Again
	Emulated                    // NOP, JMP, Jcc, CALL rel32, another PUSH
	Stepped                     // all else: single-stepped
)

// Cost is what a hit of an empty program costs the target's thread, as an estimate before anything was measured here.
func (i Instruction) Cost() time.Duration {
	if i == Stepped {
		return 3700 * time.Nanosecond
	}
	return 520 * time.Nanosecond
}

// Role is what a hit of a site means.
type Role uint8

const (
	Entry   Role = iota // the function was called
	Inlined             // a call of the function that was inlined into Site.Into begins
	Line                // a line is reached
	Return              // the function is about to return: its results are where they will be
	Receive             // it receives from a channel, or has received
)

// Site is one address of a program at which it is probed.
type Site struct {
	Func        string // as Go prints it
	Into        string // of an inlined call: the function that has it; "" otherwise
	File        string // where the site stands
	Line        int
	PC          uint64 // link-time address
	Instruction Instruction
	Role        Role
	// Again, at a Check: hits with the carry or the zero flag set are calls that begin anew with a larger stack. They
	// are not counted.
	Again bool
	// Unsure, of an inlined call: the compiler mixes its instructions with others and may have moved the first one, so
	// that hits may be fewer or more than calls. Where it left a mark, or the code shows otherwise, this is false.
	Unsure bool
	// CFA is how far the end of the frame (SP before the call instruction pushed) is above SP at the site.
	CFA int64
	// G: the goroutine is in R14, so it has an identity here. Not so in assembler and on signal stacks; nothing typed is
	// captured there, and returns are not paired.
	G bool
}
