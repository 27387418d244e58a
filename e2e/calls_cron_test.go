package e2e

import "testing"

// TestCallsCron records a scheduler, whose module is of Go 1.12: its timers fire by the bubble's clock.
func TestCallsCron(t *testing.T) {
	r := recordLibrary(t, "cron", "- keep: {variable: 'cron.(*Cron).AddJob.spec'}\n", []string{"cron.Cron"})
	if runs := r.own(t)["runs"]; r.ended.Calls["main.(*job).Run"] != runs {
		t.Errorf("%d runs are recorded, the program had %d", r.ended.Calls["main.(*job).Run"], runs)
	}
	r.replays(t)
	r.mutants(t, r.ownCopy(t, "github.com/robfig/cron/v3"), "cron.go", []mutant{
		{"c.removeEntry(id)\n\t\t\t\tc.logger", "c.logger", "(*Cron).Entries: result 0|Run was called once more"},
		{"c.nextID++", "c.nextID += 2", "(*Cron).AddJob: result 0"},
		{"c.startJob(e.WrappedJob)", "", "main.(*job).Run"},
	})
}
