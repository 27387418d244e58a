package commands

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/attach/proc"
	"ri/instruments/rows"
	"ri/secrets"
	"ri/symbols/layouts"
)

// ListProcesses writes the Go processes that can be seen from here; with a filter, those whose name, module or command
// line has it, or whose pid it is. redacted: what command lines have is neither shown nor found, as in a recording.
func ListProcesses(out *rows.Output, filter string, redacted bool) error {
	list, err := proc.List()
	if err != nil {
		return err
	}
	if redacted {
		for i := range list.Go {
			list.Go[i].CommandLine = nil
		}
	}
	all := len(list.Go)
	list.Go = slices.DeleteFunc(list.Go, func(p proc.GoProcess) bool { return !asked(p, filter) })
	columns := []rows.Column{
		{Name: "pid", Type: rows.ColumnInt}, {Name: "user"}, {Name: "name"}, {Name: "go"},
		{Name: "module", Cut: rows.CutPaths}, {Name: "version"},
		{Name: "uptime", Type: rows.ColumnDuration}, {Name: "symbols"}, {Name: "traced_by"},
	}
	var lines []rows.Row
	for _, p := range list.Go {
		var tracer any
		if p.Tracer != 0 {
			tracer = int64(p.Tracer)
			if out.Format == rows.Table {
				tracer = fmt.Sprintf("%d (%s)", p.Tracer, p.TracerName)
			}
		}
		var symbols any = p.HasSymbols
		if out.Format == rows.Table {
			symbols = map[bool]string{true: "yes", false: "no"}[p.HasSymbols]
		}
		row := rows.Of(
			"pid", int64(p.PID), "user", p.User, "name", p.Name, "go", orNil(p.GoVersion), "module", orNil(p.Module),
			"version", orNil(p.ModuleVersion), "uptime", time.Since(p.Started).Round(time.Second),
			"symbols", symbols, "traced_by", tracer,
		)
		if out.Format != rows.Table {
			var command any
			if !redacted {
				masked, _ := secrets.Arguments(p.CommandLine)
				command = rows.Texts(masked)
			}
			row = append(row, rows.Cell{Name: "command", Value: command},
				rows.Cell{Name: "stopped", Value: p.Stopped}, rows.Cell{Name: "container", Value: p.Container})
		}
		lines = append(lines, row)
	}
	if err := out.WriteRows(columns, lines); err != nil {
		return err
	}
	for _, note := range releaseNotes(list.Go) {
		out.Log(note)
	}
	switch {
	case len(lines) > 0:
	case all > 0:
		where := "name, module or command line"
		if redacted {
			where = "name or module (command lines need the role author)"
		}
		out.Log(fmt.Sprintf("no Go process has %s in its %s; without it there are %d", rows.QuoteName(filter), where, all))
	default:
		out.Log("no Go processes are visible here")
	}
	if advice := list.Advice(); advice != "" {
		out.Log(advice)
	}
	return out.Commit()
}

// asked tells whether a process is one of those that a filter asks for.
func asked(p proc.GoProcess, filter string) bool {
	if filter == "" || filter == strconv.Itoa(p.PID) {
		return true
	}
	for _, text := range slices.Concat(p.CommandLine, []string{p.Name, p.Module}) {
		if strings.Contains(strings.ToLower(text), strings.ToLower(filter)) {
			return true
		}
	}
	return false
}

// releaseNotes say which processes were built by releases that ri has not been tried on, once for each release.
func releaseNotes(list []proc.GoProcess) (notes []string) {
	pids := map[string][]string{}
	for _, p := range list {
		if note := layouts.ReleaseNote(p.GoVersion); note != "" {
			pids[note] = append(pids[note], strconv.Itoa(p.PID))
		}
	}
	for _, note := range slices.Sorted(maps.Keys(pids)) {
		notes = append(notes, "process "+strings.Join(pids[note], ", ")+": "+note)
	}
	return notes
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// ProcessIDs are the Go processes that can be seen from here, for completion; none where they can't be listed.
func ProcessIDs() []proc.GoProcess {
	list, err := proc.List()
	if err != nil {
		return nil
	}
	return list.Go
}
