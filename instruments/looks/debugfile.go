package looks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ri/attach"
	"ri/files"
	"ri/symbols"
)

// separate finds the separate debug file of a program: that which --symbols names, those where distributions and
// debuggers put them, in the program's own root first, and where the person asks for it a debuginfod server's. nil:
// there is none. named: --symbols was that file.
func (c TargetChoice) separate(t attach.Target, exe io.ReaderAt) (file *os.File, named bool, err error) {
	wanted, ok := symbols.Wants(exe)
	if c.Symbols != "" {
		file, err := files.Open(c.Symbols)
		if err != nil {
			return nil, false, fmt.Errorf("--symbols: %w", err)
		}
		if !symbols.IsSeparate(file) { // an unstripped build: see lend
			return nil, false, file.Close()
		}
		if err = wanted.Check(file); err != nil {
			file.Close()
			return nil, false, fmt.Errorf("--symbols: %s is %w", filepath.Base(c.Symbols), err)
		}
		return file, true, nil
	}
	if !ok {
		return nil, false, nil
	}
	opens := []func(path string) (*os.File, error){files.Open} // of a confined process nothing
	if t.Kind() != attach.Dead && t.Kind() != attach.Recorded {
		if root, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root", t.PID())); err == nil {
			defer root.Close()
			opens = []func(path string) (*os.File, error){files.In(root), files.Open}
		}
	}
	for _, open := range opens {
		for _, path := range wanted.Paths(filepath.Dir(t.ExecutablePath())) {
			file, err := open(path)
			if err != nil {
				continue
			}
			if wanted.Check(file) == nil {
				return file, false, nil
			}
			file.Close()
		}
	}
	if !c.Debuginfod {
		return nil, false, nil
	}
	if file, err = fetch(context.Background(), os.Getenv("DEBUGINFOD_URLS"), wanted); err != nil {
		return nil, false, fmt.Errorf("--debuginfod: %w", err)
	}
	return file, false, nil
}

// SeparateFor is the separate debug file of the program whose executable is given, and what it is known by; nil: there
// is none.
func (c TargetChoice) SeparateFor(t attach.Target, exe io.ReaderAt) (*os.File, symbols.Wanted, error) {
	wanted, _ := symbols.Wants(exe)
	file, _, err := c.separate(t, exe)
	if err == nil && file == nil && c.Symbols != "" {
		err = fmt.Errorf("--symbols: %s is an unstripped build, which ri takes names from: here a separate debug file "+
			"of the program itself is needed", filepath.Base(c.Symbols))
	}
	return file, wanted, err
}

// noDebugFile says what can be done where a program's variables and types can't be named.
func noDebugFile(t attach.Target, exe io.ReaderAt) string {
	const try = "--symbols FILE takes the names from its debug file, or from an unstripped build of the same source"
	wanted, ok := symbols.Wants(exe)
	if !ok {
		return try
	}
	return fmt.Sprintf("no debug file of it is at %s; %s; --debuginfod asks the servers of $DEBUGINFOD_URLS",
		strings.Join(wanted.Paths(filepath.Dir(t.ExecutablePath())), ", "), try)
}

// mostDebug bounds what a debuginfod server may send, in bytes.
const mostDebug = 8 << 30

// silence is how long a debuginfod server may send nothing (debuginfod-find(1): $DEBUGINFOD_TIMEOUT).
const silence = 90 * time.Second

// fetch has a debug file from the first server that has it, and keeps it where debuginfod's own client does:
// $DEBUGINFOD_CACHE_PATH, else ~/.cache/debuginfod_client, BUILDID/debuginfo (debuginfod-find(1), elfutils 0.188).
func fetch(ctx context.Context, urls string, wanted symbols.Wanted) (*os.File, error) {
	servers := strings.Fields(urls)
	switch {
	case len(servers) == 0:
		return nil, errors.New("no server is named: set DEBUGINFOD_URLS, for example to https://debuginfod.debian.net")
	case wanted.BuildID == "":
		return nil, errors.New("the program has no build ID of the linker's (GNU), by which servers know debug files")
	}
	folder := os.Getenv("DEBUGINFOD_CACHE_PATH")
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("there is no place to keep the file: %w; set DEBUGINFOD_CACHE_PATH", err)
		}
		folder = filepath.Join(cache, "debuginfod_client")
	}
	path := filepath.Join(folder, wanted.BuildID, "debuginfo")
	if file, err := files.Open(path); err == nil {
		if wanted.Check(file) == nil {
			return file, nil
		}
		file.Close() // an empty one is how the client notes that no server had it
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	var all error
	for _, server := range servers {
		err := download(ctx, strings.TrimRight(server, "/")+"/buildid/"+wanted.BuildID+"/debuginfo", path)
		if err != nil {
			all = errors.Join(all, err)
			continue
		}
		file, err := files.Open(path)
		if err == nil {
			if err = wanted.Check(file); err == nil {
				return file, nil
			}
			file.Close()
			os.Remove(path)
		}
		all = errors.Join(all, fmt.Errorf("%s sent something else: %w", server, err))
	}
	return nil, all
}

func download(ctx context.Context, url, path string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "debuginfo.*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	size := int64(0)
	buffer := make([]byte, 1<<20)
	for {
		n, err := answer.Body.Read(buffer)
		if size += int64(n); size > mostDebug {
			return fmt.Errorf("%s: %w: more than %d bytes", url, files.ErrTooLarge, int64(mostDebug))
		}
		if _, err := file.Write(buffer[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", url, err)
		}
		watchdog.Reset(silence)
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
