package rows

import (
	"fmt"
	"testing"
	"time"
)

func TestKey(t *testing.T) {
	columns := []Column{{Name: "n"}, {Name: "id", Key: KeyPart}, {Name: "at", Key: KeyPart}, {Name: "one", Key: KeyAlone}}
	for _, test := range []struct {
		row  Row
		want string
	}{
		{Row{{"n", int64(1)}, {"id", int64(7)}, {"at", "a:1"}}, `[7,"a:1"]`},
		{Row{{"at", "a:1"}, {"id", uint64(1<<64 - 1)}}, `[18446744073709551615,"a:1"]`},
		{Row{{"id", nil}}, `[null,null]`},
		{Row{{"id", "\"]"}, {"at", Bytes("\xff")}}, `["\"]",{"$b64":"/w=="}]`},
		// Of what has several names, the first that is there counts.
		{Row{{"id", int64(7)}, {"at", "a:1"}, {"one", int64(3)}}, `[3]`},
		{Row{{"id", int64(7)}, {"at", "a:1"}, {"one", nil}}, `[7,"a:1"]`},
		// What is at an address changes, and is the same thing.
		{Row{{"id", Address{Addr: 0xc000, Type: "*T", Text: "{1}"}}, {"at", []any{"f", "g"}}}, `["0xc000",["f","g"]]`},
		{Row{{"id", Address{Type: "T", Text: "{1}"}}, {"at", time.Unix(0, 0).UTC()}},
			`[{"$addr":"0x0","$type":"T","text":"{1}"},"1970-01-01T00:00:00Z"]`},
	} {
		if got := test.row.Key(columns); got != test.want {
			t.Errorf("%v: %s, want %s", test.row, got, test.want)
		}
	}
	if got := (Row{{"n", int64(1)}}).Key(columns[:1]); got != "[]" {
		t.Errorf("without key columns: %s", got)
	}
}

func TestCompare(t *testing.T) {
	show := func(before, after []string) (text string) {
		for _, p := range Compare(before, after, func(s string) string { return s[:1] }) {
			sides := [2]string{"-", "-"}
			for i, s := range []*string{p.Before, p.After} {
				if s != nil {
					sides[i] = *s
				}
			}
			text += fmt.Sprintf("%s>%s ", sides[0], sides[1])
		}
		return text
	}
	for _, test := range []struct {
		before, after []string
		want          string
	}{
		{nil, nil, ""},
		{nil, []string{"a"}, "->a "},
		{[]string{"a"}, nil, "a>- "},
		{[]string{"a1", "b1", "c1"}, []string{"c2", "d2", "a2"}, "c1>c2 ->d2 a1>a2 b1>- "},
		{[]string{"a1", "a2"}, []string{"a3", "a4", "a5"}, "a1>a3 a2>a4 ->a5 "},
		{[]string{"a1", "a2", "a3"}, []string{"a4"}, "a1>a4 a2>- a3>- "},
	} {
		if got := show(test.before, test.after); got != test.want {
			t.Errorf("%v, %v: %s, want %s", test.before, test.after, got, test.want)
		}
	}
}
