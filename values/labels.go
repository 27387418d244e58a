package values

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Labels are the goroutine's pprof labels (runtime/pprof.labelMap: a map before Go 1.24, a list of
// pairs since, whose fields Go 1.26 gave upper-case names); nil if it has none.
func (g *Goroutine) Labels() (map[string]string, error) {
	if !g.s.gs.Labels.Known() {
		return nil, g.s.noLabels()
	}
	return g.s.labels(g.labels)
}

func (s *Space) noLabels() error {
	return s.lacksField("labels of goroutines are not known", "labels")
}

func (s *Space) labels(addr uint64) (map[string]string, error) {
	if addr == 0 {
		return nil, nil
	}
	t, err := s.Type("runtime/pprof.labelMap")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	add := func(k, v Value) error {
		key, _, err := k.Text(1 << 12)
		if err != nil {
			return err
		}
		out[key], _, err = v.Text(1 << 12)
		return err
	}
	v := s.At(addr, t)
	if t.Kind == reflect.Map {
		for e, err := range v.Entries() {
			if err != nil {
				return out, err
			}
			if err := add(e.Key, e.Value); err != nil {
				return out, err
			}
		}
		return out, nil
	}
	list, err := firstField(v, "list", "List")
	if err != nil {
		return nil, err
	}
	n, err := list.Len()
	if err != nil {
		return nil, err
	}
	for i := range min(n, 1024) {
		e, err := list.Index(i)
		if err != nil {
			return out, err
		}
		k, err := firstField(e, "key", "Key")
		if err != nil {
			return out, err
		}
		v, err := firstField(e, "value", "Value")
		if err != nil {
			return out, err
		}
		if err := add(k, v); err != nil {
			return out, err
		}
	}
	return out, nil
}

// labelSets are the sets of labels that goroutines have. Those that inherited theirs share it, others made the same
// anew.
type labelSets struct {
	byAddr map[uint64]int32
	byText map[string]int32
	sets   []map[string]string
}

// index gives the number of a set, 0 for none. One that can't be read is told by a label that says so.
func (l *labelSets) index(s *Space, addr uint64) int32 {
	if addr == 0 {
		return 0
	}
	if i, ok := l.byAddr[addr]; ok {
		return i
	}
	labels, err := s.labels(addr)
	if err != nil {
		labels = map[string]string{"(unreadable)": err.Error()}
	}
	var parts []string
	for k, v := range labels {
		parts = append(parts, fmt.Sprintf("%q:%q", k, v))
	}
	slices.Sort(parts)
	text := strings.Join(parts, ",")
	if l.byAddr == nil {
		l.byAddr, l.byText = map[uint64]int32{}, map[string]int32{"": 0}
	}
	i, ok := l.byText[text]
	if !ok {
		l.sets = append(l.sets, labels)
		i = int32(len(l.sets))
		l.byText[text] = i
	}
	l.byAddr[addr] = i
	return i
}

func (l *labelSets) at(i int32) map[string]string {
	if i == 0 {
		return nil
	}
	return l.sets[i-1]
}

// firstField gives the first of the fields that v has: names change between releases.
func firstField(v Value, names ...string) (field Value, err error) {
	for _, name := range names {
		if field, err = v.Field(name); err == nil {
			return field, nil
		}
	}
	return Value{}, err
}
