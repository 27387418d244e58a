package report

import (
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"ri/instruments/rows"
)

// bar shows on a terminal how far the report is; elsewhere nothing.
type bar struct {
	bar *progressbar.ProgressBar
}

func newBar(out *rows.Output) *bar {
	f := out.Stderr.File()
	if out.Quiet || f == nil || !term.IsTerminal(int(f.Fd())) {
		return &bar{}
	}
	return &bar{progressbar.NewOptions(1, progressbar.OptionSetWriter(f), progressbar.OptionSetWidth(24),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false),
		progressbar.OptionUseANSICodes(os.Getenv("TERM") != "dumb"))}
}

// show says which recipe runs.
func (b *bar) show(done, total int, name string) {
	if b.bar == nil {
		return
	}
	b.bar.ChangeMax(total)
	b.bar.Describe(name)
	_ = b.bar.Set(done)
}

func (b *bar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
		b.bar = nil
	}
}
