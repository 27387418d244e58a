package symbols_test

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ri/symbols"
	"ri/symbols/testprogram"
)

func openCached(t testing.TB, exe, folder string) *symbols.File {
	t.Helper()
	r, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f, err := symbols.OpenCached(r, nil, exe, folder)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// account is what a file says, as one text.
func account(t testing.TB, f *symbols.File) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, f.GoVersion(), f.TypesBase(), f.Packages())
	for _, name := range f.Vars() {
		if v, err := f.Var(name); err == nil {
			fmt.Fprintln(&b, v.Name, v.Addr, v.Type, v.Type.Size)
		}
	}
	for _, name := range f.TypeNames() {
		ty, err := f.Type(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, ty, ty.Kind, ty.Size, ty.Len(), ty.RuntimeOffset(), ty.Constants())
		for _, field := range ty.Fields() {
			fmt.Fprintln(&b, field.Name, field.Offset, field.Type)
		}
	}
	for _, name := range f.Funcs() {
		if !strings.HasPrefix(name, "main.") {
			continue
		}
		line, pc, err := f.Func(name)
		fmt.Fprintln(&b, line, pc, err)
		vars := f.FuncVars(pc)
		for _, v := range vars.All() {
			fmt.Fprintln(&b, v.Name, v.Type, vars.Location(&v, pc+8))
		}
		info, _ := f.PC(pc + 1)
		fmt.Fprintln(&b, info)
	}
	short, err := f.Var("all")
	fmt.Fprintln(&b, short.Name, err)
	return b.String()
}

// cached saves a cache of the fixture and gives the executable, the folder, the cache file, and what the executable
// says without it.
func cached(t *testing.T) (exe, folder, file, want string) {
	symbols.CacheAll(t)
	exe, folder = testprogram.Build(t, fixture, testprogram.Variants[0]), t.TempDir()
	want = account(t, open(t, exe))
	f := openCached(t, exe, folder)
	if symbols.FromCache(f) {
		t.Fatal("an empty folder gave a cache")
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*"))
	if len(files) != 1 {
		t.Fatalf("files in the cache: %v", files)
	}
	return exe, folder, files[0], want
}

func TestCacheSaysTheSame(t *testing.T) {
	exe, folder, _, want := cached(t)
	f := openCached(t, exe, folder)
	if !symbols.FromCache(f) {
		t.Fatal("the cache was not used")
	}
	if got := account(t, f); got != want {
		t.Error("the cache says otherwise than the executable")
	}
}

// Whatever became of the file, the answers are right: it is believed or it isn't there.
func TestCacheDamaged(t *testing.T) {
	exe, folder, file, want := cached(t)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewSource(1))
	for i := range 40 {
		damaged := slices.Clone(whole)
		switch i % 4 {
		case 0:
			damaged = damaged[:random.Intn(len(damaged))]
		case 1:
			damaged[random.Intn(256)] ^= 1 << random.Intn(8)
		default:
			damaged[random.Intn(len(damaged))] ^= 1 << random.Intn(8)
		}
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		f := openCached(t, exe, folder)
		// Padding between the parts is nobody's, so a flipped bit there leaves a good file.
		if symbols.FromCache(f) && i%4 == 0 && len(damaged) < len(whole)-4096 {
			t.Errorf("damage %d: a file cut to %d of %d bytes was believed", i, len(damaged), len(whole))
		}
		if i < 8 || symbols.FromCache(f) {
			if account(t, f) != want {
				t.Errorf("damage %d: wrong answers", i)
			}
		}
	}
}

func TestCacheOfOthersIsIgnored(t *testing.T) {
	exe, folder, file, _ := cached(t)
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if symbols.FromCache(openCached(t, exe, folder)) {
		t.Error("a file that anybody may write was believed")
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if symbols.FromCache(openCached(t, exe, folder)) {
			t.Error("another user's file was believed")
		}
	}
}

// Two builds without a build ID are two programs.
func TestCacheTellsProgramsApart(t *testing.T) {
	symbols.CacheAll(t)
	folder := t.TempDir()
	for _, flags := range [][]string{{"-ldflags=-buildid="}, {"-ldflags=-buildid=", "-gcflags=all=-N -l"}} {
		exe := testprogram.Build(t, fixture, testprogram.Variant{Name: "noid", Flags: flags})
		f := openCached(t, exe, folder)
		if symbols.FromCache(f) {
			t.Error("one program's cache was taken for another's")
		}
		if err := f.Save(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCacheTwoAtOnce(t *testing.T) {
	symbols.CacheAll(t)
	exe, folder := testprogram.Build(t, fixture, testprogram.Variants[0]), t.TempDir()
	want := account(t, open(t, exe))
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 3 {
				r, err := os.Open(exe)
				if err != nil {
					t.Error(err)
					return
				}
				f, err := symbols.OpenCached(r, nil, exe, folder)
				if err != nil {
					t.Error(err)
					return
				}
				if account(t, f) != want {
					t.Error("wrong answers")
				}
				if err := f.Save(); err != nil {
					t.Error(err)
				}
				r.Close()
			}
		}()
	}
	wg.Wait()
	files, _ := os.ReadDir(folder)
	if len(files) != 1 {
		t.Errorf("files left: %v", files)
	}
}

func TestCacheStaysInItsBounds(t *testing.T) {
	folder := t.TempDir()
	for i := range 5 {
		name := filepath.Join(folder, fmt.Sprintf("%d.symbols", i))
		if err := os.WriteFile(name, make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		used := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(name, used, used); err != nil {
			t.Fatal(err)
		}
	}
	symbols.MakeRoom(folder, 2500)
	files, _ := filepath.Glob(filepath.Join(folder, "*"))
	if len(files) != 2 || !strings.HasSuffix(files[0], "3.symbols") || !strings.HasSuffix(files[1], "4.symbols") {
		t.Errorf("left: %v, want the two used last", files)
	}
}

// No room and no home are no errors to the user of a File.
func TestCacheNowhere(t *testing.T) {
	symbols.CacheAll(t)
	exe := testprogram.Build(t, fixture, testprogram.Variants[0])
	f := openCached(t, exe, "/dev/null/nowhere")
	if !f.HasDWARF() {
		t.Error(f.NoDWARF())
	}
	if f.Save() == nil {
		t.Error("saved in /dev/null/nowhere")
	}
}
