package instruments

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version writes which ri this is and what it was built with.
func Version(out *Output) error {
	version, revision, delve := "(devel)", "", "none"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
		for _, m := range info.Deps {
			if m.Path == "github.com/go-delve/delve" {
				delve = m.Version
			}
		}
	}
	var err error
	if out.Format == Table {
		text := "ri " + version
		if revision != "" {
			text += " (" + revision + ")"
		}
		err = out.WriteText(fmt.Sprintf("%s, built by %s for %s/%s, Delve %s\n", text, runtime.Version(), runtime.GOOS, runtime.GOARCH, delve))
	} else {
		err = out.WriteDocument(Row{
			{"version", version}, {"revision", revision}, {"go", runtime.Version()},
			{"os", runtime.GOOS}, {"arch", runtime.GOARCH}, {"delve", delve},
		})
	}
	if err != nil {
		return err
	}
	return out.Commit()
}
