package layout

import (
	"fmt"
	"strings"
	"sync"

	"ri/symbols"
)

// Layouts are those of one program.
type Layouts struct {
	Goroutine Goroutine
	Thread    Thread
	Channel   Channel
	Queue     Queue
	Lock      Lock
	Maps      Group // what all maps have; see Map
	Heap      Heap
	Poller    Poller
	Timer     Timer
	Collector Collector
}

// key is what a symbols.File keeps Layouts under.
type key struct{}

// Of gives a program's layouts, compiled when they are first asked for.
func Of(f *symbols.File) *Layouts {
	return f.Keep(key{}, func() any { return compile(&compiler{source: f}) }).(*Layouts)
}

func compile(c *compiler) *Layouts {
	l := &Layouts{Goroutine: c.goroutine(), Channel: c.channel(), Lock: c.lock(), Maps: c.maps(), Poller: c.poller(),
		Timer: c.timer(), Collector: c.collector()}
	l.Thread = c.thread(&l.Goroutine)
	l.Queue = c.queue(&l.Goroutine, &l.Channel)
	l.Heap = c.heap(&l.Queue)
	return l
}

func (l *Layouts) groups() []*Group {
	return []*Group{&l.Goroutine.Group, &l.Thread.Group, &l.Channel.Group, &l.Queue.Group, &l.Lock.Group, &l.Maps,
		&l.Timer.Group, &l.Heap.Group,
		&l.Collector.Group, &l.Poller.Group}
}

// Groups names all groups, as an instrument's header may.
var Groups = sync.OnceValue(func() (names []string) {
	for _, g := range compile(&compiler{source: nothing{}}).groups() {
		names = append(names, g.Name)
	}
	return names
})

// nothing is a program that has no structures at all.
type nothing struct{}

func (nothing) Type(string) (*symbols.Type, error) { return nil, symbols.ErrNotFound }
func (nothing) Var(string) (symbols.Var, error)    { return symbols.Var{}, symbols.ErrNotFound }
func (nothing) GoVersion() string                  { return "" }

// Lacks says what the program lacks of a group; nil: it has all that is required. An unknown group is an error.
func (l *Layouts) Lacks(name string) ([]Missing, error) {
	for _, g := range l.groups() {
		if g.Name == name {
			return g.missing, nil
		}
	}
	return nil, fmt.Errorf("ri knows no structures of the runtime named %q; it knows %s: %w", name,
		strings.Join(Groups(), ", "), symbols.ErrNotFound)
}
