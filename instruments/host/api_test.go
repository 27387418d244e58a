package host

import (
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"ri/change"
	"ri/instruments/lang"
)

func TestAPIExamples(t *testing.T) {
	space := startKinds(t)
	for _, f := range lang.API() {
		if f.Output == "" {
			continue
		}
		if got := ask(t, space, f.Example); got != f.Output {
			t.Errorf("%s: %s\n got  %s\n want %s", f.Name, f.Example, got, f.Output)
		}
	}
}

// What is in ri is in the manual, and the other way round.
func TestAPIIsComplete(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range lang.API() {
		if documented[f.Name] {
			t.Errorf("%s is documented twice", f.Name)
		}
		documented[f.Name] = true
	}
	h := New(Options{})
	defer h.Close()
	var walk func(prefix string, table *lua.LTable)
	walk = func(prefix string, table *lua.LTable) {
		table.ForEach(func(k, v lua.LValue) {
			name := prefix + k.String()
			if sub, ok := v.(*lua.LTable); ok {
				walk(name+".", sub)
				return
			}
			if !documented[name] {
				t.Errorf("%s is not documented", name)
			}
			delete(documented, name)
		})
	}
	walk("ri.", h.lua.GetGlobal("ri").(*lua.LTable))
	for _, name := range heapMethods {
		if !documented["h:"+name] {
			t.Errorf("h:%s is not documented", name)
		}
		delete(documented, "h:"+name)
	}
	h.transactionTable(&change.Plan{}).ForEach(func(k, _ lua.LValue) {
		if !documented["tx:"+k.String()] {
			t.Errorf("tx:%s is not documented", k)
		}
		delete(documented, "tx:"+k.String())
	})
	for name := range documented {
		// a transaction's methods have a test of their own
		if name != "print" && name != "require" && !strings.HasPrefix(name, "tx:") {
			t.Errorf("%s is documented, but isn't there", name)
		}
	}
}
