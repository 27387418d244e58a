package values_test

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/symbols/testprogram"
	"ri/values"
	"ri/values/eval"
)

// TestTruth compares everything that the fixture says of its values with what ri reads.
func TestTruth(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, variant testprogram.Variant) {
		l := look(t, variant, attach.Live)
		t.Run("values", func(t *testing.T) { checkTruths(t, l) })
		t.Run("channels", func(t *testing.T) { checkQueues(t, l) })
		t.Run("times", func(t *testing.T) { checkTimes(t, l) })
		t.Run("syncMaps", func(t *testing.T) { checkPairs(t, l) })
		t.Run("captured", func(t *testing.T) { checkCaptured(t, l) })
		t.Run("constants", func(t *testing.T) { checkConstants(t, l) })
	})
}

// typeName brings the name that package reflect gives to the form of ShortName.
func (l *looked) typeName(name string) string {
	return l.File().ShortName(strings.ReplaceAll(name, "%2e", "."))
}

// normalText brings to one form what both sides may print differently: dynamic types' import paths, generic names.
func (l *looked) normalText(s string) string {
	return strings.NewReplacer("kinds/internal/yaml.v3", "yaml", "kinds/internal/yaml%2ev3", "yaml",
		"kinds/internal/thing/v2", "thing").Replace(s)
}

func checkTruths(t *testing.T, l *looked) {
	if len(l.Truths) < 300 {
		t.Fatalf("only %d truths", len(l.Truths))
	}
	for _, want := range l.Truths {
		v, err := eval.Expression(l.Space, want.Expr)
		if err != nil {
			t.Errorf("%s: %v", want.Expr, err)
			continue
		}
		if want.Addr == 0 { // a value without an address, of which ri may see the interface it is in
			if v.Type.Kind == reflect.Interface && want.Kind != "interface" {
				if v, err = v.Elem(); err != nil {
					t.Errorf("%s: %v", want.Expr, err)
					continue
				}
			}
		} else if v.Addr != want.Addr && want.Size > 0 {
			t.Errorf("%s: address %#x, want %#x", want.Expr, v.Addr, want.Addr)
		}
		if got, name := v.Type.ShortName(), l.typeName(want.Type); got != name && want.Addr != 0 {
			t.Errorf("%s: type %s, want %s", want.Expr, got, name)
		}
		if got := v.Type.Kind.String(); got != want.Kind && want.Addr != 0 {
			t.Errorf("%s: kind %s, want %s", want.Expr, got, want.Kind)
		}
		if got := v.Type.Size; got != int64(want.Size) && want.Addr != 0 {
			t.Errorf("%s: size %d, want %d", want.Expr, got, want.Size)
		}
		if got, text := l.normalText(text(v)), l.normalText(want.Text); got != text {
			t.Errorf("%s: %s", want.Expr, firstDifference(got, text))
		}
	}
}

func checkQueues(t *testing.T, l *looked) {
	for _, want := range l.Queues {
		v := l.eval(t, want.Expr)
		c, err := v.Chan()
		if err != nil {
			t.Errorf("%s: %v", want.Expr, err)
			continue
		}
		if c.Len != want.Len || c.Cap != want.Cap || c.Closed != want.Closed {
			t.Errorf("%s: %d of %d, closed %v; want %d of %d, closed %v", want.Expr, c.Len, c.Cap, c.Closed, want.Len,
				want.Cap, want.Closed)
		}
		for i, text_ := range want.Texts {
			e, err := v.Index(i)
			if err != nil {
				t.Errorf("%s[%d]: %v", want.Expr, i, err)
			} else if got := text(e); got != text_ {
				t.Errorf("%s[%d]: %s, want %s", want.Expr, i, got, text_)
			}
		}
		if _, err := v.Index(c.Len); err == nil {
			t.Errorf("%s[%d] is there, though no more is queued", want.Expr, c.Len)
		}
	}
}

func checkTimes(t *testing.T, l *looked) {
	if len(l.Times) == 0 {
		t.Fatal("no times")
	}
	for _, want := range l.Times {
		got, err := l.eval(t, want.Expr).Time()
		if err != nil {
			t.Errorf("%s: %v", want.Expr, err)
			continue
		}
		if got.Unix() != want.Seconds || got.Nanosecond() != want.Nanos {
			t.Errorf("%s: %v (%d s, %d ns), want %d s, %d ns", want.Expr, got, got.Unix(), got.Nanosecond(),
				want.Seconds, want.Nanos)
		}
		if want.UTC && got.Location() != time.UTC {
			t.Errorf("%s: in %v, want UTC", want.Expr, got.Location())
		}
	}
	if _, err := l.eval(t, "main.aPair").Time(); err == nil {
		t.Error("a pair is no time")
	}
}

// recordsCaptures tells whether the fixture's release of Go records what closures capture: from 1.23 on.
func (l *looked) recordsCaptures() bool {
	return !strings.HasPrefix(l.GoVersion, "go1.20") && !strings.HasPrefix(l.GoVersion, "go1.22")
}

// checkCaptured: Go before 1.23 does not record what a closure captured, except a method value's receiver.
func checkCaptured(t *testing.T, l *looked) {
	recorded := l.recordsCaptures()
	for _, want := range l.Captured {
		f, err := l.eval(t, want.Where).Func()
		if err != nil {
			t.Errorf("%s: %v", want.Where, err)
			continue
		}
		if !recorded && want.Name != "receiver" {
			if len(f.Captured) > 0 {
				t.Errorf("%s: captured %v, though %s records nothing", want.Where, f.Captured, l.GoVersion)
			}
			continue
		}
		found := false
		for _, c := range f.Captured {
			if c.Name != want.Name {
				continue
			}
			found = true
			if got := text(c.Value); got != want.Text {
				t.Errorf("%s: %s is %s, want %s", want.Where, c.Name, got, want.Text)
			}
			if got := c.Value.Type.ShortName(); got != l.typeName(want.Type) {
				t.Errorf("%s: %s is a %s, want %s", want.Where, c.Name, got, want.Type)
			}
		}
		if !found {
			t.Errorf("%s (%s): captured %v, want %s", want.Where, f.Func, f.Captured, want.Name)
		}
	}
	if f, err := l.eval(t, "main.topFunc").Func(); err != nil || len(f.Captured) != 0 {
		t.Errorf("main.topFunc captured %v (%v), want nothing", f.Captured, err)
	}
}

func checkConstants(t *testing.T, l *looked) {
	for expr, want := range map[string]string{
		"main.aSeason": "main.Summer", "main.aliased": "main.Spring", "main.seasons[1]": "main.Autumn",
		"main.aLevel": "main.Low", "main.aFlag": "main.FlagWrite", "main.aWide": "main.Top",
		"main.weekday": "time.Saturday", "main.month": "time.March", "yaml.Default.Kind": "kinds/internal/yaml.v3.Scalar",
		// Values that no constant of their own type has.
		"main.otherSeason": "", "main.aGrade": "", "main.mixed": "", "main.plainTwo": "", "main.letter": "",
		"main.anyByte":  "",
		"main.oneFloat": "", "main.plainText": "",
	} {
		got, ok := l.eval(t, expr).Constant()
		if got != want || ok != (want != "") {
			t.Errorf("%s: constant %q, want %q", expr, got, want)
		}
	}
}

// checkPairs walks sync.Maps by what is known of their structure, through typed values alone.
func checkPairs(t *testing.T, l *looked) {
	for _, want := range l.Pairs {
		got := map[string]string{}
		m := l.eval(t, want.Expr)
		var err error
		if _, hashTrie := m.Field("m"); hashTrie == nil {
			err = walkTrie(m, got)
		} else {
			err = walkReadMap(l, m, got)
		}
		if err != nil {
			t.Errorf("%s: %v", want.Expr, err)
		}
		if len(got) != len(want.Entries) || (len(got) > 0 && !maps.Equal(got, want.Entries)) {
			t.Errorf("%s: %d entries, want %d: %v", want.Expr, len(got), len(want.Entries), got)
		}
		again := map[string]string{}
		for e, err := range m.SyncMap() {
			if err != nil {
				t.Errorf("%s: %v", want.Expr, err)
				break
			}
			again[dynamicText(e.Key)] = dynamicText(e.Value)
		}
		if !maps.Equal(again, got) {
			t.Errorf("%s: SyncMap gives %v", want.Expr, again)
		}
	}
}

// pointee follows an atomic.Pointer to what it points to, as type name.
func pointee(v values.Value, name string) (values.Value, error) {
	p, err := v.Field("v")
	if err != nil {
		return v, err
	}
	addr, err := p.Word()
	if err != nil || addr == 0 {
		return values.Value{}, err
	}
	typ, err := v.Space().Type(name)
	if err != nil {
		return v, err
	}
	return v.Space().At(addr, typ), nil
}

// walkTrie is for Go 1.24 and later: internal/sync.HashTrieMap[any,any].
func walkTrie(m values.Value, out map[string]string) error {
	root, err := m.Field("m")
	if err != nil {
		return err
	}
	if root, err = root.Field("root"); err != nil {
		return err
	}
	const args = "[interface {},interface {}]"
	var node func(p values.Value) error
	node = func(p values.Value) error {
		n, err := pointee(p, "internal/sync.node"+args)
		if err != nil || !n.IsValid() {
			return err
		}
		isEntry, err := n.Field("isEntry")
		if err != nil {
			return err
		}
		if leaf, err := isEntry.Bool(); err != nil || !leaf {
			if err != nil {
				return err
			}
			if n, err = pointee(p, "internal/sync.indirect"+args); err != nil {
				return err
			}
			children, err := n.Field("children")
			if err != nil {
				return err
			}
			size, _ := children.Len()
			for i := range size {
				child, err := children.Index(i)
				if err != nil {
					return err
				}
				if err := node(child); err != nil {
					return err
				}
			}
			return nil
		}
		n, err = pointee(p, "internal/sync.entry"+args)
		for err == nil && n.IsValid() {
			var key, value, next values.Value
			if key, err = n.Field("key"); err != nil {
				return err
			}
			if value, err = n.Field("value"); err != nil {
				return err
			}
			out[dynamicText(key)] = dynamicText(value)
			if next, err = n.Field("overflow"); err == nil {
				n, err = pointee(next, "internal/sync.entry"+args)
			}
		}
		return err
	}
	// The root is an atomic.Pointer to an indirect, whose first field is the node.
	return node(root)
}

// walkReadMap is for Go up to 1.23: a read-only map, and a dirty one that has all that is in it, if there is one.
func walkReadMap(l *looked, m values.Value, out map[string]string) error {
	entries, err := m.Field("dirty")
	if err != nil {
		return err
	}
	if null, _ := entries.IsNil(); null {
		read, err := m.Field("read")
		if err != nil {
			return err
		}
		if read, err = pointee(read, "sync.readOnly"); err != nil || !read.IsValid() {
			return err
		}
		if entries, err = read.Field("m"); err != nil {
			return err
		}
	}
	expunged, err := eval.Expression(l.Space, "sync.expunged")
	if err != nil {
		return err
	}
	mark, err := expunged.Word()
	if err != nil {
		return err
	}
	for e, err := range entries.Entries() {
		if err != nil {
			return err
		}
		p, err := e.Value.Field("p")
		if err != nil {
			return err
		}
		raw, err := p.Field("v")
		if err != nil {
			return err
		}
		if addr, err := raw.Word(); err != nil || addr == 0 || addr == mark {
			if err != nil {
				return err
			}
			continue
		}
		value, err := pointee(p, "interface {}")
		if err != nil {
			return err
		}
		out[dynamicText(e.Key)] = dynamicText(value)
	}
	return nil
}

// dynamicText is the text of what an interface holds, as the fixture says it.
func dynamicText(v values.Value) string {
	inner, err := v.Elem()
	if err != nil {
		return text(v)
	}
	return text(inner)
}
