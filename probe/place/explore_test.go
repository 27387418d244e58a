package place

import (
	"fmt"
	"os"
	"testing"
	"time"

	"ri/symbols"
)

func TestExplore(t *testing.T) {
	exe := os.Getenv("RI_EXE")
	if exe == "" {
		t.Skip()
	}
	r, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	f, err := symbols.Open(r, exe)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	class := map[string]int{}
	why := map[string]int{}
	n := 0
	for _, e := range f.FuncEntries() {
		b := read(f, e.Entry)
		if b == nil {
			class["no code"]++
			continue
		}
		n++
		s, w := b.entry()
		kind := fmt.Sprint("cost ", s.Instruction)
		if s.Again {
			kind += " again"
		}
		if b.info.Assembler {
			kind += " asm"
		}
		if w != "" {
			kind = "refused"
			why[w]++
			if os.Getenv("RI_SHOW") != "" {
				fmt.Println(e.Name, w)
			}
		}
		class[kind]++
		if b.broken != 0 {
			class["broken"]++
			if !b.info.Assembler {
				class["broken not asm"]++
				fmt.Println("broken", e.Name)
			}
		}
		if b.tables {
			class["tables unknown"]++
		}
		rs, w := b.returns()
		if w != "" {
			if len(w) > 24 {
				w = w[:24]
			}
			class["returns refused: "+w]++
		}
		class["RETs"] += len(rs)
	}
	fmt.Println(n, time.Since(begin))
	for k, v := range class {
		fmt.Println(v, k)
	}
	for k, v := range why {
		fmt.Println("  ", v, k)
	}
	abi := map[string]int{}
	begin = time.Now()
	for _, e := range f.FuncEntries() {
		info, _ := f.FuncInfo(e.Entry)
		fn := &Function{Name: e.Name, Entry: e.Entry, file: f}
		vars := fn.declared(e.Entry)
		if len(vars) == 0 {
			abi["none"]++
			continue
		}
		if _, ok := fn.byABI(info); ok {
			abi["agrees"]++
		} else if !fn.assigned(vars, convention{}) {
			abi["type unknown"]++
		} else {
			abi["disagrees"]++
			if abi["disagrees"] < 40 {
				fmt.Println("DIS", e.Name, vars)
				fv := f.FuncVars(e.Entry)
				for _, v := range fv.At(e.Entry, 0) {
					fmt.Printf("   %s %s %x %v\n", v.Name, v.Type, fv.Location(&v, e.Entry), v.Listed())
				}
			}
		}
	}
	fmt.Println(abi, time.Since(begin))
}
