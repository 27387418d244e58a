package heap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ri/attach"
	"ri/values"
)

// Answers are what was asked of the heap, and what was answered. A recording has them in the place of the heap, if that
// was not recorded: who asks the same is answered. They are names of the program and numbers; keys of maps in paths are
// not among them. It is not safe for concurrent use.
type Answers struct {
	said map[string]answer
	size int // of what is noted
	// unheard runs what looks at memory for an answer; what it reads needn't be recorded. nil: nothing is noted any more.
	unheard func(func())
	walked  *Heap // once for all who ask
}

// answer has one of the two.
type answer struct {
	Said json.RawMessage `json:"said,omitempty"`
	None string          `json:"none,omitempty"` // why there is nothing
}

// NoteAnswers makes answers that are noted. unheard runs what needn't be recorded.
func NoteAnswers(unheard func(func())) *Answers {
	return &Answers{said: map[string]answer{}, unheard: unheard}
}

// ReadAnswers reads what MarshalJSON wrote. Errors: those of JSON.
func ReadAnswers(text []byte) (*Answers, error) {
	a := &Answers{}
	return a, json.Unmarshal(text, &a.said)
}

// MarshalJSON implements json.Marshaler: an object with a member for each question.
func (a *Answers) MarshalJSON() ([]byte, error) { return json.Marshal(a.said) }

// Asked is how often it was asked something.
func (a *Answers) Asked() int { return len(a.said) }

// errNotAsked is what to do where an answer is missing.
func errNotAsked(what string) error {
	return fmt.Errorf("the heap is not in the recording, which has what its instruments asked of it, and not %s: record "+
		"the instrument with the same parameters (ri record -p PID -o FILE RECIPE NAME=VALUE), or all that is reachable "+
		"(ri record -p PID -o FILE --heap): %w", what, attach.ErrNotRecorded)
}

// Oracle is a heap that is asked: one that was walked, or what a recording has of one.
type Oracle struct {
	heap    *Heap
	answers *Answers
	space   *values.Space
	never   map[int64]bool // goroutines that nothing can wake, once asked for
}

// Ask walks the heap as Build does; answers, if there are any, note what it is asked. Those of a recording answer
// themselves.
func Ask(ctx context.Context, s *values.Space, answers *Answers, progress Progress) (o *Oracle, err error) {
	o = &Oracle{answers: answers, space: s}
	switch {
	case answers == nil:
		o.heap, err = Build(ctx, s, progress)
	case answers.unheard == nil:
	default:
		if answers.walked == nil {
			answers.unheard(func() { answers.walked, err = Build(ctx, s, progress) })
		}
		if o.heap = answers.walked; o.heap != nil {
			o.heap.keyless, o.heap.ctx, o.heap.tell = true, ctx, progress // of who asks now: who had it walked may be over
		}
	}
	return o, err
}

// Heap is what was walked; nil of a recording that has only answers.
func (o *Oracle) Heap() *Heap { return o.heap }

// Question asks what f finds out by the heap, nil of a recording. what and args name the question.
func Question[T any](o *Oracle, what string, f func(*Heap) (T, error), args ...any) (out T, err error) {
	if o.answers == nil {
		return f(o.heap)
	}
	key := what
	for _, arg := range args {
		key += fmt.Sprintf(" %v", arg)
	}
	if o.heap == nil {
		said, ok := o.answers.said[key]
		switch {
		case !ok:
			return out, errNotAsked(what)
		case said.None != "":
			return out, fmt.Errorf("%s: %w", said.None, values.ErrNotFound)
		}
		if err := json.Unmarshal(said.Said, &out); err != nil {
			return out, fmt.Errorf("what the recording has of the heap: %w", err)
		}
		return out, nil
	}
	o.answers.unheard(func() { out, err = f(o.heap) })
	if err == nil {
		text, err := json.Marshal(out)
		if err != nil {
			return out, err
		}
		o.answers.note(key, answer{Said: text})
	} else if errors.Is(err, values.ErrNotFound) {
		o.answers.note(key, answer{None: strings.TrimSuffix(err.Error(), ": "+values.ErrNotFound.Error())})
	}
	return out, err
}

// maxAnswers bounds what is noted, in bytes: it is one block of a recording.
const maxAnswers = 32 << 20

func (a *Answers) note(key string, said answer) {
	n := len(key) + len(said.Said) + len(said.None)
	if _, twice := a.said[key]; twice || a.size+n > maxAnswers {
		return
	}
	a.size += n
	a.said[key] = said
}

// named is what is noted of a goroutine.
func (o *Oracle) named(g *values.Goroutine) *values.Goroutine {
	if o.answers == nil {
		return g
	}
	return &values.Goroutine{ID: g.ID, Addr: g.Addr}
}

// found is the goroutine that named names; who records hears of it.
func (o *Oracle) found(g **values.Goroutine) error {
	if o.answers == nil {
		return nil
	}
	there, err := o.space.GoroutineAt((*g).Addr)
	if err == nil && there == nil {
		err = fmt.Errorf("goroutine %d: %w", (*g).ID, values.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("what was answered of the heap: %w", err)
	}
	*g = there
	return nil
}

// Types is Heap.Types.
func (o *Oracle) Types() ([]Type, error) {
	return Question(o, "types", func(h *Heap) ([]Type, error) { return h.Types(), nil })
}

// Object is Heap.Object; nil: the address is outside the heap.
func (o *Oracle) Object(addr uint64) (*Object, error) {
	return Question(o, "object", func(h *Heap) (*Object, error) {
		if found, ok := h.Object(addr); ok {
			return &found, nil
		}
		return nil, nil
	}, addr)
}

// Stats is Heap.Stats.
func (o *Oracle) Stats() (Stats, error) {
	return Question(o, "stats", func(h *Heap) (Stats, error) { return h.Stats(), nil })
}

// Stacks is Heap.Stacks.
func (o *Oracle) Stacks() ([]Stack, error) {
	return Question(o, "stacks", func(h *Heap) ([]Stack, error) { return h.Stacks() })
}

// Biggest is Heap.Biggest.
func (o *Oracle) Biggest(limit int) ([]BigContainer, error) {
	return Question(o, "biggest", func(h *Heap) ([]BigContainer, error) { return h.Biggest(limit), nil }, limit)
}

// Finalizers is Heap.Finalizers.
func (o *Oracle) Finalizers() ([]Finalizer, error) {
	return Question(o, "finalizers", func(h *Heap) ([]Finalizer, error) { return h.Finalizers(), nil })
}

// Waiting is Heap.Waiting.
func (o *Oracle) Waiting() ([]Waiting, error) {
	return o.waits("waiting", (*Heap).Waiting)
}

// Blocked is Heap.Blocked.
func (o *Oracle) Blocked() ([]Waiting, error) {
	return o.waits("blocked", (*Heap).Blocked)
}

func (o *Oracle) waits(what string, of func(*Heap) []Waiting) ([]Waiting, error) {
	list, err := Question(o, what, func(h *Heap) ([]Waiting, error) {
		list := slices.Clone(of(h))
		for i := range list {
			list[i].Goroutine = o.named(list[i].Goroutine)
		}
		return list, nil
	})
	for i := range list {
		if err == nil {
			err = o.found(&list[i].Goroutine)
		}
	}
	return list, err
}

// BlockedGroups is Heap.BlockedGroups.
func (o *Oracle) BlockedGroups() ([]*BlockedGroup, error) {
	list, err := Question(o, "blocked_groups", func(h *Heap) ([]*BlockedGroup, error) {
		list := h.BlockedGroups()
		for _, group := range list {
			group.Goroutine = o.named(group.Goroutine)
		}
		return list, nil
	})
	for _, group := range list {
		if err == nil {
			err = o.found(&group.Goroutine)
		}
	}
	return list, err
}

// Never tells whether nothing can wake a goroutine any more. Who asks does so of each goroutine, so the list is gone
// through once.
func (o *Oracle) Never(id int64) (bool, error) {
	if o.never == nil {
		list, err := Question(o, "never", func(h *Heap) (out []int64, err error) {
			for _, w := range h.Blocked() {
				out = append(out, w.Goroutine.ID)
			}
			return out, nil
		})
		if err != nil {
			return false, err
		}
		o.never = make(map[int64]bool, len(list))
		for _, blocked := range list {
			o.never[blocked] = true
		}
	}
	return o.never[id], nil
}

// Path is Heap.Path. While answers are noted it has no keys of maps.
func (o *Oracle) Path(addr uint64) (*Path, error) {
	return Question(o, "path", func(h *Heap) (*Path, error) { return h.Path(addr) }, addr)
}

// nearTypes is what TypeNamed gives.
type nearTypes struct {
	Found bool
	Near  []string
}

// TypeNamed is Heap.TypeNamed.
func (o *Oracle) TypeNamed(name string) (bool, []string, error) {
	named, err := Question(o, "type", func(h *Heap) (out nearTypes, err error) {
		out.Found, out.Near = h.TypeNamed(name)
		return out, nil
	}, name)
	return named.Found, named.Near, err
}

// Retainers is Heap.Retainers.
func (o *Oracle) Retainers(name string) ([]Retainer, error) {
	return Question(o, "retainers", func(h *Heap) ([]Retainer, error) { return h.Retainers(name) }, name)
}

// Instances is Heap.Instances.
func (o *Oracle) Instances(name string, limit int) ([]uint64, error) {
	return Question(o, "instances", func(h *Heap) ([]uint64, error) { return h.Instances(name, limit), nil }, name, limit)
}

// Refs is Heap.Refs.
func (o *Oracle) Refs(addr uint64) ([]Ref, error) {
	return Question(o, "refs", func(h *Heap) ([]Ref, error) { return h.Refs(addr) }, addr)
}

// Users is Heap.Users.
func (o *Oracle) Users(addr uint64, most int) (Users, error) {
	users, err := Question(o, "users", func(h *Heap) (Users, error) {
		users, err := h.Users(addr, most)
		if err != nil {
			return Users{}, err
		}
		for i := range users.Goroutines {
			users.Goroutines[i].Goroutine = o.named(users.Goroutines[i].Goroutine)
		}
		return *users, nil
	}, addr, most)
	for i := range users.Goroutines {
		if err == nil {
			err = o.found(&users.Goroutines[i].Goroutine)
		}
	}
	return users, err
}
