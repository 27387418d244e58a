package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// Help is for a terminal of 80 columns and 24 lines, and names every command.
func TestHelpFitsAScreen(t *testing.T) {
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"--help"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if utf8.RuneCountInString(l) > 80 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(l), l)
		}
	}
	words := strings.FieldsFunc(out.String(), func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
	listed := map[string]bool{}
	for _, w := range words {
		listed[w] = true
	}
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && !listed[c.Name()] {
			t.Errorf("%s isn't in it", c.Name())
		}
	}
}

// Each command's help has examples, which have no flag that it hasn't, and fits 80 columns.
func TestHelpOfCommands(t *testing.T) {
	for _, c := range newRoot().Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if c.Long == "" || c.Example == "" {
			t.Errorf("ri %s --help has no text or no example", c.Name())
		}
		own := false
		for line := range strings.SplitSeq(c.Example, "\n") {
			line, _, _ = strings.Cut(line, "#")
			if !strings.HasPrefix(strings.TrimSpace(line), "ri "+c.Name()) {
				continue // what goes with it
			}
			own = true
			for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(line, -1) {
				of, _, err := c.Find(strings.Fields(line)[2:]) // a command of this one
				if err != nil {
					of = c
				}
				if of.Flags().Lookup(flag[1]) == nil && of.InheritedFlags().Lookup(flag[1]) == nil {
					t.Errorf("ri %s has no flag --%s, in its example %q", c.Name(), flag[1], line)
				}
			}
		}
		if !own && c.Name() != "completion" {
			t.Errorf("no example of ri %s begins with it", c.Name())
		}
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs([]string{c.Name(), "--help"})
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 && !strings.HasPrefix(line, "  ri ") {
				t.Errorf("ri %s --help: %d columns: %s", c.Name(), n, line)
			}
		}
	}
}

// A negative value of ri set is no flag.
func TestNegativesLast(t *testing.T) {
	for args, want := range map[string]string{
		"set x -5 -p 1 --write":        "set x -p 1 --write -- -5",
		"set x 5 -p 1":                 "set x 5 -p 1",
		"set --was -5 x -.5 -p 1":      "set --was -5 x -p 1 -- -.5",
		"set --was=-5 x -inf":          "set --was=-5 x -- -inf",
		"set x -p 1 -- -5":             "set x -p 1 -- -5",
		"-q set was -1m30s --write":    "-q set was --write -- -1m30s",
		"run gc-percent percent=-1 -5": "run gc-percent percent=-1 -5",
	} {
		if got := strings.Join(negativesLast(newRoot().Command, strings.Fields(args)), " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}
