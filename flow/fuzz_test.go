package flow

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzRequest: whatever a tenant asks for, what is armed speaks of the device's paths alone.
func FuzzRequest(f *testing.F) {
	d, err := ReadDevice([]byte(gatewayDevice))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{"device":"gateway","condition":"r.id == 1"}`,
		`{"device":"gateway","condition":"r.id == 1 || x","show":["r.id"],"key":{"ingress":"r.id","egress":"q.id"}}`,
		`{"device":"gateway","condition":"len(r.path) < 3 && contains(r.path, \"a\\\"b\")"}`, `{`, `[[[[`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ReadRequest([]byte(text))
		if err != nil {
			return
		}
		r.TenantID = "acme"
		r.complete()
		if r.check(d) != nil || r.Condition == "" {
			return
		}
		armed, err := checkCondition(r.Condition, d.Paths)
		if err != nil {
			t.Fatalf("%q was taken: %v", r.Condition, err)
		}
		again, err := checkCondition(armed, d.Paths)
		if err != nil || again != armed {
			t.Fatalf("%q is armed as %q, which is read as %q: %v", r.Condition, armed, again, err)
		}
		for _, name := range d.Paths {
			armed = strings.ReplaceAll(armed, name, "")
		}
		if strings.Contains(armed, "func") && !strings.ContainsAny(armed, "\"`'") {
			t.Fatalf("%q is armed", r.Condition)
		}
	})
}

// FuzzDevice: a definition that is taken survives the database.
func FuzzDevice(f *testing.F) {
	f.Add(gatewayDevice)
	f.Add("name: x\ningress: [f]\ntenants: {a: {predicate: 'true'}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ReadDevice([]byte(text))
		if err != nil {
			return
		}
		j, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again := &Device{}
		if err := json.Unmarshal(j, again); err != nil || again.check() != nil {
			t.Fatalf("%s is no device any more: %v %v", j, err, again.check())
		}
	})
}

// FuzzRow: a tracer's rows, and what becomes of their values.
func FuzzRow(f *testing.F) {
	f.Add(`{"flow":1,"what":"enter","time":"x","nanotime":1,"goroutine":7,"func":"f","r.id":{"$missing":"why"}}`)
	f.Add(`{"flow":1,"what":"leave","duration":1e99,"r.id":[1,2,{"a":"secret"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRow([]byte(text), []string{"r.id", "r.path"})
		if err != nil {
			return
		}
		line := Line{Values: map[string]any{}}
		for name, v := range r.Values {
			line.Values[name] = shown(v, false, func(string) string { return "t" })
			if s, ok := line.Values[name].(string); ok && s != "t" {
				t.Fatalf("%v is shown as %q", v, s)
			}
		}
		if _, err := line.text(); err != nil {
			t.Fatal(err)
		}
		keyText([]string{"r.id", "r.path"}, r.Values)
	})
}

// FuzzSeen: a file of what was seen that somebody wrote.
func FuzzSeen(f *testing.F) {
	f.Add("99999999999999 5 over 7b17ddba-8d4d-478e-b9b5-67981c44c690\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := &seen{all: map[string]generation{}, devices: map[string]int64{}}
		s.read(text, time.Now())
	})
}

// TestKeyText: no two lists of values have one text.
func TestKeyText(t *testing.T) {
	parts := []string{"a", "b"}
	seen := map[string]bool{}
	for _, values := range []map[string]any{{"a": "x", "b": "yz"}, {"a": "xy", "b": "z"}, {"a": "", "b": "xyz"},
		{"a": "1:x", "b": ""}, {"a": json.Number("12"), "b": "3"}, {"a": json.Number("1"), "b": "23"}} {
		text, ok := keyText(parts, values)
		if !ok || seen[text] {
			t.Errorf("%v gives %q %v", values, text, ok)
		}
		seen[text] = true
	}
	for _, values := range []map[string]any{{"a": "x"}, {"a": "x", "b": nil},
		{"a": "x", "b": map[string]any{"$missing": "y"}}, {"a": "x", "b": []any{json.Number("1")}},
		{"a": "x", "b": `main.T{A: "abc" /* ... 2 more bytes */}`}, {"a": "x", "b": "[]int{... /* 9 elements */}"},
		{"a": "x", "b": `"abc" /* … 172 more bytes */`}, {"a": "x", "b": `"abc" /* ... 172 more bytes */`}} {
		if text, ok := keyText(parts, values); ok {
			t.Errorf("%v has the key %q", values, text)
		}
	}
}

// TestLedger: a tenant's traces of a process, and all of a process, stay within their budgets.
func TestLedger(t *testing.T) {
	l := newLedger()
	sum, given := 0.0, 0
	for range 100 {
		if part, _, ok := l.allot("1/1", "acme", 0.005); ok {
			sum += part
			given++
		}
	}
	if sum > 0.00501 || given < 3 {
		t.Errorf("%d requests of a tenant were given %g", given, sum)
	}
	for _, tenant := range []string{"b", "c", "d", "e", "f", "g"} {
		for range 100 {
			if part, _, ok := l.allot("1/1", tenant, 0.01); ok {
				sum += part
			}
		}
	}
	if sum > processBudget*1.001 {
		t.Errorf("a process was given %g", sum)
	}
	part, release, ok := newLedger().allot("1/1", "acme", 0.01)
	if !ok || part != 0.005 {
		t.Errorf("the first was given %g", part)
	}
	release()
	release()
	for l, i := newLedger(), 0; i < 3; i++ { // a share that is more than a process may spend at all
		if part, _, ok := l.allot("1/1", "acme", 0.5); !ok || part <= 0 || part > processBudget/2 {
			t.Errorf("request %d of a large share was given %g", i, part)
		}
	}
}
