//go:build amd64

package process

import (
	"os"
	"testing"

	"ri/attach/targettest"
)

func TestMain(m *testing.M) {
	if name := os.Getenv("ATTACH_TEST_CHILD"); name != "" {
		child(name, os.Getenv("ATTACH_TEST_ARGS"))
		return
	}
	os.Exit(targettest.RunTests(m))
}

func open(t testing.TB, pid int) *Process {
	t.Helper()
	target, err := Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target.(*Process)
}
