package flow

import "slices"

// useOf says what runtime and sync functions do with a channel or WaitGroup. Which register it is in: see use.
var useOf = map[string]string{
	"runtime.chansend1": "send", "runtime.selectnbsend": "send",
	"runtime.chanrecv1": "receive", "runtime.chanrecv2": "receive", "runtime.selectnbrecv": "receive",
	"runtime.closechan":     "receive",
	"runtime.selectgo":      "select",
	"sync.(*WaitGroup).Add": "done", "sync.(*WaitGroup).Done": "done", "sync.(*WaitGroup).Go": "done",
}

// Registers of Go's calling convention for integers (ABIInternal): AX, BX, CX, DI, SI.
const (
	regBX = 3
	regDI = 7
	regSI = 6
)

const (
	maxUses  = 128
	maxCases = 64
)

// use notes a call that has to do with a channel or WaitGroup.
func (r *run) use(function string, pc uint64, s *State) {
	kind := useOf[function]
	switch {
	case function == "runtime.deferproc" || function == "runtime.deferprocStack" || function == "runtime.deferprocat":
		r.used(Use{What: r.unknown(pc, 24), Kind: "done"}) // what is deferred in a loop is not followed
	case kind == "":
	case kind == "select":
		// selectgo(cas0 *scase, order0 *uint16, pc0 *uintptr, nsends, nrecvs int, block bool): the cases lie on the
		// stack, sends first.
		first, sends, receives := s.regs[regAX], s.regs[regDI], s.regs[regSI]
		if first.Kind != Stack || sends.Kind != Constant || receives.Kind != Constant || sends.N < 0 ||
			receives.N < 0 || sends.N+receives.N > maxCases {
			r.used(Use{What: r.unknown(pc, 22), Kind: "send"})
			r.used(Use{What: r.unknown(pc, 23), Kind: "receive"})
			return
		}
		for i := range sends.N + receives.N {
			kind := "send"
			if i >= sends.N {
				kind = "receive"
			}
			r.used(Use{What: r.load(r.f.table.plus(first, 16*i), pc, s), Kind: kind})
		}
	case function == "runtime.selectnbrecv":
		r.used(Use{What: s.regs[regBX], Kind: kind})
	default:
		r.used(Use{What: s.regs[regAX], Kind: kind})
	}
}

func (r *run) used(u Use) {
	if !r.replay && len(r.f.uses) < maxUses && !slices.Contains(r.f.uses, u) {
		r.f.uses = append(r.f.uses, u)
	}
}
