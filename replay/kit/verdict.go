package kit

import "time"

// verdict says how it went.
func (r *riReplay) verdict(took time.Duration) {
	if r.failed == "" {
		for _, list := range r.out {
			for _, e := range list {
				if !e.used && !r.handed[e.On] && e.On != 0 {
					r.unasked++ // the library never had what stands in for it
				} else if !e.used && (r.failedAt == 0 || e.Seq < r.failedAt) {
					r.failedAt, r.failed = e.Seq, e.Func+" was called when it was recorded, and not now"
				}
			}
		}
	}
	if r.failed != "" {
		if r.absent != "" {
			r.t.Logf("not recorded: %s", r.absent)
		}
		r.t.Errorf("event %d: %s", r.failedAt, r.failed)
	}
	r.t.Logf("%d calls in, %d received, %d of %d calls out as recorded, %d of them with parts that can't be compared; "+
		"%d calls out on what the library has of its own aren't looked at; %s of what took %s", r.calls, r.fed, r.done,
		r.all, r.skipped, r.unasked, took.Round(time.Microsecond), r.length.Round(time.Millisecond))
}
