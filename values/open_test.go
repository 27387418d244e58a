package values_test

import (
	"testing"

	"ri/attach"
	"ri/symbols/testprogram"
	"ri/values"
	"ri/values/testlook"
)

const fixture = "testdata/kinds"

// looked is a running fixture and one look at it.
type looked struct{ *testlook.Looked }

func look(t testing.TB, v testprogram.Variant, kind attach.ViewKind) *looked {
	t.Helper()
	return &looked{testlook.Look(t, fixture, v, kind)}
}

func lookAt(t testing.TB, p *testprogram.Program, kind attach.ViewKind) *looked {
	t.Helper()
	return &looked{testlook.At(t, p, kind)}
}

func (l *looked) eval(t testing.TB, expr string) values.Value {
	t.Helper()
	return l.Value(t, expr)
}
