package rows

import (
	"fmt"
	"time"
)

// LockReport says what became of a recipe's lock.
type LockReport struct {
	Expr   string
	Stops  int           // at which it was held, so that the target was let go unread
	Waited time.Duration // for it to become free, while the target ran
	Read   bool          // it was held when what it guards was read: --ignore-lock, a live view, a core
}

// LockWarnings says where a structure was read although it may have been in mid-change.
func (r *Result) LockWarnings() (lines []string) {
	for _, l := range r.Locks {
		if !l.Read {
			continue
		}
		when := "when what it guards was read (--ignore-lock)"
		switch {
		case r.Target.Kind == "core":
			when = "when the program died"
		case r.View == "live":
			when = "before or after the look; --view snapshot waits until it is free"
		}
		lines = append(lines, fmt.Sprintf("the lock %s was held %s: what is shown may be in mid-change", l.Expr, when))
	}
	return lines
}

// lockStops is what the cost line says of the stops at which a lock was held.
func (r *Result) lockStops() (text string) {
	for _, l := range r.Locks {
		if l.Stops > 0 {
			text += fmt.Sprintf(": the lock %s was held %s", l.Expr, Plural(int64(l.Stops), "time"))
		}
	}
	return text
}

// lockWaits is what the cost line says of the time that was waited.
func (r *Result) lockWaits() (text string) {
	for _, l := range r.Locks {
		if l.Waited > 0 {
			text += fmt.Sprintf(", waited %s for the lock %s", ShortDuration(l.Waited), l.Expr)
		}
	}
	return text
}

func lockRows(locks []LockReport) []any {
	rows := make([]any, len(locks))
	for i, l := range locks {
		rows[i] = Row{{"lock", l.Expr}, {"held_stops", int64(l.Stops)}, {"waited_ns", int64(l.Waited)},
			{"held_when_read", l.Read}}
	}
	return rows
}
