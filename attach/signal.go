package attach

import "encoding/binary"

// Signal is what the kernel tells of a signal (siginfo_t).
type Signal struct {
	Number  int
	Code    int    // si_code: SEGV_MAPERR, SI_TKILL, ...; 0 where the core doesn't say
	Address uint64 // of the fault, for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP that the processor raised
	Sender  int    // pid of the process that sent it; 0 if none did
}

// ReadSiginfo reads a siginfo_t of amd64 (uapi/asm-generic/siginfo.h): si_signo at 0, si_code at 8, and at 16 what
// depends on them: the address of a fault, or the sender's pid. nil if it is too short, or not of a signal.
func ReadSiginfo(data []byte) *Signal {
	if len(data) < 24 {
		return nil
	}
	le := binary.LittleEndian
	s := &Signal{Number: int(int32(le.Uint32(data))), Code: int(int32(le.Uint32(data[8:])))}
	if s.Number <= 0 || s.Number >= 128 {
		return nil
	}
	switch s.Number {
	case 4, 5, 7, 8, 11: // SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV
		if s.Code > 0 {
			s.Address = le.Uint64(data[16:])
			return s
		}
	}
	if s.Code <= 0 { // SI_USER, SI_QUEUE, SI_TKILL
		s.Sender = int(int32(le.Uint32(data[16:])))
	}
	return s
}
