package rows

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var arrangeColumns = []Column{{Name: "id", Type: ColumnInt}, {Name: "state", Type: ColumnString},
	{Name: "wait", Type: ColumnDuration}, {Name: "size", Type: ColumnBytes}, {Name: "since", Type: ColumnTime},
	{Name: "tags"}}

func arrangeRows() []Row {
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	return []Row{
		Of("id", int64(1), "state", "waiting", "wait", 3*time.Second, "size", int64(100), "since", day,
			"tags", []any{"a", "b"}),
		Of("id", int64(2), "state", "running", "wait", nil, "size", int64(3<<20), "since", day.Add(time.Hour), "tags", nil),
		Of("id", int64(10), "state", "waiting", "wait", int64(5*time.Second), "size", int64(4096),
			"since", float64(day.Unix()+7200), "tags", []any{"b"}),
		Of("id", int64(9), "state", Missing("not recorded"), "wait", time.Millisecond, "size", nil, "since", nil,
			"tags", []any{}),
	}
}

// TestArrange: which rows come, in what order.
func TestArrange(t *testing.T) {
	for _, tt := range []struct {
		a    Arrangement
		want string // ids
	}{
		{Arrangement{}, "1 2 10 9"},
		{Arrangement{Where: []string{"state=waiting"}}, "1 10"},
		{Arrangement{Where: []string{"state == 'waiting'"}}, "1 10"},
		{Arrangement{Where: []string{"state != waiting"}}, "2"},
		{Arrangement{Where: []string{"state = -"}}, "9"},
		{Arrangement{Where: []string{"state != -"}}, "1 2 10"},
		{Arrangement{Where: []string{`state =~ ^run`}}, "2"},
		{Arrangement{Where: []string{`state !~ ^run`}}, "1 10"},
		{Arrangement{Where: []string{"wait > 1s"}}, "1 10"},
		{Arrangement{Where: []string{"wait >= 5s", "state = waiting"}}, "10"},
		{Arrangement{Where: []string{"size >= 4KiB"}}, "2 10"},
		{Arrangement{Where: []string{"size<4k"}}, "1"},
		{Arrangement{Where: []string{"since >= 2026-01-02T01:00:00Z"}}, "2 10"},
		{Arrangement{Where: []string{"tags = a"}}, "1"},
		{Arrangement{Where: []string{"tags != a"}}, "10 9"},
		{Arrangement{Where: []string{"id > 9"}}, "10"},
		{Arrangement{Sort: []string{"id"}}, "1 2 9 10"},
		{Arrangement{Sort: []string{"-id"}, Limit: 2}, "10 9"},
		{Arrangement{Sort: []string{"-wait"}}, "10 1 9 2"},
		{Arrangement{Sort: []string{"wait"}}, "9 1 10 2"},
		{Arrangement{Sort: []string{"state", "-id"}}, "2 10 1 9"},
	} {
		r := &Result{Columns: arrangeColumns, Rows: arrangeRows()}
		if err := errors.Join(tt.a.Check(arrangeColumns), tt.a.Apply(r)); err != nil {
			t.Errorf("%+v: %v", tt.a, err)
			continue
		}
		var ids []string
		for _, row := range r.Rows {
			id, _ := row.Get("id")
			ids = append(ids, fmt.Sprint(id))
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.a, got, tt.want)
		}
		if tt.a.Limit > 0 && len(r.Log) != 1 {
			t.Errorf("%+v: nothing says what the limit took away", tt.a)
		}
	}
}

// TestGroup: rows that are the same in some columns become one, with counts and sums.
func TestGroup(t *testing.T) {
	r := &Result{Columns: arrangeColumns, Rows: arrangeRows()}
	a := Arrangement{Group: []string{"state"}, Sum: []string{"size", "wait"}}
	if err := errors.Join(a.Check(arrangeColumns), a.Apply(r)); err != nil {
		t.Fatal(err)
	}
	_, cells := r.Table()
	want := [][]string{{"waiting", "2", "4.1 KiB", "8s"}, {"running", "1", "3.0 MiB", "-"},
		{"/* not recorded */", "1", "-", "1ms"}}
	if fmt.Sprint(cells) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", cells, want)
	}
}

// TestArrangeErrors: what can't be is said before anybody looks.
func TestArrangeErrors(t *testing.T) {
	for text, a := range map[string]Arrangement{
		"did you mean state":      {Where: []string{"stat=waiting"}},
		"there are id, state":     {Sort: []string{"xyzzy"}},
		"COL OP VALUE":            {Where: []string{"waiting"}},
		"wants a duration":        {Where: []string{"wait > 5"}},
		"wants a number of bytes": {Where: []string{"size > much"}},
		"wants a time":            {Where: []string{"since > yesterday"}},
		"missing closing":         {Where: []string{"state =~ ("}},
		"neither more nor less":   {Where: []string{"state < -"}},
		"--sum needs --group":     {Sum: []string{"size"}},
		"must not be negative":    {Limit: -1},
		"no column size":          {Group: []string{"state"}, Sort: []string{"size"}},
	} {
		err := a.Check(arrangeColumns)
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: got %v, want %q", a, err, text)
		}
	}
}

// FuzzWhere: any condition is one, or an error.
func FuzzWhere(f *testing.F) {
	for _, s := range []string{"id > 3", "state=~x", "size<=1.5GiB", "wait != -", "a=b=c", "tags='"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := Arrangement{Where: []string{s}}
		if a.Check(arrangeColumns) == nil {
			if err := a.Apply(&Result{Columns: arrangeColumns, Rows: arrangeRows()}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
