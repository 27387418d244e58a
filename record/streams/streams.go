package streams

import "time"

// Header is the header of a recording of streams. Its members stand beside those that record/format writes.
type Header struct {
	Kind    string    `json:"kind"` // "streams"
	Ri      string    `json:"ri"`   // the version that wrote it
	Begun   time.Time `json:"begun"`
	Process Process   `json:"process"`
	Asked   Asked     `json:"asked"`
	Counts  Counts    `json:"counts"` // zero until the end
	// Ended says why the recording ended: exited (the program did), asked (Ctrl-C), time (--for), budget, lost, full.
	Ended string `json:"ended,omitempty"`
	// Incomplete lists what keeps the recording from being whole, a sentence each; empty if it is.
	Incomplete []string `json:"incomplete,omitempty"`
}

// Asked is what was asked for, as far as it decides what is in the file.
type Asked struct {
	FromBirth bool     `json:"from_birth"` // ri started the program, so no first event is missed
	Payload   bool     `json:"payload"`    // bytes that came in are kept, redacted
	Sent      bool     `json:"sent"`       // bytes that went out are kept, too; else their size and digest
	Random    bool     `json:"random"`     // random bytes are kept: they hold what keys are made of
	Listen    []string `json:"listen,omitempty"`
	To        []string `json:"to,omitempty"`
	Policy    string   `json:"policy,omitempty"`
}

// Process is the program that was recorded.
type Process struct {
	PID       int      `json:"pid"`
	OwnPID    int      `json:"own_pid,omitempty"` // what it is to itself, in a pid namespace of its own
	Exe       string   `json:"exe"`               // its path there
	ExeSHA256 string   `json:"exe_sha256"`        // of the executable's bytes, in hexadecimal
	GoVersion string   `json:"go_version"`
	Module    string   `json:"module,omitempty"`
	Args      []string `json:"args"` // with argv[0]; redacted
	Env       []string `json:"env"`  // NAME=VALUE; values redacted
	Dir       string   `json:"dir"`  // working folder
	UID       int      `json:"uid"`
	Boot      []byte   `json:"boot,omitempty"` // AT_RANDOM, if random bytes are kept
	Exit      *int     `json:"exit,omitempty"` // exit code, if it ended while it was recorded; 128 + signal
	Host      string   `json:"host,omitempty"` // host name, a token
	Tokens    []Token  `json:"tokens,omitempty"`
	Files     []File   `json:"files,omitempty"`
}

// Token is a replaced text that stands in streams, arguments and files alike; the same length as what it stands for.
type Token struct {
	Field string `json:"field"` // where it was found first: "header Authorization", "CONNECT pass"
	Text  []byte `json:"text"`  // the token
}

// File is a file that was taken along, with the tokens put in unless it is Raw. Its content is a block of its own.
type File struct {
	Path   string `json:"path"`
	Mode   uint32 `json:"mode"` // permission bits
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Raw    bool   `json:"raw,omitempty"`
}

// Counts are what a recording holds.
type Counts struct {
	Events      uint64 `json:"events"`
	Connections uint64 `json:"connections"`
	In          uint64 `json:"in"`    // bytes that came in
	Out         uint64 `json:"out"`   // bytes that went out
	Lost        uint64 `json:"lost"`  // events that there was no room for
	Holes       uint64 `json:"holes"` // bytes that are known by their size only: splice, sendfile, what was lost
}

// Kind says what an event is. The names are those of docs/streams.md.
type Kind uint8

const (
	Listen   Kind = iota + 1 // a socket listens: Local
	Accept                   // a connection came in: Local, Peer
	Dial                     // the program connected, or failed to (Errno): Local, Peer
	Existing                 // a connection that was there when the recording began: Local, Peer, Dialled
	In                       // bytes that the program read; Size 0 with Errno 0 is the end of the stream (EOF)
	Out                      // bytes that the program wrote
	Shutdown                 // the program closed one direction: Size is 0 (read), 1 (write), 2 (both)
	Close                    // the program closed the connection
	Hole                     // Size bytes came in (Size > 0, Inbound) or went out unseen: Why
	Clock                    // the program asked for the wall clock; only if that is recorded
	Random                   // the program asked for random bytes: Size; Data if asked for
	Start                    // the recording begins: Wall, Mono
	End                      // the recording ends, or the program did
)

// Event is one event. Zero fields are not in the file.
type Event struct {
	Seq       uint64 // its place in the one order over all; of writes taken when they began, of reads when they ended
	Kind      Kind
	Mono      int64  // CLOCK_MONOTONIC, nanoseconds
	Wall      int64  // CLOCK_REALTIME, nanoseconds since 1970
	Goroutine uint64 // 0: not known
	Thread    uint32
	Conn      uint32 // which connection: 1, 2, ...; 0: of none. Numbers aren't used again
	TLS       bool   // Data is the plaintext inside of TLS; raw events of such a connection have no Data
	Inbound   bool   // of a Hole: it came in
	Dialled   bool   // of Existing: the program began it
	Network   string // tcp, udp, unix: of Listen, Accept, Dial, Existing
	Local     string // address as net.Addr prints it
	Peer      string
	Errno     int32 // of the system call; 0: it worked
	Size      int64 // bytes that went through, or as the kind says
	Data      []byte
	Digest    []byte // SHA-256 of what isn't kept of an Out
	Why       string // of a Hole
}

// kindNames are the names of kinds, in their order.
var kindNames = []string{"unknown", "listen", "accept", "dial", "existing", "in", "out", "shutdown", "close", "hole",
	"clock", "random", "start", "end"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}
