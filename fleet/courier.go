package fleet

import (
	"context"
	"time"
)

// courier asks agents by rows in the database.
type courier struct{}

// byRow asks a target whose agent can't be called.
func (s *asking) byRow(ctx context.Context, o *Outcome, left time.Duration, why error) {
	o.end(Gone, "its agent can't be called: "+why.Error())
}
