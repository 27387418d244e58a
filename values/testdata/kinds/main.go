// Command kinds holds values of every Go kind and tells the truth about them: what it
// prints on standard output as JSON is what ri is checked against. It answers one command a line on standard
// input ("stacks": all goroutines' stacks as the runtime prints them) and ends when that is closed.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
)

// report is what kinds says of itself.
type report struct {
	PID       int
	GoVersion string
	Truths    []truth
	Queues    []queue   // what channels hold
	Pairs     []pairs   // what sync.Maps hold
	Times     []instant // what time.Times mean
	Callers   []caller  // where program counters lie
	Frames    []local   // what is in frames
	Captured  []local   // what closures captured
	Hidden    []hidden  // where servers hide
	Labelled  []labelled
}

// answer is what a command gives.
type answer struct {
	Stacks string
}

func main() {
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	r := &report{PID: os.Getpid(), GoVersion: runtime.Version()}
	numbers()
	texts()
	lists()
	maps()
	channels(r)
	pointers()
	embedding()
	interfaces()
	functions(r)
	named()
	generics(r)
	library(r)
	newer()
	foreign()
	r.Callers = callers()
	block(r)
	hide(r)
	r.Truths = truths
	server := &serverInMain{Name: "in main"}
	r.Hidden = append(r.Hidden, hidden{"main.serverInMain", "in main", "main.main", false})
	settle()
	out.Encode(r)
	for in.Scan() {
		out.Encode(answer{Stacks: stacks()})
	}
	runtime.KeepAlive(server)
}
