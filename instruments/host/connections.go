package host

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/change"
)

// connectionAction has a transaction end a connection, given as a row of ri.descriptors.
func (h *Host) connectionAction(L *lua.LState, plan *change.Plan, reset bool) error {
	row := L.CheckTable(2)
	target := h.Opt.Connections
	if target == nil {
		return errors.New("this target has no connections that could be ended")
	}
	list, err := target.Descriptors()
	if err != nil {
		return err
	}
	for _, d := range list {
		if row.RawGetString("fd") != lua.LNumber(d.FD) {
			continue
		}
		if row.RawGetString("path") != lua.LString(d.Path) {
			break
		}
		if d.Socket == nil || !strings.HasPrefix(d.Socket.Protocol, "tcp") || d.Socket.State == "LISTEN" {
			return fmt.Errorf("descriptor %d (%s) is no TCP connection; only those are ended: %w", d.FD, d.Path, change.ErrRefused)
		}
		what := "shut down"
		if reset {
			what = "reset"
		}
		plan.Actions = append(plan.Actions, change.Action{
			Text: fmt.Sprintf("%s the connection of %s to %s (descriptor %d)", what, d.Socket.Local, d.Socket.Remote, d.FD),
			Do:   func() error { return target.EndConnection(d, reset) },
		})
		return nil
	}
	return fmt.Errorf("descriptor %v is no longer %v: %w", row.RawGetString("fd"), row.RawGetString("path"), change.ErrConflict)
}
