package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ri/instruments/rows"
)

// drawings are the pictures of a page: reduced here to what can be drawn, drawn by page.js.
//
// The recipes and columns that they are made of: goroutines (count, stack: innermost frame first, "function
// file:line"), heap (type, count, bytes, share), locks (name, addr, kind, goroutines, holders).
type drawings struct {
	Stacks *frame  `json:"stacks"`
	Heap   []share `json:"heap"`
	Locks  *graph  `json:"locks"`
}

func (d *drawings) add(recipe string, r *rows.Result) {
	switch recipe {
	case "goroutines":
		d.Stacks = stackTree(r.Rows)
	case "heap":
		d.Heap = heapShares(r.Rows)
	case "locks":
		d.Locks = lockGraph(r.Rows)
	}
}

// frame is a node of the tree of stacks: outermost frames next to the root.
type frame struct {
	Name     string   `json:"n"`
	Count    int64    `json:"c"`
	Children []*frame `json:"k,omitempty"`

	index map[string]*frame
}

// mostFrames bounds the picture: the smallest branches are drawn as one.
const mostFrames = 4_000

func (f *frame) child(name string) *frame {
	if c, ok := f.index[name]; ok {
		return c
	}
	if f.index == nil {
		f.index = map[string]*frame{}
	}
	c := &frame{Name: name}
	f.index[name] = c
	f.Children = append(f.Children, c)
	return c
}

// stackTree adds up goroutines by their frames.
func stackTree(rows []rows.Row) *frame {
	root := &frame{Name: "all goroutines"}
	total := 0
	for _, row := range rows {
		count := whole(row, "count")
		stack, _ := get(row, "stack").([]any)
		if count <= 0 || len(stack) == 0 {
			continue
		}
		at := root
		at.Count += count
		for _, s := range slices.Backward(stack) {
			name, _ := s.(string)
			before := len(at.Children)
			next := at.child(name)
			total += len(at.Children) - before
			next.Count += count
			at = next
		}
		if state, ok := get(row, "state").(string); ok && state != "" {
			at.child("[" + state + "]").Count += count
		}
	}
	if root.Count == 0 {
		return nil
	}
	least := int64(0)
	for countFrames(root) > mostFrames {
		least = max(1, least*2)
		prune(root, least)
	}
	order(root)
	return root
}

func countFrames(f *frame) int {
	n := 1
	for _, c := range f.Children {
		n += countFrames(c)
	}
	return n
}

// prune makes one branch of those with at most least goroutines.
func prune(f *frame, least int64) {
	var kept []*frame
	var rest int64
	for _, c := range f.Children {
		if c.Count <= least {
			rest += c.Count
			continue
		}
		prune(c, least)
		kept = append(kept, c)
	}
	if rest > 0 {
		kept = append(kept, &frame{Name: "(others)", Count: rest})
	}
	f.Children = kept
}

func order(f *frame) {
	slices.SortStableFunc(f.Children, func(a, b *frame) int { return cmp.Compare(b.Count, a.Count) })
	for _, c := range f.Children {
		order(c)
	}
}

// share is a bar: a type's part of the heap.
type share struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Bytes int64  `json:"bytes"`

	Percent float64 `json:"percent"` // of the whole heap, of which the recipe gives the largest types only
}

// A page is read in a minute, so there are so many bars at most. There are fewer where what follows is less than a
// 200th of the heap each. The table has more.
const (
	mostShares  = 16
	leastShares = 6
	leastPart   = 200
)

func heapShares(rows []rows.Row) []share {
	var list []share
	for _, row := range rows {
		name, _ := get(row, "type").(string)
		percent, _ := get(row, "share").(float64)
		list = append(list, share{name, whole(row, "count"), whole(row, "bytes"), percent})
	}
	slices.SortStableFunc(list, func(a, b share) int { return cmp.Compare(b.Bytes, a.Bytes) })
	sum := int64(0)
	for _, s := range list {
		sum += s.Bytes
	}
	most := min(len(list), mostShares)
	for most > leastShares && list[most-1].Bytes < sum/leastPart {
		most--
	}
	if len(list)-most <= 1 {
		return list
	}
	rest := share{Name: fmt.Sprintf("(%d other types)", len(list)-most)}
	for _, s := range list[most:] {
		rest.Count += s.Count
		rest.Bytes += s.Bytes
		rest.Percent += s.Percent
	}
	return append(list[:most:most], rest)
}

// graph is who holds and who waits for which lock.
type graph struct {
	Locks []lock `json:"locks"`
	Left  int    `json:"left"` // locks that are not drawn
}

type lock struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Holders []string `json:"holders"` // goroutines; none if nobody is known to hold it
	Waiters []string `json:"waiters"`
	More    int      `json:"more"` // waiters beyond these
}

const (
	mostLocks   = 24
	mostWaiters = 8
)

func get(row rows.Row, name string) any {
	v, _ := row.Get(name)
	return v
}

func whole(row rows.Row, name string) int64 {
	n, _ := get(row, name).(int64)
	return n
}

// words is a cell as text: a list's elements, or the one value.
func words(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var list []string
		for _, e := range v {
			list = append(list, words(e)...)
		}
		return list
	case string:
		if v == "" {
			return nil
		}
	case rows.Row:
		if id, ok := v.Get("goroutine"); ok {
			return words(id)
		}
	}
	return []string{strings.TrimSpace(rows.CellText(v))}
}

// lockGraph is the locks that somebody waits for; those with most waiters first.
func lockGraph(rows []rows.Row) *graph {
	g := &graph{}
	for _, row := range rows {
		l := lock{Kind: strings.Join(words(get(row, "kind")), " "), Waiters: words(get(row, "goroutines"))}
		if len(l.Waiters) == 0 || l.Kind == "WaitGroup" { // that nobody holds
			continue
		}
		for _, holder := range words(get(row, "holders")) { // "21R" holds it for reading
			l.Holders = append(l.Holders, strings.TrimSuffix(holder, "R"))
		}
		l.Name = strings.Join(append(words(get(row, "name")), words(get(row, "addr"))...), " ")
		g.Locks = append(g.Locks, l)
	}
	if len(g.Locks) == 0 {
		return nil
	}
	slices.SortStableFunc(g.Locks, func(a, b lock) int { return cmp.Compare(len(b.Waiters), len(a.Waiters)) })
	if g.Left = len(g.Locks) - mostLocks; g.Left > 0 {
		g.Locks = g.Locks[:mostLocks]
	} else {
		g.Left = 0
	}
	holders := map[string]bool{}
	for _, l := range g.Locks {
		for _, h := range l.Holders {
			holders[h] = true
		}
	}
	for i := range g.Locks {
		l := &g.Locks[i]
		// Who holds another lock stays, since circles go through them.
		slices.SortStableFunc(l.Waiters, func(a, b string) int {
			return cmp.Compare(rank(holders[a]), rank(holders[b]))
		})
		if l.More = len(l.Waiters) - mostWaiters; l.More > 0 {
			l.Waiters = l.Waiters[:mostWaiters]
		} else {
			l.More = 0
		}
	}
	return g
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}
