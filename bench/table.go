//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// unit of a figure: how it is written, and whether less is better.
type unit int

const (
	seconds unit = iota
	bytesOf
	perSecond
	times // of what the peer, or the same without something, takes
)

// row of the table.
type row struct {
	name      string
	unit      unit
	dlv, ri   samples
	gdb       samples
	own       samples // what ri says of its stop
	idle      samples // the same measure with nobody looking
	whole     samples // the whole command of ri
	must, aim float64 // 0: none
	note      string
}

type samples []float64

func (s *samples) add(v float64)           { *s = append(*s, v) }
func (s *samples) addTime(d time.Duration) { *s = append(*s, d.Seconds()) }

func (s samples) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	t := slices.Sorted(slices.Values(s))
	if len(t)%2 == 0 {
		return (t[len(t)/2-1] + t[len(t)/2]) / 2
	}
	return t[len(t)/2]
}

func (u unit) text(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case u == times:
		return fmt.Sprintf("%.3g x", v)
	case u == bytesOf && v < 10*megabyte:
		return fmt.Sprintf("%.1f MB", v/1e6)
	case u == bytesOf:
		return fmt.Sprintf("%.0f MB", v/1e6)
	case u == perSecond && v >= 1e6:
		return fmt.Sprintf("%.3g M/s", v/1e6)
	case u == perSecond && v >= 1e3:
		return fmt.Sprintf("%.3g k/s", v/1e3)
	case u == perSecond:
		return fmt.Sprintf("%.3g /s", v)
	case math.Abs(v) >= 1:
		return fmt.Sprintf("%.3g s", v)
	case math.Abs(v) >= 1e-3:
		return fmt.Sprintf("%.3g ms", v*1e3)
	}
	return fmt.Sprintf("%.3g us", v*1e6)
}

// spread writes minimum, median and maximum.
func (u unit) spread(s samples) string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return u.text(s[0])
	}
	return fmt.Sprintf("%s / %s / %s", u.text(slices.Min(s)), u.text(s.median()), u.text(slices.Max(s)))
}

func (r *row) verdict() string {
	got := r.ri.median()
	reached := func(goal float64) bool {
		if r.unit == perSecond {
			return got >= goal
		}
		return got <= goal
	}
	switch {
	case math.IsNaN(got) && r.must+r.aim == 0:
		return "" // the peer's alone
	case math.IsNaN(got):
		return "not yet"
	case r.aim != 0 && reached(r.aim):
		return "aim"
	case r.must != 0 && reached(r.must):
		return "yes"
	case r.must != 0:
		return "no"
	}
	return ""
}

func (r *row) ratio() string {
	dlv, got := r.dlv.median(), r.ri.median()
	if math.IsNaN(dlv) || math.IsNaN(got) || dlv == 0 || got == 0 {
		return "-"
	}
	x := dlv / got
	if r.unit == perSecond {
		x = 1 / x
	}
	if x >= 10 {
		return fmt.Sprintf("%.0fx", x)
	}
	return fmt.Sprintf("%.1fx", x)
}

func printReport(w io.Writer, rows []row, b *bench, took time.Duration) error {
	goal := func(u unit, v float64) string {
		if v == 0 {
			return "-"
		}
		if u == perSecond {
			return ">= " + u.text(v)
		}
		return "<= " + u.text(v)
	}
	table := [][]string{{"measure", "dlv", "ri", "ratio", "must", "aim", "reached"}}
	spread := [][]string{{"measure: min / median / max", "dlv", "gdb", "ri", "ri says", "nobody looking",
		"whole command"}}
	for _, r := range rows {
		u := r.unit
		table = append(table, []string{r.name, u.text(r.dlv.median()), u.text(r.ri.median()), r.ratio(),
			goal(u, r.must), goal(u, r.aim), r.verdict()})
		spread = append(spread, []string{r.name, u.spread(r.dlv), u.spread(r.gdb), u.spread(r.ri), u.spread(r.own),
			u.spread(r.idle), seconds.spread(r.whole)})
	}
	fmt.Fprintf(w, "%s\n\n", machine(b))
	if err := printTable(w, table); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printTable(w, spread); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		if r.note != "" {
			fmt.Fprintf(w, "- %s: %s\n", r.name, r.note)
		}
	}
	_, err := fmt.Fprintf(w, "\n%d runs of ri, %d of its peers, %s in all. Load average before and after: %s, %s.\n",
		b.runs, b.peerRuns, took.Round(time.Second), loadBefore, load())
	return err
}

// printTable writes Markdown whose columns stand under each other.
func printTable(w io.Writer, table [][]string) error {
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for n, line := range table {
		for i, cell := range line {
			fmt.Fprintf(&out, "| %-*s ", widths[i], cell)
		}
		out.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				out.WriteString("| " + strings.Repeat("-", width) + " ")
			}
			out.WriteString("|\n")
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

var loadBefore = load()

func load() string {
	data, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// machine says on what it ran.
func machine(b *bench) string {
	model, memory := "unknown CPU", ""
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		memory = fmt.Sprintf(", %d GB", info.Totalram*uint64(info.Unit)>>30)
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	peers := "no peers"
	if !b.noPeers {
		peers = "dlv " + dlvVersion
	}
	if b.gdb != "" {
		if out, err := exec.Command(b.gdb, "--version").Output(); err == nil {
			peers += ", " + firstLine(string(out))
		}
	}
	return fmt.Sprintf("%s, %d CPUs%s, Linux %s, %s; %s.", model, runtime.NumCPU(), memory,
		strings.TrimSpace(string(kernel)), runtime.Version(), peers)
}
