package symbols

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestManual(t *testing.T) {
	p := os.Getenv("EXE")
	if p == "" {
		t.Skip()
	}
	r, _ := os.Open(p)
	t0 := time.Now()
	f, err := Open(r, p)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("open", time.Since(t0), f.NoDWARF(), f.GoVersion(), f.BuildID(), len(f.index.types), len(f.index.vars), len(f.index.functions), len(f.dwarf.info))
	t0 = time.Now()
	_, err = f.Var("main.stroe")
	fmt.Println(err, time.Since(t0))
	for _, n := range os.Args {
		_ = n
	}
	v, err := f.Var("main.store")
	if err != nil {
		return
	}
	fmt.Println(v.Name, v.Addr, v.Type.Name, v.Type.Kind)
	for _, fd := range v.Type.Elem().Fields() {
		fmt.Println(fd.Name, fd.Offset, fd.Type.Name, fd.Type.Kind, fd.Type.Size, fd.Embedded)
	}
	fmt.Println(v.Type.FieldByName("ID"))
	fmt.Println(v.Type.FieldByName("nmae"))
	ty, err := f.Type("State")
	fmt.Println(ty, err)
	if err == nil {
		fmt.Println(ty.Constants())
	}
	ln, pc, err := f.Func("main.(*Object).run")
	fmt.Println(ln, pc, err)
	fv := f.FuncVars(pc)
	for _, x := range fv.At(pc+60, 0) {
		fmt.Println(x.Name, x.Type, fv.Location(&x, pc+60))
	}
	i, _ := f.PC(pc + 60)
	fmt.Printf("%+v\n", i)
	fmt.Println(f.Type("main.Pair[string, int]"))
	fmt.Println(f.Type("map[any]string"))
	fmt.Println(f.Type("[]*Object"))
}
