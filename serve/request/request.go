package request

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/kballard/go-shellquote"
)

// Methods and notifications, beside those of RFC 7047. An ID is a number that the asker gives to a request.
const (
	// Hello is the first: [Greeting], answered by a Welcome.
	Hello = "ri_hello"
	// Put brings a piece of a file along: [ID, path, piece], before Run.
	Put = "ri_put"
	// Run does a command: [ID, Request], answered by an Ending when all has been written.
	Run = "ri_run"
	// Open brings the command a connection: [ID, stream], a number from FirstConnection on.
	Open = "ri_open"
	// Input is what was typed, or came from a pipe: [ID, piece]; nothing: its end. Answered when the command has it. Of a
	// connection: [ID, piece, stream].
	Input = "ri_input"
	// Signal notifies of one, by its number: [ID, number].
	Signal = "ri_signal"
	// Resize notifies of the terminal's size: [ID, columns, lines].
	Resize = "ri_resize"
	// Output is the agent's: [ID, stream, piece]. Answered when it has been written. Nothing: the end of a connection.
	Output = "ri_output"
	// File is the agent's: [ID, Made], what a command made, a folder or a piece of a file.
	File = "ri_file"
	// Save is the agent's: [ID, path, text], a file that a shell's :save is to make where it is typed. Answered when it is
	// there.
	Save = "ri_save"
	// Load is the agent's: [ID, path], a script that a shell's :run names. Answered by a list of Named: it, and what it
	// requires.
	Load = "ri_load"
	// Stopped is the agent's: [ID], the command was suspended (Ctrl-Z).
	Stopped = "ri_stopped"
)

// Limits of what crosses.
const (
	// MaxMessage is the longest message that an agent takes, in bytes.
	MaxMessage = 2 << 20
	// Piece is the longest piece of anything, in bytes.
	Piece = 128 << 10
	// Ahead is how many pieces of output may be under way.
	Ahead = 8
	// Inline is how many bytes of files travel with the request itself.
	Inline = 256 << 10
)

// Streams of a command.
const (
	Stdout   = 1
	Stderr   = 2
	Terminal = 3 // both, as a terminal has them
	// FirstConnection is the first number of connections.
	FirstConnection = 16
	// MaxConnections is how many of a command may be open.
	MaxConnections = 16
)

// Greeting is who asks.
type Greeting struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"` // of its ri
}

// Welcome is who answers.
type Welcome struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	Host     string `json:"host"`
	Role     string `json:"role"`
	Caller   string `json:"caller"`          // who the agent takes the asker for
	Agent    string `json:"agent,omitempty"` // who it is among others of a fleet
}

// Protocol counts what makes older ones misunderstand newer ones.
const Protocol = 1

// Request is a command of ri, taken apart: so that who checks it and who does it can't read it differently.
type Request struct {
	Command []string `json:"command"` // its words: record calls
	Flags   []Flag   `json:"flags,omitempty"`
	Args    []string `json:"args,omitempty"`
	After   []string `json:"after,omitempty"` // what comes after --
	Dashed  bool     `json:"dashed,omitempty"`
	// Commands are what its flags have as command lines of ri (--on-exit), in their order; those flags' values are empty.
	Commands []Request `json:"commands,omitempty"`

	Folder   string     `json:"folder"` // in which it was asked
	Files    []Named    `json:"files,omitempty"`
	Terminal *Terminals `json:"terminal,omitempty"`
	Env      []string   `json:"env,omitempty"` // NAME=VALUE, of those in Environment
	Input    bool       `json:"input"`         // there is something to be read

	Began uint64 `json:"began,omitempty"` // when the process began that is meant, in ticks; 0: whichever has the number
	Limit int64  `json:"limit,omitempty"` // how long it may take, in milliseconds; 0: as long as it takes
}

// Flag is a flag that was given, by its long name.
type Flag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Terminals says which of a command's streams are a terminal, and how large it is.
type Terminals struct {
	In     bool `json:"in"`
	Out    bool `json:"out"`
	Err    bool `json:"err"`
	Raw    bool `json:"raw"` // what is written comes to a terminal that changes nothing
	Width  int  `json:"width"`
	Height int  `json:"height"`
}

// Environment has the variables that travel. None names a program, or a place.
var Environment = []string{"TERM", "NO_COLOR", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "COLUMNS", "LINES", "TZ"}

// Named is a path that the command names, and what is there at the asker's.
type Named struct {
	Path string `json:"path"` // absolute and clean
	Kind string `json:"kind"` // file, folder, nothing, nowhere
	Data Bytes  `json:"data,omitempty"`
	Sent bool   `json:"sent,omitempty"` // its contents came by Put
	Out  bool   `json:"out,omitempty"`  // it is to be made
}

// Kinds of what is at a path.
const (
	IsFile   = "file"
	IsFolder = "folder"
	IsNot    = "nothing"
	// IsNowhere: nor is there a folder in which it could be.
	IsNowhere = "nowhere"
)

// Made is a folder, or a piece of a file, that a command made.
type Made struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
	At   int64  `json:"at"`
	Data Bytes  `json:"data,omitempty"`
	Last bool   `json:"last,omitempty"` // of the file
	Size int64  `json:"size"`           // of the whole file: what no piece had is zeros
	Mode uint32 `json:"mode"`
}

// Ending is how a command ended.
type Ending struct {
	Code int    `json:"code"`           // what ri exits with
	Why  string `json:"why,omitempty"`  // where it is the agent that ended it, or a signal did
	Held string `json:"held,omitempty"` // what came of the process's stops
	// Stopped is for how long processes were held, in nanoseconds; Late: it took longer than the request's limit.
	Stopped int64 `json:"stopped_ns,omitempty"`
	Late    bool  `json:"late,omitempty"`
}

// Bytes are text where they are UTF-8, so that what crosses can be read, else {"$b64": "..."}.
type Bytes []byte

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) {
	if utf8.Valid(b) {
		return json.Marshal(string(b))
	}
	return json.Marshal(map[string]string{"$b64": base64.StdEncoding.EncodeToString(b)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bytes) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*b = Bytes(text)
		return nil
	}
	var other struct {
		B64 []byte `json:"$b64"`
	}
	if err := json.Unmarshal(data, &other); err != nil {
		return err
	}
	*b = other.B64
	return nil
}

// ErrMalformed: what came isn't what the protocol says.
var ErrMalformed = errors.New("malformed request")

// ErrGone: the process isn't there any more. Its text is found in what an agent answers.
var ErrGone = errors.New("is gone: it has ended")

// Into reads what a message had as JSON.
func Into(j any, v any) error {
	text, err := json.Marshal(j)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return nil
}

// Line is the request as a command line of ri, whose paths lie in root instead: an absolute path is looked for there,
// and others in the folder that the request names. Nothing that a flag or an argument holds can be taken for another
// flag.
func (r *Request) Line(root string) []string {
	line := append([]string{}, r.Command...)
	commands := r.commands()
	for _, f := range r.Flags {
		value := f.Value
		switch flagKind(r.Command, f.Name) {
		case In, Out:
			value = r.place(root, value)
		case Lines:
			value, commands = shellquote.Join(append([]string{"ri"}, commands[0].Line(root)...)...), commands[1:]
		}
		line = append(line, "--"+f.Name+"="+value)
	}
	for _, a := range r.Args {
		line = append(line, r.placeArgument(root, a))
	}
	if r.Dashed || len(r.After) > 0 {
		line = append(append(line, "--"), r.After...)
	}
	return line
}

// At is where the folder of the request lies in root.
func (r *Request) At(root string) string { return filepath.Join(root, r.Folder) }

func (r *Request) place(root, path string) string {
	if path == "" || path == "-" {
		return path
	}
	if filepath.IsLocal(path) {
		return path
	}
	return filepath.Join(root, r.Absolute(path))
}

// Absolute is where a path that the request names lies at the asker's.
func (r *Request) Absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.Folder, path)
}

// Text is the request as a person would have typed it, for logs.
func (r *Request) Text() string {
	words := append([]string{}, r.Command...)
	commands := r.Commands
	for _, f := range r.Flags {
		value := f.Value
		if len(commands) > 0 && flagKind(r.Command, f.Name) == Lines {
			value, commands = "'ri "+commands[0].Text()+"'", commands[1:]
		}
		words = append(words, "--"+f.Name+"="+value)
	}
	words = append(words, r.Args...)
	if r.Dashed {
		words = append(append(words, "--"), r.After...)
	}
	return strings.Join(words, " ")
}

// Name has the request name its process by a number.
func (r *Request) Name(pid string) {
	for i := range r.Flags {
		if r.Flags[i].Name == "pid" {
			r.Flags[i].Value = pid
		}
	}
	if len(r.Command) == 1 && r.Command[0] == "attach" && len(r.Args) == 1 {
		r.Args[0] = pid
	}
}

// Target is the process that the request names, "" if it names none.
func (r *Request) Target() string {
	target := ""
	for _, f := range r.Flags {
		if f.Name == "pid" {
			target = f.Value
		}
	}
	if len(r.Command) == 1 && r.Command[0] == "attach" && len(r.Args) == 1 {
		target = r.Args[0]
	}
	return target
}
