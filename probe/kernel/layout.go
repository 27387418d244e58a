package kernel

import (
	"ri/probe"
)

// An event, as programs write it and the reader decodes it. All is little-endian; each read has a place of its own.
//
//	 0 kind, flags (bytes), probe (16 bits), site (32 bits)
//	 8 time
//	16 goroutine
//	24 g
//	32 thread (32 bits), return addresses (32 bits)
//	40 CFA
//	48 sixteen registers, by DWARF number
//	176 of a probe of flows: which flow, and the goroutine that was started
//	then, of a probe with returns: time, site and flags (32 bits each), sixteen registers
//	then the reads of the entry, those of the return, and the return addresses
//
// A read: state and length (32 bits each), address, bytes wanted, data padded to eight bytes.
const (
	atKind      = 0
	atFlags     = 1
	atProbe     = 2
	atSite      = 4
	atTime      = 8
	atGoid      = 16
	atG         = 24
	atThread    = 32
	atFrames    = 36
	atCFA       = 40
	atRegisters = 48
	sizeHeader  = atRegisters + 16*8

	atFlow   = sizeHeader
	atOther  = atFlow + 8
	sizeFlow = 16

	backTime      = sizeHeader
	backSite      = backTime + 8
	backFlags     = backTime + 12
	backRegisters = backTime + 16
	sizeBack      = 16 + 16*8

	pieceState  = 0
	pieceLen    = 4
	pieceAddr   = 8
	pieceWant   = 16
	sizePiece   = 24
	sizeAddress = 8
)

// Kinds of events.
const (
	kindHit    = 1 // of a probe without returns
	kindReturn = 2
	kindEntry  = 3 // the entry of a call that has not returned, or never will
	kindFlow   = 4 // of a probe of flows, plus its probe.FlowEvent
)

// flagUndecided marks an event whose condition was not decided.
const flagUndecided = 1

// layout says where in an event of a probe what lies.
type layout struct {
	at, back []int // of each read, its piece
	frames   int
	size     int // of the event in the ring
}

func layoutOf(p *probe.Probe, frames int) layout {
	var l layout
	end := sizeHeader
	switch {
	case p.Flow != probe.NoFlow:
		end += sizeFlow
	case p.Paired():
		end += sizeBack
	}
	pieces := func(reads []probe.Read) []int {
		var at []int
		for _, r := range reads {
			at = append(at, end)
			end += sizePiece + (int(r.Size)+7)&^7
		}
		return at
	}
	l.at = pieces(p.At.Reads)
	if p.Paired() {
		l.back = pieces(p.Back.Reads)
	}
	l.frames = end
	l.size = end + frames*sizeAddress
	if p.Paired() {
		l.size = class(l.size)
	}
	return l
}

// class rounds the size of an event up to one that a table of calls has.
func class(size int) int {
	for c := 512; ; c *= 2 {
		if size <= c {
			return c
		}
	}
}

// Counters of a probe, for some processors each: bytes from its start.
const (
	countTaken     = 8 * iota // events, or counted
	countFalse                // the condition was false
	countUndecided            // taken, and the condition was not decided
	countNil                  // a nil pointer on the way
	countRefused              // no token
	countLost                 // the ring or a table was full
	countOver                 // beyond the limit
	countNanos                // in the program, of hits that are all measured
	countSampled              // in the program, of hits of which one in sampled is measured
	countEntries              // hits of entries that were kept for their return
	countReturns              // hits of returns, also of calls that weren't kept
	countGone                 // calls that never returned
	countStray                // returns of calls that weren't kept
	countAside                // of goroutines that are in no flow
	sizeCounters   = 128
	sampled        = 32
)

// The control map: what user space sets and programs read, then the counters.
const (
	controlTaken  = 0 // of the whole session
	controlLimit  = 8
	controlFlows  = 16 // that were opened
	controlOver   = 24 // of them, that are over
	controlTokens = 64 // 64 bytes a probe: a signed number of events that may be taken
	sizeTokens    = 64
)

// controlLayout says where what lies in the control map.
type controlLayout struct {
	probes, shards int
}

func (c controlLayout) tokens(probe int) int { return controlTokens + probe*sizeTokens }
func (c controlLayout) stride() int          { return c.probes * sizeCounters }
func (c controlLayout) counters(probe, shard int) int {
	return controlTokens + c.probes*sizeTokens + shard*c.stride() + probe*sizeCounters
}
func (c controlLayout) zeros() int { return c.counters(0, c.shards) } // a row of a table, empty
func (c controlLayout) size() int  { return c.zeros() + rowHistogram }

// A cookie tells a program which site was hit.
//
//	bits 0-15 probe, 16-29 site, 30 the goroutine is in R14, 31 hits with CF or ZF are calls that begin anew,
//	32-63 CFA from SP
const (
	cookieSite  = 16
	cookieG     = 30
	cookieAgain = 31
	cookieCFA   = 32
	maxProbes   = 1 << 16
	maxSites    = 1 << 14
)

func cookie(p, site int, s probe.Site) uint64 {
	c := uint64(p) | uint64(site)<<cookieSite | uint64(uint32(int32(s.CFA)))<<cookieCFA
	if s.G {
		c |= 1 << cookieG
	}
	if s.Again {
		c |= 1 << cookieAgain
	}
	return c
}

// ptRegs is where a register lies in x86's struct pt_regs, by DWARF number (System V ABI, figure 3.36;
// arch/x86/include/asm/ptrace.h).
var ptRegs = [17]int{80, 96, 88, 40, 104, 112, 32, 152, 72, 64, 56, 48, 24, 16, 8, 0, 128}

const (
	regsSP    = 152
	regsG     = 8 // R14
	regsFlags = 144
	regsBP    = 32
)
