package place

import (
	"fmt"
	"os"
	"strings"
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

func TestFindIt(t *testing.T) {
	exe := os.Getenv("RI_EXE")
	if exe == "" {
		t.Skip()
	}
	r, _ := os.Open(exe)
	f, err := symbols.Open(r, exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range strings.Fields(os.Getenv("RI_FIND")) {
		begin := time.Now()
		found, err := Find(f, what)
		if err != nil {
			fmt.Println(what, err)
			continue
		}
		sites, refused, inl := 0, map[string]int{}, map[string]int{}
		vars := map[string]int{}
		took := time.Since(begin)
		for _, r := range found.Refused {
			refused[r.Why]++
		}
		for _, fn := range found.Functions {
			sites += len(fn.Sites)
			for i := range fn.Sites {
				inl[fmt.Sprint(fn.Sites[i].Role, " cost ", fn.Sites[i].Instruction)]++
				for _, v := range fn.Vars(&fn.Sites[i]) {
					vars[fmt.Sprint(fn.Sites[i].Role, v.Why)]++
				}
			}
			for _, r := range fn.Refused {
				refused[r.Why]++
				if os.Getenv("RI_SHOW") != "" && refused[r.Why] < 10 {
					fmt.Printf("REF %+v\n", r)
				}
			}
		}
		fmt.Println(what, len(found.Functions), "functions", sites, "sites", inl, took, "refused", refused, vars)
		if len(found.Functions) < 10 && os.Getenv("RI_SHOW") != "" {
			for _, fn := range found.Functions {
				fmt.Println(fn.Name, fn.File, fn.Line, len(fn.Returns), fn.NoReturns)
				for i := range fn.Sites {
					fmt.Printf("   %+v\n", fn.Sites[i])
					for _, v := range fn.Vars(&fn.Sites[i]) {
						fmt.Printf("        %+v\n", v)
					}
				}
			}
		}
	}
}

func TestTimes(t *testing.T) {
	exe := os.Getenv("RI_EXE")
	if exe == "" {
		t.Skip()
	}
	r, _ := os.Open(exe)
	begin := time.Now()
	f, err := symbols.Open(r, exe)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("open", time.Since(begin))
	begin = time.Now()
	f.FuncEntries()
	fmt.Println("entries", time.Since(begin))
	begin = time.Now()
	f.InlinedNames()
	fmt.Println("inlinings", time.Since(begin))
	begin = time.Now()
	n := namesOf(f)
	fmt.Println("names", time.Since(begin), len(n.all))
	begin = time.Now()
	found, err := Find(f, "*")
	fmt.Println("all", time.Since(begin), len(found.Functions), err)
}
