package outside

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// place is a file below a folder that is allowed. Nothing leads out of the folder: no "..", and no link (os.Root).
type place struct {
	root   *os.Root
	name   string // below the folder
	folder string
}

// find finds where a path lies: an absolute one in the folder that has it, another in the only folder.
func (a *Allowed) find(path string) (*place, error) {
	if a == nil || len(a.folders) == 0 {
		return nil, fmt.Errorf("%s: no folder is allowed (--allow file=FOLDER): %w", path, ErrNotAllowed)
	}
	folder, name := a.folders[0], path
	if filepath.IsAbs(path) {
		folder = ""
		for _, f := range a.folders {
			if rel, err := filepath.Rel(f, filepath.Clean(path)); err == nil && filepath.IsLocal(rel) && len(f) > len(folder) {
				folder, name = f, rel
			}
		}
		if folder == "" {
			return nil, fmt.Errorf("%s is in no folder that is allowed (%s): %w", path, strings.Join(a.folders, ", "),
				ErrNotAllowed)
		}
	} else if len(a.folders) > 1 {
		return nil, fmt.Errorf("%s: several folders are allowed, so give a whole path: %w", path, ErrNotAllowed)
	}
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%s leads out of %s: %w", path, folder, ErrNotAllowed)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &place{root, filepath.Clean(name), folder}, nil
}

func (p *place) path() string { return filepath.Join(p.folder, p.name) }

// read reads a regular file; how it is, too.
func (p *place) read() ([]byte, fs.FileInfo, error) {
	file, err := p.root.OpenFile(p.name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.folder, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no regular file", p.path())
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = fmt.Errorf("%s has more than %d MiB", p.path(), MaxFile>>20)
	}
	return data, info, err
}

// Read reads a file. The error may be fs.ErrNotExist.
func (a *Allowed) Read(path string) ([]byte, error) {
	p, err := a.find(path)
	if err != nil {
		return nil, err
	}
	defer p.root.Close()
	data, _, err := p.read()
	return data, err
}

// File is one of a folder.
type File struct {
	Name   string
	Folder bool
	Size   int64
}

// maxFiles is how many files of a folder are listed at most.
const maxFiles = 100_000

// List lists a folder, by name.
func (a *Allowed) List(path string) ([]File, error) {
	p, err := a.find(path)
	if err != nil {
		return nil, err
	}
	defer p.root.Close()
	dir, err := p.root.Open(p.name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.folder, err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("%s has more than %d files", p.path(), maxFiles)
	}
	var list []File
	for _, e := range entries {
		one := File{Name: e.Name(), Folder: e.IsDir()}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			one.Size = info.Size()
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Replacement is a file that is to have other contents, whole, if it still has the old ones.
type Replacement struct {
	Path          string // absolute
	Before, After []byte
	allowed       *Allowed
}

// Replace prepares one. was is what the file must hold now.
func (a *Allowed) Replace(path string, was, to []byte) (*Replacement, error) {
	p, err := a.find(path)
	if err != nil {
		return nil, err
	}
	defer p.root.Close()
	if len(to) > MaxFile {
		return nil, fmt.Errorf("%s would have more than %d MiB", p.path(), MaxFile>>20)
	}
	r := &Replacement{Path: p.path(), Before: was, After: to, allowed: a}
	return r, r.check(p)
}

func (r *Replacement) check(p *place) error {
	info, err := p.root.Lstat(p.name)
	if err != nil {
		return fmt.Errorf("%s: %w", p.folder, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file, and only such are replaced", p.path())
	}
	now, _, err := p.read()
	if err == nil && !bytes.Equal(now, r.Before) {
		err = fmt.Errorf("%s holds other %d bytes than those %d that were expected: %w", p.path(), len(now), len(r.Before),
			ErrChanged)
	}
	return err
}

// Restore is the replacement that takes one back which was made before; its path names the only file that it may touch.
func Restore(path string, before, after []byte) *Replacement {
	return &Replacement{Path: path, Before: after, After: before,
		allowed: &Allowed{folders: []string{filepath.Dir(path)}}}
}

// Do replaces the file: whoever reads it has the one or the other, whole. What looks between the last comparison and
// the exchange sees the old one; whoever writes it just then, without an exchange of its own, is not noticed.
func (r *Replacement) Do() error {
	p, err := r.allowed.find(r.Path)
	if err != nil {
		return err
	}
	defer p.root.Close()
	if err := r.check(p); err != nil {
		return err
	}
	info, err := p.root.Stat(p.name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(p.name)
	temporary := filepath.Join(dir, "."+filepath.Base(p.name)+".ri-"+rand.Text()[:8])
	file, err := p.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return fmt.Errorf("%s: %w", p.folder, err)
	}
	defer p.root.Remove(temporary) // fails once it is renamed
	err = file.Chmod(info.Mode().Perm())
	if st, ok := info.Sys().(*syscall.Stat_t); ok && err == nil && (int(st.Uid) != os.Geteuid() ||
		int(st.Gid) != os.Getegid()) {
		err = file.Chown(int(st.Uid), int(st.Gid))
	}
	if err == nil {
		_, err = file.Write(r.After)
	}
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = r.check(p)
	}
	if err == nil {
		err = p.root.Rename(temporary, p.name)
	}
	if err != nil {
		return err
	}
	if d, err := p.root.Open(dir); err == nil { // the name lasts, too, where the file system says so
		_ = d.Sync()
		d.Close()
	}
	return nil
}
