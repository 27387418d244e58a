package change

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"ri/attach"
	"ri/values"
	"ri/values/eval"
)

// Undo plans the transaction that puts back what entry changed, over a look at the same process. Places that hold what
// they held before are left alone. force: also where the value is no longer what the transaction wrote.
func Undo(space *values.Space, mappings []attach.Mapping, entry *Entry, identity string, force bool) (*Plan, error) {
	who := fmt.Sprintf("pid %d (%s) on %s, started %s", entry.PID, entry.Executable, entry.Host,
		entry.Started.Format("2006-01-02 15:04:05"))
	switch {
	case entry.Identity != identity:
		return nil, fmt.Errorf("transaction %d changed another process: %s; memory is gone with its process, so "+
			"there is nothing to undo: %w", entry.Number, who, ErrRefused)
	case entry.State == RolledBack:
		return nil, fmt.Errorf("transaction %d was rolled back (%s): there is nothing to undo: %w", entry.Number,
			entry.Reason, ErrRefused)
	}
	p, err := NewPlan(space, mappings, fmt.Sprintf("undo of %d: %s", entry.Number, entry.Plan.Comment))
	if err != nil {
		return nil, err
	}
	p.Undoes = entry.Number
	var problems []error
	for i := len(entry.Plan.Changes) - 1; i >= 0; i-- {
		was := entry.Plan.Changes[i]
		if was.Operation == Wait {
			continue
		}
		if was.Type == ActionType || was.Type == FileType {
			problems = append(problems, fmt.Errorf("%s: that can't be undone: %w", was.Path, ErrRefused))
			continue
		}
		c, err := p.back(was, entry, force)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if c != nil {
			p.Changes = append(p.Changes, c)
		}
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return p, nil
}

// Files are the files that a transaction replaced, and whether it did nothing else.
func (e *Entry) Files() (files []*Change, only bool) {
	only = true
	for _, c := range e.Plan.Changes {
		switch {
		case c.Type == FileType:
			files = append(files, c)
		case c.Operation != Wait:
			only = false
		}
	}
	return files, only && files != nil
}

// UndoOfFiles is the plan that takes back what a transaction did to files, in the opposite order; restore gives what
// does it. The process may have ended.
func UndoOfFiles(entry *Entry, restore func(path string, before, after []byte) func() error) (*Plan, error) {
	if entry.State == RolledBack {
		return nil, fmt.Errorf("transaction %d was rolled back (%s): there is nothing to undo: %w", entry.Number,
			entry.Reason, ErrRefused)
	}
	p := &Plan{Comment: fmt.Sprintf("undo of %d: %s", entry.Number, entry.Plan.Comment), Undoes: entry.Number}
	files, _ := entry.Files()
	for i := len(files) - 1; i >= 0; i-- {
		c := files[i]
		p.Actions = append(p.Actions, Action{Text: "replace " + c.Path + " by what it was before", File: c.Path,
			Before: c.After, After: c.Before, Do: restore(c.Path, c.Before, c.After)})
	}
	return p, nil
}

// Act makes a plan that changes no memory. who says of which process it was.
func Act(p *Plan, j *Journal, who Who) (*Outcome, error) {
	out := &Outcome{}
	rec, err := j.begin(p, who)
	if err != nil {
		return out, fmt.Errorf("the intent could not be written, so nothing was changed: %w", journalError(j.Path(), err))
	}
	out.Number, out.State = rec.number, Committed
	err = p.act()
	switch {
	case errors.As(err, new(*tornError)):
		out.State, out.Reason = Unknown, err.Error()
	case err != nil:
		out.State, out.Reason = RolledBack, err.Error()
	}
	if e := rec.end(out.State, out.Reason, p); e != nil {
		out.Warning = fmt.Sprintf("the outcome (%s) of transaction %d could not be written into the journal: %v", out.State,
			out.Number, journalError(j.Path(), e))
	}
	return out, err
}

// back is the change that undoes one change; nil if what was before is there already.
func (p *Plan) back(was *Change, entry *Entry, force bool) (*Change, error) {
	c := &Change{Operation: Update, Path: was.Path, Type: was.Type, Addr: was.Addr, After: was.Before[:len(was.After)],
		BeforeText: was.AfterText, AfterText: was.BeforeText, Pointers: was.Pointers}
	if err := p.findAgain(c, was, entry); err != nil {
		return nil, err
	}
	now, err := p.space.Slice(was.Addr, len(was.After))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", was.Path, err, ErrConflict)
	}
	c.Before = bytes.Clone(now)
	if bytes.Equal(now, was.Before) || was.Text != nil && bytes.Equal(p.textAt(now), was.Text) {
		return nil, nil
	}
	if p.isText(was) {
		c.Text = p.perishableText(now) // so that this, too, can be undone
	}
	if !bytes.Equal(now, was.After) {
		c.BeforeText = show(p.space, was.Type, now)
		if !force {
			return nil, fmt.Errorf("%s is %s now, and no longer %s, as transaction %d left it; to make it %s all "+
				"the same: --force: %w",
				was.Path, c.BeforeText, was.AfterText, entry.Number, was.BeforeText, ErrConflict)
		}
	}
	if err := p.checkMemory(c); err != nil {
		return nil, err
	}
	if pointer := p.intoHeap(c.pieces()); was.Pointers && pointer != 0 {
		switch {
		case p.Collections == entry.Plan.Collections:
			c.ByAddress = true // and none may begin until the commit
		case was.Text != nil || p.isText(was) && word(was.Before[8:]) == 0:
			return c, p.backText(c, was)
		default:
			return nil, fmt.Errorf("%s pointed to %#x, and a garbage collection has begun since, so what was there "+
				"may be gone: a before-image keeps nothing alive. "+
				"Set it to an existing value that is what you want there: ri set '%s' EXPR: %w", was.Path, pointer,
				was.Path, ErrRefused)
		}
	}
	c.Perishable = was.Pointers && c.Text == nil && p.intoHeap(differing(c.Addr, c.After, c.Before)) != 0
	c.Whole = len(c.pieces()) > 1 && !(strings.HasPrefix(was.Type, "[]") && len(was.Before) != 24)
	return c, nil
}

// foundAt is find(T, "where") in a path.
var foundAt = regexp.MustCompile(`find\(([^,"]+), ("(?:[^"\\]|\\.)*")\)`)

// assignable evaluates a change's path. What was found in a frame may hang off another variable by now: any way to the
// same place will do.
func (p *Plan) assignable(was *Change) (values.Value, *values.Trace, error) {
	v, trace, err := eval.Place(p.space, was.Path)
	m := foundAt.FindStringSubmatchIndex(was.Path)
	if err == nil && v.Addr == was.Addr || m == nil {
		return v, trace, err
	}
	t, e := p.space.Type(was.Path[m[2]:m[3]])
	if e != nil {
		return v, trace, err
	}
	found, _, _ := p.space.Find(t, values.FindOptions{All: true, Depth: 6})
	for _, f := range found {
		w, way, e := eval.Place(p.space, was.Path[:m[4]]+strconv.Quote(f.Where)+was.Path[m[5]:])
		if e != nil {
			continue
		}
		if inner, e := p.readable(Place{w, was.Path, way}); e == nil && inner.Addr == was.Addr {
			return w, way, nil
		}
	}
	return v, trace, err
}

// isText tells whether a change was one of a string.
func (p *Plan) isText(was *Change) bool {
	t, err := p.space.Type(was.Type)
	return err == nil && t.Kind == reflect.String && len(was.Before) == 16
}

// backText gives a string the text that it had, since the bytes themselves may be gone: a string is what it says,
// wherever that lies.
func (p *Plan) backText(c, was *Change) error {
	t, err := p.space.Type(was.Type)
	if err != nil {
		return err
	}
	err = p.encodeString(c, p.space.At(was.Addr, t), Native(string(was.Text)))
	c.AfterText = was.BeforeText
	return err
}

// findAgain sees to it that the place is still what the path means.
func (p *Plan) findAgain(c, was *Change, entry *Entry) error {
	same := true
	for _, w := range was.Words {
		b, err := p.space.Slice(w.Addr, len(w.Bytes))
		if err != nil || !bytes.Equal(b, w.Bytes) {
			same = false
			break
		}
	}
	if same && !was.ByAddress {
		c.Words = was.Words
		return nil
	}
	if p.inModule(was.Addr) && same {
		return nil
	}
	if v, trace, err := p.assignable(was); err == nil {
		if v.Type.Kind == reflect.Slice && v.Addr != was.Addr { // contents
			if data, _, _, err := v.Capacity(); err == nil && data == was.Addr {
				c.Words = append(trace.Words, values.Word{Addr: v.Addr, Bytes: wordBytes(data)})
				c.ByAddress = trace.ByAddress
				return nil
			}
		}
		if inner, err := p.readable(Place{v, was.Path, trace}); err == nil && inner.Addr == was.Addr && !trace.Literal {
			c.Words, c.ByAddress = trace.Words, trace.ByAddress
			return nil
		}
	}
	if p.Collections == entry.Plan.Collections && was.ByAddress {
		c.ByAddress = true
		return nil
	}
	return fmt.Errorf("%s no longer leads to %#x, where transaction %d changed it, and what is there now can't be "+
		"known: %w", was.Path, was.Addr, entry.Number, ErrRefused)
}

// word reads the bytes of a word, which may be fewer than eight.
func word(b []byte) uint64 {
	var w [8]byte
	copy(w[:], b)
	return binary.LittleEndian.Uint64(w[:])
}

func wordBytes(w uint64) []byte { return binary.LittleEndian.AppendUint64(nil, w) }

// Today says what memory says of a transaction whose outcome isn't in the journal: which changes are there. view is nil
// if the process is gone.
func (e *Entry) Today(view attach.View) string {
	if view == nil {
		return "the process is gone, and its memory with it"
	}
	before, after, other := 0, 0, []string{}
	for _, c := range e.Plan.Changes {
		if len(c.After) == 0 {
			continue
		}
		now := make([]byte, len(c.After))
		_, err := view.ReadMemory(now, c.Addr)
		switch {
		case err == nil && bytes.Equal(now, c.After):
			after++
		case err == nil && bytes.Equal(now, c.Before[:len(now)]):
			before++
		default:
			other = append(other, fmt.Sprintf("%s is neither as before nor as meant (%x)", c.Path, now))
		}
	}
	switch {
	case before+after+len(other) == 0:
		return "it changed no memory"
	case len(other) > 0:
		return fmt.Sprintf("memory says today: %d made, %d not made; %s", after, before, strings.Join(other, "; "))
	case before == 0:
		return "memory says today: all was made"
	case after == 0:
		return "memory says today: nothing was made"
	}
	var which []string
	for _, c := range e.Plan.Changes {
		now := make([]byte, len(c.After))
		if _, err := view.ReadMemory(now, c.Addr); err == nil && c.After != nil && bytes.Equal(now, c.After) {
			which = append(which, c.Path)
		}
	}
	return fmt.Sprintf("memory says today: made in part: %s; ri undo %d puts back what was made",
		strings.Join(which, ", "), e.Number)
}
