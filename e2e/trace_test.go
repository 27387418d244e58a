package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// madeCall is what the program traced says of a call.
type madeCall struct {
	ID                int
	Tenant, Path, Err string
	Amount            int
	Panics            bool
}

// tracedProgram is a running program that makes calls when it is told to.
type tracedProgram struct {
	t   *testing.T
	pid string
	in  io.Writer
	out *bufio.Reader
}

func startTraced(t *testing.T, v testprogram.Variant) *tracedProgram {
	t.Helper()
	cmd := exec.Command(testprogram.Build(t, "testdata/traced", v))
	in, out := testprogram.Ready(t, cmd)
	return &tracedProgram{t, strconv.Itoa(cmd.Process.Pid), in, out}
}

// calls has it make n calls, and gives what it says of them.
func (p *tracedProgram) calls(n int) (made []madeCall) {
	p.t.Helper()
	fmt.Fprintln(p.in, n)
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &made)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// trace runs ri trace until it has armed its probes, then has n calls made, and gives the rows that came.
func (p *tracedProgram) trace(n int, args ...string) (found []map[string]any, made []madeCall, said string) {
	p.t.Helper()
	found, said = whileTraced(p.t, append([]string{"trace", "-p", p.pid}, args...), func(cmd *exec.Cmd) {
		made = p.calls(n)
		if slices.Contains(args, "--count") { // it has no end of its own that could be waited for
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				p.t.Fatal(err)
			}
		}
	})
	return found, made, said
}

// whileTraced runs a ri that traces, has something done once its probes are armed, and gives the rows that came, and
// what was said. Where the kernel lets nobody probe the test ends: with RI_NEED_BPF set as a failure.
func whileTraced(t *testing.T, args []string, do func(*exec.Cmd)) (found []map[string]any, said string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "ri"), append(args, "--ndjson", "--budget", "50%")...)
	var rows bytes.Buffer
	cmd.Stdout = &rows
	errors, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	remarks := bufio.NewReader(errors)
	for !strings.HasPrefix(said, "armed") && !strings.Contains(said, "\narmed") {
		line, err := remarks.ReadString('\n')
		if said += line; err != nil {
			cmd.Wait()
			if strings.Contains(said, "doesn't let ri probe") && os.Getenv("RI_NEED_BPF") == "" {
				t.Skip(said)
			}
			t.Fatalf("ri %v: %s", args, said)
		}
	}
	do(cmd)
	rest, _ := io.ReadAll(remarks)
	said += string(rest)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("ri %v: %v\n%s", args, err, said)
	}
	for d := json.NewDecoder(&rows); ; {
		var row map[string]any
		if err := d.Decode(&row); err == io.EOF {
			return found, said
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, row)
	}
}

// TestTrace compares rows with what the program says of its own calls.
func TestTrace(t *testing.T) {
	for _, v := range testprogram.Variants {
		if v.Cgo || v.Full && testing.Short() || !slices.Contains([]string{"default", "NoOpt", "pie", "go1.22", "go1.27"},
			v.Name) {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			p := startTraced(t, v)
			// The return of a call that panics is missing, so the limit counts the others.
			returning := 0
			for id := range 200 {
				if id%10 != 9 {
					returning++
				}
			}
			found, made, said := p.trace(200, "main.(*Service).Handle", "--returns", "--show", "o.ID",
				"--show", "o.Customer.Name",
				"--show", "path", "--show", "amount", "--show", "err.(*fmt.wrapError).msg", "--limit", fmt.Sprint(returning))
			returned := 0
			for _, row := range found {
				if row["ended"] == nil {
					returned++
				}
			}
			if returned != returning {
				t.Fatalf("%d rows of calls that returned, want %d\n%s", returned, returning, said)
			}
			byID := map[int]madeCall{}
			for _, m := range made {
				byID[m.ID] = m
			}
			for _, row := range found {
				m, ok := byID[int(row["o.ID"].(float64))]
				if !ok || m.Panics && row["ended"] == nil {
					t.Fatalf("a call that wasn't made, or came twice: %v", row)
				}
				delete(byID, m.ID)
				if m.Panics {
					continue
				}
				if row["o.Customer.Name"] != m.Tenant || row["path"] != m.Path || row["amount"] != float64(m.Amount) ||
					m.Err != "" && row["err.(*fmt.wrapError).msg"] != m.Err || row["duration"].(float64) <= 0 {
					t.Errorf("%v, the program says %+v", row, m)
				}
			}
		})
	}
}

// TestTraceConditions counts what conditions let through.
func TestTraceConditions(t *testing.T) {
	p := startTraced(t, testprogram.Variants[0])
	for _, one := range []struct {
		when  []string
		holds func(madeCall) bool
	}{
		{[]string{"--when", `o.Customer.Name == "customer-3"`}, func(m madeCall) bool { return m.Tenant == "customer-3" }},
		{[]string{"--when", `len(path) > 10 || hasPrefix(o.Customer.Name, "customer-6")`},
			func(m madeCall) bool { return len(m.Path) > 10 || m.Tenant == "customer-6" }},
		{[]string{"--when", `o.Customer.Address != nil && o.Customer.Address.City == "Oslo"`},
			func(m madeCall) bool { return m.ID%3 != 0 && m.ID%2 == 1 }},
		{[]string{"--when", `o.Customer.Address.City == "Oslo"`}, // no address: not decided, and not shown
			func(m madeCall) bool { return m.ID%3 != 0 && m.ID%2 == 1 }},
		{[]string{"--returns", "--when", `err != nil`}, func(m madeCall) bool { return m.Err != "" }},
		{[]string{"--returns", "--when", `amount > 5000 && o.Lines[1] == "nut"`},
			func(m madeCall) bool { return m.Amount > 5000 }},
		{[]string{"--when-after", `o.Customer.Name == "customer-3"`},
			func(m madeCall) bool { return m.Tenant == "customer-3" }},
	} {
		// How many will come isn't known beforehand: the calls' number is, so the last ones are let through by their number.
		want := 0
		first := p.calls(1)[0].ID + 1
		for id := first; id < first+100; id++ {
			if one.holds(sameCall(id)) {
				want++
			}
		}
		found, made, said := p.trace(100, append([]string{"main.(*Service).Handle", "--show", "o.ID", "--limit",
			fmt.Sprint(want)}, one.when...)...)
		var ids []int
		for _, row := range found {
			ids = append(ids, int(row["o.ID"].(float64)))
		}
		slices.Sort(ids)
		var wanted []int
		for _, m := range made {
			if one.holds(m) {
				wanted = append(wanted, m.ID)
			}
		}
		if !slices.Equal(ids, wanted) {
			t.Errorf("%v: %v, want %v\n%s", one.when, ids, wanted, said)
		}
	}
}

// TestTraceCounts compares tables of counts, in the kernel and of texts, with what the program says.
func TestTraceCounts(t *testing.T) {
	p := startTraced(t, testprogram.Variants[0])
	for _, one := range []struct {
		by   string
		key  func(madeCall) any
		more []string
	}{
		{"len(path)", func(m madeCall) any { return float64(len(m.Path)) }, nil},
		{"o.Customer.Name", func(m madeCall) any { return m.Tenant }, nil},
		{"o.Lines[1]", func(m madeCall) any { return "nut" }, nil},
		// A call that panics has no duration; nor has one that was inlined.
		{"o.Customer.Name", func(m madeCall) any { return m.Tenant },
			[]string{"--hist", "duration", "main.(*Order).tenant"}},
	} {
		found, made, said := p.trace(100, append([]string{"main.(*Service).Handle", "--count", one.by}, one.more...)...)
		want, got := map[any]int{}, map[any]int{}
		for _, m := range made {
			if !m.Panics || one.more == nil {
				want[one.key(m)]++
			}
		}
		if one.more != nil && !strings.Contains(said, "tenant inlined in main.call: a call that was inlined has no return") {
			t.Errorf("%v: %s", one.more, said)
		}
		for _, row := range found {
			got[row[one.by]] += int(row["count"].(float64))
		}
		if !maps.Equal(got, want) {
			t.Errorf("by %s: %v, want %v\n%s", one.by, got, want, said)
		}
	}
}

// sameCall is what the program will say of a call.
func sameCall(id int) madeCall {
	m := madeCall{ID: id, Tenant: fmt.Sprintf("customer-%d", id%7), Path: "/orders/" + strings.Repeat("x", id%5),
		Panics: id%10 == 9}
	switch {
	case m.Panics:
	case id%2 == 1:
		m.Err = fmt.Sprintf("order %d: odd", id)
	default:
		m.Amount = 100 * id
	}
	return m
}

// TestTraceOpen shows calls that have not returned when the trace ends.
func TestTraceOpen(t *testing.T) {
	p := startTraced(t, testprogram.Variants[0])
	for _, one := range []struct {
		args []string
		open int
	}{
		{nil, 3},
		{[]string{"--when", "duration >= 1ns"}, 3},
		{[]string{"--when", `duration >= 1ns && o.Customer.Name == "held"`}, 3},
		{[]string{"--when", "duration > 1h"}, 0},
		{[]string{"--when", "err != nil"}, 0},
		{[]string{"--limit", "2"}, 2},
	} {
		first := p.calls(1)[0].ID + 1
		args := append([]string{"trace", "-p", p.pid, "main.(*Service).Handle", "--returns", "--show",
			"o.ID,o.Customer.Name"}, one.args...)
		found, said := whileTraced(t, args, func(cmd *exec.Cmd) {
			p.calls(-3)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		})
		var ids []int
		for _, row := range found {
			if row["ended"] != "not returned" {
				continue
			}
			if row["o.Customer.Name"] != "held" || row["so_far"].(float64) <= 0 || row["duration"] != nil {
				t.Errorf("%v: %v", one.args, row)
			}
			ids = append(ids, int(row["o.ID"].(float64))-first)
		}
		slices.Sort(ids)
		if want := []int{0, 1, 2}[:one.open]; !slices.Equal(ids, want) && (len(ids) != len(want) || one.open == 3) {
			t.Errorf("%v: %v, want %v\n%s", one.args, ids, want, said)
		}
	}
}
