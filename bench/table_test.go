//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		row  row
		want string
	}{
		{row{ri: samples{3, 1, 2}, must: 2, aim: 1}, "yes"}, // the median counts
		{row{ri: samples{1}, must: 2, aim: 1}, "aim"},
		{row{ri: samples{3}, must: 2, aim: 1}, "no"},
		{row{ri: samples{3}, unit: perSecond, must: 2, aim: 4}, "yes"},
		{row{ri: samples{1}, unit: perSecond, must: 2, aim: 4}, "no"},
		{row{must: 2}, "not yet"},
		{row{dlv: samples{1}}, ""},
		{row{ri: samples{1}}, ""},
	} {
		if got := c.row.verdict(); got != c.want {
			t.Errorf("%+v: %q, not %q", c.row, got, c.want)
		}
	}
}

func TestRatio(t *testing.T) {
	for want, r := range map[string]row{
		"250x": {dlv: samples{2.5}, ri: samples{0.01}},
		"1.5x": {dlv: samples{1.5}, ri: samples{1}},
		"20x":  {unit: perSecond, dlv: samples{1e5}, ri: samples{2e6}},
		"-":    {ri: samples{1}},
	} {
		if got := r.ratio(); got != want {
			t.Errorf("%+v: %q, not %q", r, got, want)
		}
	}
}

func TestUnits(t *testing.T) {
	for want, got := range map[string]string{
		"2.5 s": seconds.text(2.5), "1.2 ms": seconds.text(0.0012), "300 us": seconds.text(0.0003),
		"55 MB": bytesOf.text(55e6), "1.5 M/s": perSecond.text(1.5e6), "31 k/s": perSecond.text(31e3),
		"-": seconds.text(samples(nil).median()),
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestTableIsAligned(t *testing.T) {
	var out strings.Builder
	if err := printTable(&out, [][]string{{"a", "long"}, {"a longer one", "b"}}); err != nil {
		t.Fatal(err)
	}
	want := "| a            | long |\n| ------------ | ---- |\n| a longer one | b    |\n"
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func TestStopLine(t *testing.T) {
	m := stopped.FindStringSubmatch("x\nstopped 2.1 ms (1 stop), read 412 KiB, 8,204 values\n")
	if m == nil || m[1] != "2.1 ms" || m[2] != "1" || m[3] != "412 KiB" {
		t.Errorf("%q", m)
	}
}
