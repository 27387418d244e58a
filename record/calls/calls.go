package calls

import (
	"encoding/json"
	"errors"
	"time"
)

// Version is that of the format.
const Version = 1

// Errors that callers test for.
var (
	ErrNotCalls  = errors.New("not a recording of calls (ri record calls makes one; of state: ri check -r FILE)")
	ErrVersion   = errors.New("made by another version of ri")
	ErrMalformed = errors.New("malformed recording of calls")
	// ErrCutShort: there is no end mark. What is there was read.
	ErrCutShort = errors.New("the recording is cut short")
)

// Header is the first line.
type Header struct {
	Ri       string    `json:"ri"` // "calls"
	Version  int       `json:"version"`
	By       string    `json:"by"`   // release of ri
	Made     time.Time `json:"made"` // when the probes were there; Event.At counts from here
	Program  Program   `json:"program"`
	Boundary Boundary  `json:"boundary"`
	// FromStart: the program was started under the recording, so no call came before the first event.
	FromStart bool    `json:"from_start"`
	Policy    Policy  `json:"policy"`
	Budget    float64 `json:"budget"` // cores
	// State is what receivers, and what the boundary reaches, held when the probes were there.
	State []Receiver `json:"state,omitempty"`
}

// Program is whose calls were recorded.
type Program struct {
	Module  string            `json:"module,omitempty"` // path of the main module
	Version string            `json:"version,omitempty"`
	Go      string            `json:"go,omitempty"`
	Modules map[string]string `json:"modules,omitempty"` // versions of those that the boundary is in
}

// Policy is how values were redacted.
type Policy struct {
	Rules       int  `json:"rules"` // of a file, before what holds for all programs
	DenyNumbers bool `json:"deny_numbers,omitempty"`
	KeyKept     bool `json:"key_kept,omitempty"`
}

// Boundary is what was recorded.
type Boundary struct {
	Of       []string  `json:"of"`                 // as it was asked for
	In       []Func    `json:"in"`                 // called from outside
	Out      []Func    `json:"out,omitempty"`      // called by what is inside
	Receives []Channel `json:"receives,omitempty"` // through which something comes in
	Sends    []Channel `json:"sends,omitempty"`    // through which something goes out
	Missed   []Missed  `json:"missed,omitempty"`   // what is not recorded, and why
}

// Func is a function or method at the boundary.
type Func struct {
	Name      string `json:"func"`                // as Go prints it
	Short     string `json:"short"`               // with the package's name only: so rules call its parameters and results
	Interface string `json:"interface,omitempty"` // of Out: the interface that it was called through
	Field     string `json:"field,omitempty"`     // of Out: the receiver's field that holds it
	Params    []Var  `json:"params,omitempty"`    // the receiver first
	Results   []Var  `json:"results,omitempty"`
	Receiver  bool   `json:"receiver,omitempty"` // Params[0] is one
	Callback  bool   `json:"callback,omitempty"` // of Out: the library was given it, as a function
}

// Var is a parameter or result.
type Var struct {
	Name string `json:"name,omitempty"`
	Type string `json:"type"`
}

// Channel is a channel that crosses the boundary.
type Channel struct {
	Number int    `json:"chan"`
	Elem   string `json:"elem"`
	Where  string `json:"where"` // it was seen first: state[1].Ticker, values[0]
}

// Missed is what is not recorded.
type Missed struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Receiver is what calls were made on.
type Receiver struct {
	ID      int             `json:"on"`
	Type    string          `json:"type"`
	Value   json.RawMessage `json:"value,omitempty"`
	Missing int             `json:"missing,omitempty"` // parts that are not there
	Why     string          `json:"why,omitempty"`     // there is no value
}

// Kind is what an event is.
type Kind string

const (
	Call     Kind = "call"
	Return   Kind = "return"
	Received Kind = "receive"
	Sent     Kind = "send"
)

// Event is one line: something that passed the boundary.
type Event struct {
	Seq       int64         `json:"seq"`  // from 1 on, in the order of time
	At        time.Duration `json:"at"`   // ns since Header.Made, monotonic
	Wall      time.Time     `json:"wall"` // the clock of the host
	Goroutine uint64        `json:"goroutine"`
	Kind      Kind          `json:"kind"`
	Func      string        `json:"func,omitempty"` // of Call and Return
	Channel   int           `json:"chan,omitempty"` // of Received and Sent: its number
	// Inside: of Received and Sent, what is inside sent that to itself. It says only in which order things were done.
	Inside bool              `json:"inside,omitempty"`
	From   int64             `json:"from,omitempty"`   // of Received, Inside: the Seq of where it was sent; 0: not known
	Out    bool              `json:"out,omitempty"`    // what is inside calls, or sends
	On     int               `json:"on,omitempty"`     // Receiver.ID
	Parent int64             `json:"parent,omitempty"` // the call around it, in its goroutine
	Call   int64             `json:"call,omitempty"`   // of Return: the Seq of its call
	Values []json.RawMessage `json:"values,omitempty"` // arguments without the receiver; results; what was received
	// Over: of Received and Sent by a select, the Seq of what was sent inside before, and it could have received instead.
	Over    []int64 `json:"over,omitempty"`
	Closed  bool    `json:"closed,omitempty"`  // of Received: the channel was closed; of Sent: it was closed here
	Polled  bool    `json:"polled,omitempty"`  // of Received: it would not have waited
	Ended   string  `json:"ended,omitempty"`   // of Return: "panic or Goexit"
	Missing int     `json:"missing,omitempty"` // parts of the values that are not there
	Tokens  int     `json:"tokens,omitempty"`  // texts that were replaced
}

// End is the last line.
type End struct {
	End      bool             `json:"end"`
	Why      string           `json:"why"` // why the recording ended: its time, "budget", ...
	Events   int64            `json:"events"`
	Calls    map[string]int64 `json:"calls"`          // by function
	Received int64            `json:"received"`       // from channels that cross the boundary
	Sent     int64            `json:"sent"`           // into such
	Inside   int64            `json:"inside"`         // that what is inside sent to itself, or received from itself
	Open     int64            `json:"open"`           // calls that had not returned, of functions with results
	Missing  int64            `json:"missing"`        // events of which something is missing
	Short    int64            `json:"short"`          // of these, and of states: something didn't fit into a hit's bytes
	Lost     uint64           `json:"lost"`           // events that found no room
	Refused  uint64           `json:"refused"`        // that the budget refused
	Length   time.Duration    `json:"length"`         // ns
	CPU      time.Duration    `json:"cpu"`            // ns that it cost the program, estimated
	Kept     []string         `json:"kept,omitempty"` // fields whose texts are in clear by a rule
	SHA256   string           `json:"sha256"`         // of all lines before
}

// Whole tells whether all that passed the boundary is in the recording.
func (e *End) Whole() bool { return e.Lost == 0 && e.Refused == 0 && e.Missing == 0 }
