package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ri/files"
	"ri/instruments/rows"
	"ri/serve/request"
)

// MaxFile is how large a file may be that travels to an agent, in bytes.
const MaxFile = 256 << 20

// places is what a command makes here.
type places struct {
	out   map[string]bool // paths that the command line names as made: is there something already?
	open  map[string]*growing
	ready []*growing
	most  int // what is made is kept in memory, so many bytes of each file at most; 0: files are made
}

// growing is a file that comes in pieces. It gets its name when all has come.
type growing struct {
	path string
	file interface {
		WriteAt([]byte, int64) (int, error)
		Truncate(int64) error
		Chmod(os.FileMode) error
		Replace(string) error
		Appear(string) error
		Drop()
	}
	fresh bool
}

// gather reads the files that a command names, and says of those that it makes what is there.
func gather(asked *request.Request) (*places, error) {
	p := &places{out: map[string]bool{}, open: map[string]*growing{}}
	read, made := asked.Paths()
	byPath := map[string]int{}
	for _, name := range read {
		path := asked.Absolute(name)
		if _, there := byPath[path]; there {
			continue
		}
		named := request.Named{Path: path, Kind: request.IsNot}
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			named.Kind = request.IsFolder
		case err == nil:
			named.Kind = request.IsFile
			if named.Data, err = files.Read(path, MaxFile); err != nil {
				return nil, fmt.Errorf("%s: %w", name, rows.UnwrapPath(err))
			}
		case !errors.Is(err, fs.ErrNotExist):
			if !errors.Is(err, fs.ErrInvalid) && !strings.Contains(name, "\x00") {
				return nil, fmt.Errorf("%s: %w", name, rows.UnwrapPath(err))
			}
		}
		byPath[path] = len(asked.Files)
		asked.Files = append(asked.Files, named)
		for _, more := range along(named) {
			if _, there := byPath[more.Path]; !there {
				byPath[more.Path] = len(asked.Files)
				asked.Files = append(asked.Files, more)
			}
		}
	}
	for _, name := range made {
		path := asked.Absolute(name)
		p.out[path] = false
		info, err := os.Stat(path)
		if err == nil {
			p.out[path] = true
		}
		i, there := byPath[path]
		if !there {
			named := request.Named{Path: path, Kind: request.IsNot}
			switch {
			case err == nil && info.IsDir():
				named.Kind = request.IsFolder
			case err == nil:
				named.Kind = request.IsFile // that it is there is all that matters
			default:
				err := writable(filepath.Dir(path))
				if errors.Is(err, fs.ErrNotExist) {
					named.Kind = request.IsNowhere // the command says it in its own words, when it comes to it
				} else if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
			i = len(asked.Files)
			asked.Files = append(asked.Files, named)
		}
		asked.Files[i].Out = true
	}
	return p, nil
}

// writable refuses a folder in which no file can be made, before anything is asked.
func writable(folder string) error {
	file, err := rows.NewUnnamedFile(filepath.Join(folder, "x"))
	if err != nil {
		return rows.UnwrapPath(err)
	}
	file.Drop()
	return nil
}

// allowed tells whether the command line names a path as made, or a folder above it.
func (p *places) allowed(path string) bool {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return false
	}
	for at := path; ; at = filepath.Dir(at) {
		if _, ok := p.out[at]; ok {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

// made takes a piece of what the command made.
func (p *places) made(m request.Made) error {
	if !p.allowed(m.Path) {
		return fmt.Errorf("the agent sent %q, which nobody asked it for", m.Path)
	}
	if m.Kind == request.IsFolder && p.most > 0 {
		return fmt.Errorf("%s is a folder, and a file is wanted", m.Path)
	}
	if m.Kind == request.IsFolder {
		if err := os.Mkdir(m.Path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
	g := p.open[m.Path]
	if g == nil && p.most > 0 {
		g = &growing{path: m.Path, file: &inMemory{most: int64(p.most)}}
		p.open[m.Path] = g
	}
	if g == nil {
		if info, err := os.Stat(m.Path); err == nil && !info.Mode().IsRegular() {
			return p.stream(m)
		}
		file, err := rows.NewUnnamedFile(m.Path)
		if err != nil {
			return err
		}
		g = &growing{path: m.Path, file: file, fresh: !p.out[m.Path]}
		p.open[m.Path] = g
	}
	if len(m.Data) > 0 {
		if _, err := g.file.WriteAt(m.Data, m.At); err != nil {
			return fmt.Errorf("%s: %w", m.Path, rows.UnwrapPath(err))
		}
	}
	if !m.Last {
		return nil
	}
	if err := errors.Join(g.file.Truncate(m.Size), g.file.Chmod(os.FileMode(m.Mode)&0o755)); err != nil {
		return fmt.Errorf("%s: %w", m.Path, rows.UnwrapPath(err))
	}
	delete(p.open, m.Path)
	p.ready = append(p.ready, g)
	return nil
}

// inMemory is a file that is made for who takes it along.
type inMemory struct {
	data []byte
	most int64
}

// WriteAt implements io.WriterAt.
func (f *inMemory) WriteAt(b []byte, at int64) (int, error) {
	if err := f.Truncate(max(at+int64(len(b)), int64(len(f.data)))); err != nil {
		return 0, err
	}
	return copy(f.data[at:], b), nil
}

// Truncate makes it so long.
func (f *inMemory) Truncate(size int64) error {
	if size < 0 || size > f.most {
		return fmt.Errorf("it has more than %d bytes, which is the most by this way", f.most)
	}
	if more := size - int64(len(f.data)); more > 0 {
		f.data = append(f.data, make([]byte, more)...)
	}
	f.data = f.data[:size]
	return nil
}

func (f *inMemory) Chmod(os.FileMode) error { return nil }
func (f *inMemory) Replace(string) error    { return nil }
func (f *inMemory) Appear(string) error     { return nil }
func (f *inMemory) Drop()                   {}

// stream writes to a pipe or a device.
func (p *places) stream(m request.Made) error {
	f, err := os.OpenFile(m.Path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(m.Data)
	return errors.Join(err, f.Close())
}

// commit gives what has come its names: all of it, or, if something is missing, nothing.
func (p *places) commit(int) error {
	var all error
	for _, g := range p.open {
		g.file.Drop()
		all = errors.Join(all, fmt.Errorf("%s: not all of it came", g.path))
	}
	for _, g := range p.ready {
		if all != nil {
			g.file.Drop()
			continue
		}
		put := g.file.Replace
		if g.fresh {
			put = g.file.Appear
		}
		if err := put(g.path); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", g.path, rows.UnwrapPath(err)))
		}
	}
	return all
}

// drop forgets what has come.
func (p *places) drop() {
	for _, g := range p.open {
		g.file.Drop()
	}
	for _, g := range p.ready {
		g.file.Drop()
	}
}

// sendFiles sends what is too large to travel with the request.
func (c *Client) sendFiles(ctx context.Context, o *call) error {
	total := 0
	for i := range o.asked.Files {
		f := &o.asked.Files[i]
		if total += len(f.Data); total <= request.Inline {
			continue
		}
		for data := f.Data; len(data) > 0; {
			n := min(len(data), request.Piece)
			if _, err := c.peer.Call(ctx, request.Put, o.id, f.Path, data[:n]); err != nil {
				return fmt.Errorf("%s: %s: %w", c.at, f.Path, told(err))
			}
			data = data[n:]
		}
		f.Data, f.Sent = nil, true
	}
	return nil
}
