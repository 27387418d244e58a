package commands

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"ri/instruments/rows"
	"ri/symbols/layouts"
)

// OwnVersion is this ri's.
func OwnVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// Version writes which ri this is and what it was built with.
func Version(out *rows.Output) error {
	version, revision, delve := OwnVersion(), "", "none"
	if info, ok := debug.ReadBuildInfo(); ok {
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
	if out.Format == rows.Table {
		text := "ri " + version
		if revision != "" {
			text += " (" + revision + ")"
		}
		err = out.WriteText(fmt.Sprintf("%s\nbuilt by %s for %s/%s, Delve %s\nreads programs of Go %s for linux/amd64: %s\n",
			text, runtime.Version(), runtime.GOOS, runtime.GOARCH, delve, layouts.KnownReleases(), canRead()))
	} else {
		err = out.WriteOne(rows.Of(
			"version", version, "revision", orNil(revision), "go", runtime.Version(),
			"os", runtime.GOOS, "arch", runtime.GOARCH, "delve", delve, "reads_go", layouts.KnownReleases(), "reads_processes",
			readsProcesses,
		))
	}
	if err != nil {
		return err
	}
	return out.Commit()
}

// readsProcesses: what stops a process knows amd64 only.
const readsProcesses = runtime.GOOS == "linux" && runtime.GOARCH == "amd64"

func canRead() string {
	if readsProcesses {
		return "processes and cores"
	}
	return "cores only, in this build, which is untested"
}
