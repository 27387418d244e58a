package player

import (
	"fmt"
	"time"
)

// Options say how a recording is replayed.
type Options struct {
	Binary     string   // the executable; "": the recorded path's, if it is the one that was recorded
	Args       []string // in place of the recorded ones, without argv[0]; nil: the recorded ones
	Exec       []string // what runs the program: "dlv", "exec"; the program's path and arguments come behind
	Pace       float64  // 0: without delay; 1: as it was recorded; 2: twice as fast
	FreeTime   bool     // the program has the real clock
	FreeRandom bool     // the program has the kernel's random bytes
	Patience   time.Duration
	MayDiffer  []Rule
	Trust      []string // files with certificates of authorities that the program trusts: ri's is put behind them
	ClientCert []byte   // DER: who the clients are that the program asks for a certificate
	AsRead     bool     // requests that ran at once come in the order of their reads, not of their answers
}

// job is what the player inside is told.
type job struct {
	Options
	Path  string // of the program, inside
	Size  int64  // of the recording
	Quiet bool
}

// Difference is an output that isn't what was recorded.
type Difference struct {
	Event    uint64        `json:"event"` // its place in the recording
	Conn     uint32        `json:"connection"`
	With     string        `json:"with"` // the peer, or the address at which it came in
	At       time.Duration `json:"at"`   // since the recording's beginning
	Size     int64         `json:"size"`
	Offset   int           `json:"offset"` // the first byte that differs
	Recorded []byte        `json:"recorded"`
	Replayed []byte        `json:"replayed"`
	Missing  bool          `json:"missing,omitempty"` // nothing came
	Sent     bool          `json:"sent"`              // the recording has its bytes, and not their digest only
}

// Unmatched is what the program sent to a peer that the recording has no answer to.
type Unmatched struct {
	Peer     string `json:"peer"`
	Replayed []byte `json:"replayed"`
	Event    uint64 `json:"event,omitempty"` // the output that is most like it: the next on its connection
	Offset   int    `json:"offset"`
	Recorded []byte `json:"recorded,omitempty"`
	Question string `json:"question,omitempty"` // of a name server: "host.example. A"
}

// Report is what came of a replay.
type Report struct {
	Events    int   `json:"events"`
	Played    int   `json:"played"`    // what came in: connections, reads, ends
	Equal     int   `json:"equal"`     // outputs
	ByRule    int   `json:"by_rule"`   // of these: equal but for what a rule says may differ
	Unknown   int   `json:"unknown"`   // outputs of which the recording has neither bytes nor a digest
	Moved     int   `json:"moved"`     // outputs that came before others which the recording has before them
	Differing int   `json:"differing"` // outputs
	Missing   int   `json:"missing"`   // outputs
	Short     int   `json:"short"`     // outputs that weren't there when nothing moved any more; some came later
	Extra     int64 `json:"extra"`     // bytes that the recording doesn't have

	Differences    []Difference `json:"differences"` // the first ones
	Unmatched      []Unmatched  `json:"unmatched"`   // the first ones
	UnmatchedCount int          `json:"unmatched_count"`
	Passed         []Passed     `json:"passed"` // by rule

	Took         time.Duration `json:"took"`
	Recorded     time.Duration `json:"recorded"`
	Exit         int           `json:"exit"`
	RecordedExit *int          `json:"recorded_exit,omitempty"`
	Ended        bool          `json:"ended"` // the program ended before the recording did
	Asked        uint64        `json:"asked"` // how often it asked for the time or for random bytes
	Notes        []string      `json:"notes"`
}

// Passed is what a rule of what may differ passed.
type Passed struct {
	Rule    string `json:"rule"`
	Outputs int    `json:"outputs"`
}

// maxTold is how many differences are told.
const maxTold = 20

// Same tells that the program did what was recorded.
func (r *Report) Same() bool { return r.Moved == 0 && r.same() }

// Reordered tells that it did, but for the order in which it wrote.
func (r *Report) Reordered() bool { return r.Moved > 0 && r.same() }

func (r *Report) same() bool {
	exit := r.RecordedExit == nil || *r.RecordedExit == r.Exit
	return r.Differing+r.Missing+r.UnmatchedCount == 0 && r.Extra == 0 && exit && !r.Ended
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// excerpt is what is shown of bytes around an offset.
func excerpt(b []byte, offset int) []byte {
	from := max(0, min(offset, len(b))-24)
	return b[from:min(len(b), from+72)]
}
